/** Texts in JSON, which entry points are called with and answer. Numbers and `true`, `false` are in JSON as `toString` has them. */

const QUOTE: i32 = 0x22;
const BACKSLASH: i32 = 0x5c;
const HEX_DIGITS: i32 = 4;
/** Their values are their places, of capital letters 6 less. */
const DIGITS: string = "0123456789abcdefABCDEF";

export namespace json {
  /** The text as JSON has it: in quotes, and escaped. */
  export function quote(text: string): string {
    let quoted = '"';
    let copied = 0;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code >= 0x20 && code != QUOTE && code != BACKSLASH) continue;
      quoted += text.substring(copied, i);
      quoted += code >= 0x20 ? "\\" + text.charAt(i) : "\\u00" + DIGITS.charAt(code >> 4) + DIGITS.charAt(code & 15);
      copied = i + 1;
    }
    return quoted + text.substring(copied) + '"';
  }

  /** The text that JSON has in quotes, such as the output of an entry point that returns a string. Throws unless it is one. */
  export function unquote(quoted: string): string {
    const end = quoted.length - 1;
    if (end < 1 || quoted.charCodeAt(0) != QUOTE || quoted.charCodeAt(end) != QUOTE) throw new Error("json.unquote: no text in quotes");
    let text = "";
    let copied = 1;
    for (let i = 1; i < end; i++) {
      const code = quoted.charCodeAt(i);
      if (code == QUOTE) throw new Error("json.unquote: the text ends before the end");
      if (code != BACKSLASH) continue;
      text += quoted.substring(copied, i);
      i += 1;
      const isUnicode = quoted.charAt(i) == "u";
      const last = isUnicode ? i + HEX_DIGITS : i;
      if (last >= end) throw new Error("json.unquote: an escape is cut off");
      text += isUnicode ? String.fromCharCode(hexadecimal(quoted.substring(i + 1, last + 1))) : escaped(quoted.charAt(i));
      i = last;
      copied = i + 1;
    }
    return text + quoted.substring(copied, end);
  }
}

function hexadecimal(digits: string): i32 {
  let value = 0;
  for (let i = 0; i < digits.length; i++) {
    const place = DIGITS.indexOf(digits.charAt(i));
    if (place < 0) throw new Error("json.unquote: an escape has no hexadecimal digits");
    value = value * 16 + (place < 16 ? place : place - 6);
  }
  return value;
}

function escaped(letter: string): string {
  const at = '"\\/bfnrt'.indexOf(letter);
  if (at < 0) throw new Error("json.unquote: \\" + letter + " is no escape");
  return '"\\/\b\f\n\r\t'.charAt(at);
}
