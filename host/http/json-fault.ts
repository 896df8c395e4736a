/** Where a text stops being JSON: the engine's own messages often do not say. */

/**
 * What is wrong with `text`, which JSON.parse has refused: `unexpected "}" at position 8 (line 1, column 9)`. Linear in its length.
 */
export function describeJsonFault(text: string): string {
  const position = new Scanner(text).run();
  if (position >= text.length) {
    return `it ends too early, at position ${text.length}`;
  }
  const before = text.slice(0, position);
  const line = before.split("\n").length;
  const column = position - before.lastIndexOf("\n");
  const character = String.fromCodePoint(text.codePointAt(position) ?? 0);
  return `unexpected ${JSON.stringify(character)} at position ${position} (line ${line}, column ${column})`;
}

/** Walks over one JSON value without recursion, and stops at the first character that does not fit. */
class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** The position that does not fit; the length of the text when more was expected, or when nothing is wrong. */
  run(): number {
    const closers: ("}" | "]")[] = [];
    let expects: "value" | "valueOrClose" | "key" | "keyOrClose" | "next" = "value";
    while (true) {
      this.#space();
      const character = this.#text[this.#at];
      if (character === undefined) {
        return this.#at;
      }
      const closer = closers.at(-1);
      if (expects === "next") {
        if (character === closer) {
          closers.pop();
        } else if (character === "," && closer !== undefined) {
          expects = closer === "}" ? "key" : "value";
        } else {
          return this.#at;
        }
        this.#at += 1;
      } else if (character === closer && expects.endsWith("OrClose")) {
        closers.pop();
        this.#at += 1;
        expects = "next";
      } else if (expects === "key" || expects === "keyOrClose") {
        if (character !== '"' || !this.#string()) {
          return this.#at;
        }
        this.#space();
        if (this.#text[this.#at] !== ":") {
          return this.#at;
        }
        this.#at += 1;
        expects = "value";
      } else if (character === "{" || character === "[") {
        closers.push(character === "{" ? "}" : "]");
        this.#at += 1;
        expects = character === "{" ? "keyOrClose" : "valueOrClose";
      } else if (character === '"' ? this.#string() : this.#literal()) {
        expects = "next";
      } else {
        return this.#at;
      }
    }
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
