/** Names of a chunk at most: what an insert moves. */
const CHUNK_MAX = 512;

/** The names of a LogBook's objects in the order of their UTF-8 bytes. No call touches more than a few chunks of them (H27). */
export class ObjectNames {
  /** In order, each in order and none empty. */
  readonly #chunks: string[][] = [];
  #isBefore = isBeforePlain;

  /** Adds a name that is not there. */
  add(given: string): void {
    const name = ownString(given);
    if (this.#isBefore === isBeforePlain && HIGH_UNIT.test(name)) {
      this.#isBefore = isBeforeUtf8;
    }
    const at = this.#chunkOf(name);
    const chunk = this.#chunks[at];
    if (chunk === undefined) {
      this.#chunks.push([name]);
      return;
    }
    chunk.splice(this.#firstFrom(chunk, name), 0, name);
    if (chunk.length > CHUNK_MAX) {
      // Names that come in their order leave full chunks behind.
      const isLast = at === this.#chunks.length - 1 && chunk.at(-1) === name;
      this.#chunks.splice(at + 1, 0, chunk.splice(isLast ? CHUNK_MAX : CHUNK_MAX / 2));
    }
  }

  /** Removes a name that is there. */
  remove(name: string): void {
    const at = this.#chunkOf(name);
    const chunk = this.#chunks[at] ?? [];
    chunk.splice(this.#firstFrom(chunk, name), 1);
    if (chunk.length === 0) {
      this.#chunks.splice(at, 1);
    }
  }

  /** Calls `visit` for the names that begin with `prefix` and come after `after`, in order, until it returns false. */
  visit(prefix: string, after: string, visit: (name: string) => boolean): void {
    const from = compareUtf8(prefix, after) > 0 ? prefix : after;
    let at = this.#chunkOf(from);
    let within = this.#firstFrom(this.#chunks[at] ?? [], from);
    for (let chunk = this.#chunks[at]; chunk !== undefined; chunk = this.#chunks[++at]) {
      for (; within < chunk.length; within++) {
        const name = chunk[within] ?? "";
        if (name === after && after !== "") {
          continue;
        }
        if (!name.startsWith(prefix) || !visit(name)) {
          return;
        }
      }
      within = 0;
    }
  }

  /** The last chunk that begins at or before `name`, or the first one. */
  #chunkOf(name: string): number {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#isBefore(name, this.#chunks[middle]?.[0] ?? "")) {
        high = middle - 1;
      } else {
        low = middle;
      }
    }
    return low;
  }

  #firstFrom(chunk: readonly string[], name: string): number {
    let low = 0;
    let high = chunk.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#isBefore(chunk[middle] ?? "", name)) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
}

const scratch = Buffer.allocUnsafe(4_096);

/** The engine compares a string that is part of another one, as a key is of its tag, several times as slowly. */
function ownString(name: string): string {
  return name.length > scratch.length / 3 ? name : scratch.toString("utf8", 0, scratch.write(name));
}

/** Above it the order of UTF-16 units is another one than that of UTF-8 bytes. */
const HIGH_UNIT = /[\ud800-\uffff]/;

/** The engine's own order, ten times as fast: right while no name has a high unit, whatever it is compared with. */
function isBeforePlain(a: string, b: string): boolean {
  return a < b;
}

function isBeforeUtf8(a: string, b: string): boolean {
  return compareUtf8(a, b) < 0;
}

/** Orders well-formed strings as their UTF-8 bytes are ordered; `<` orders by UTF-16 units, which differs above U+D7FF. */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) {
      return rank(x) - rank(y);
    }
  }
  return a.length - b.length;
}

/** Surrogates stand for code points above every other unit. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
