/**
 * Walks over JSON without building what it says: where a text stops being JSON, as the engine's own messages often do not say, and the
 * members of a long object, whose other content may take many times its length as values.
 */

/** What is wrong with `text`, which is no JSON: `unexpected "}" at position 8 (line 1, column 9)`. Linear in its length. */
export function describeJsonFault(text: string): string {
  const { position } = new Scanner(text).run();
  if (position >= text.length) {
    return `it ends too early, at position ${text.length}`;
  }
  let line = 1;
  let lineStart = 0;
  for (let at = text.indexOf("\n"); at >= 0 && at < position; at = text.indexOf("\n", lineStart)) {
    line += 1;
    lineStart = at + 1;
  }
  const character = String.fromCodePoint(text.codePointAt(position) ?? 0);
  return `unexpected ${JSON.stringify(character)} at position ${position} (line ${line}, column ${position - lineStart + 1})`;
}

/**
 * As JSON.parse, but an object has only those of its members whose keys are `wanted`, and arrays and objects in it or instead of it
 * are empty. Takes little more memory than text and result.
 *
 * @throws SyntaxError
 */
export function parseShallowJson(text: string, wanted: (key: string) => boolean): unknown {
  const found = new Map<string, unknown>();
  const { isComplete } = new Scanner(text, (member) => {
    const rawKey = text.slice(member.keyStart, member.keyEnd);
    const key: unknown = rawKey.length > RAW_KEY_MAX_LENGTH ? "" : JSON.parse(rawKey);
    if (typeof key === "string" && wanted(key)) {
      found.set(key, shallow(text, member.start, member.end));
    }
  }).run();
  if (!isComplete) {
    throw new SyntaxError("the text is not JSON");
  }
  const value = shallow(text, 0, text.length);
  return isContainer(value) && !Array.isArray(value) ? Object.fromEntries(found) : value;
}

/** Longer ones are not wanted, even if each character is an escape. */
const RAW_KEY_MAX_LENGTH = 1024;

function shallow(text: string, start: number, end: number): unknown {
  const first = /[^ \t\n\r]/g;
  first.lastIndex = start;
  const character = first.exec(text)?.[0];
  return character === "{" ? {} : character === "[" ? [] : JSON.parse(text.slice(start, end));
}

function isContainer(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}

/** Where key, with its quotes, and value of a member of the outermost object are. */
interface Member {
  readonly keyStart: number;
  readonly keyEnd: number;
  readonly start: number;
  readonly end: number;
}

/** Walks over one JSON value without recursion, and stops at the first character that does not fit. */
class Scanner {
  readonly #text: string;
  readonly #onMember: ((member: Member) => void) | undefined;
  #at = 0;

  constructor(text: string, onMember?: (member: Member) => void) {
    this.#text = text;
    this.#onMember = onMember;
  }

  /** The position that does not fit, or the length of the text; complete when nothing is wrong. */
  run(): { readonly position: number; readonly isComplete: boolean } {
    const closers = new Closers();
    let expects: "value" | "valueOrClose" | "key" | "keyOrClose" | "next" = "value";
    let [keyStart, keyEnd, start] = [0, 0, 0];
    const ended = () => {
      if (closers.depth === 1 && closers.last === "}") {
        this.#onMember?.({ keyStart, keyEnd, start, end: this.#at });
      }
    };
    while (true) {
      this.#space();
      const character = this.#text[this.#at];
      if (character === undefined) {
        return { position: this.#at, isComplete: expects === "next" && closers.depth === 0 };
      }
      const closer = closers.last;
      if (expects === "next") {
        if (character === closer) {
          closers.pop();
          this.#at += 1;
          ended();
          continue;
        }
        if (character !== "," || closer === undefined) {
          return this.#fault();
        }
        expects = closer === "}" ? "key" : "value";
        this.#at += 1;
      } else if (character === closer && expects.endsWith("OrClose")) {
        closers.pop();
        this.#at += 1;
        expects = "next";
        ended();
      } else if (expects === "key" || expects === "keyOrClose") {
        const at = this.#at;
        if (character !== '"' || !this.#string()) {
          return this.#fault();
        }
        if (closers.depth === 1) {
          [keyStart, keyEnd] = [at, this.#at];
        }
        this.#space();
        if (this.#text[this.#at] !== ":") {
          return this.#fault();
        }
        this.#at += 1;
        expects = "value";
        if (closers.depth === 1) {
          start = this.#at;
        }
      } else if (character === "{" || character === "[") {
        closers.push(character === "{" ? "}" : "]");
        this.#at += 1;
        expects = character === "{" ? "keyOrClose" : "valueOrClose";
      } else if (character === '"' ? this.#string() : this.#literal()) {
        expects = "next";
        ended();
      } else {
        return this.#fault();
      }
    }
  }

  #fault(): { readonly position: number; readonly isComplete: boolean } {
    return { position: this.#at, isComplete: false };
  }

  #space(): void {
    while (" \t\n\r".includes(this.#text[this.#at] ?? "x")) {
      this.#at += 1;
    }
  }

  /** Steps over a string; false with the position at what does not fit. */
  #string(): boolean {
    this.#at += 1;
    while (this.#at < this.#text.length) {
      const character = this.#text[this.#at] ?? "";
      if (character === '"') {
        this.#at += 1;
        return true;
      }
      if (character < " ") {
        return false;
      }
      if (character === "\\") {
        this.#at += 1;
        const escaped = this.#text[this.#at] ?? "";
        if (escaped === "u") {
          for (let digits = 0; digits < 4; digits += 1) {
            this.#at += 1;
            if (!/^[0-9a-fA-F]$/.test(this.#text[this.#at] ?? "")) {
              return false;
            }
          }
        } else if (escaped === "" || !'"\\/bfnrt'.includes(escaped)) {
          return false;
        }
      }
      this.#at += 1;
    }
    return false;
  }

  #literal(): boolean {
    for (const literal of ["true", "false", "null"]) {
      if (this.#text[this.#at] === literal[0]) {
        for (const character of literal) {
          if (this.#text[this.#at] !== character) {
            return false;
          }
          this.#at += 1;
        }
        return true;
      }
    }
    return this.#number();
  }

  #number(): boolean {
    this.#skip("-");
    if (!this.#skip("0") && !this.#digits()) {
      return false;
    }
    if (this.#skip(".") && !this.#digits()) {
      return false;
    }
    if (this.#skip("eE")) {
      this.#skip("+-");
      return this.#digits();
    }
    return true;
  }

  /** Steps over one digit or more. */
  #digits(): boolean {
    const start = this.#at;
    while (this.#skip("0123456789")) {
      // one more digit
    }
    return this.#at > start;
  }

  #skip(oneOf: string): boolean {
    const found = this.#at < this.#text.length && oneOf.includes(this.#text[this.#at] ?? "");
    this.#at += found ? 1 : 0;
    return found;
  }
}

/** What closes the open objects and arrays; a byte for each, as a text may be nothing but opening brackets. */
class Closers {
  #codes = new Uint8Array(64);
  depth = 0;

  get last(): "}" | "]" | undefined {
    return this.depth === 0 ? undefined : this.#codes[this.depth - 1] === 0 ? "}" : "]";
  }

  push(closer: "}" | "]"): void {
    if (this.depth === this.#codes.length) {
      const longer = new Uint8Array(2 * this.depth);
      longer.set(this.#codes);
      this.#codes = longer;
    }
    this.#codes[this.depth] = closer === "}" ? 0 : 1;
    this.depth += 1;
  }

  pop(): void {
    this.depth -= 1;
  }
}
