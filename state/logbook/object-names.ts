/** The names of a LogBook's objects in the order of their UTF-8 bytes. An insert costs nothing; the next listing merges. */
export class ObjectNames {
  #sorted: string[] = [];
  #added: string[] = [];

  /** Adds a name that is not there. */
  add(name: string): void {
    this.#added.push(name);
  }

  /** Removes names that are there. */
  remove(names: ReadonlySet<string>): void {
    if (names.size > 0) {
      this.#merge();
      this.#sorted = this.#sorted.filter((name) => !names.has(name));
    }
  }

  /** Calls `visit` for the names that begin with `prefix` and come after `after`, in order, until it returns false. */
  visit(prefix: string, after: string, visit: (name: string) => boolean): void {
    this.#merge();
    const from = compareUtf8(prefix, after) > 0 ? prefix : after;
    for (let i = this.#firstFrom(from); i < this.#sorted.length; i++) {
      const name = this.#sorted[i] ?? "";
      if (name === after && after !== "") {
        continue;
      }
      if (!name.startsWith(prefix) || !visit(name)) {
        return;
      }
    }
  }

  #merge(): void {
    if (this.#added.length === 0) {
      return;
    }
    const added = this.#added.sort(compareUtf8);
    const old = this.#sorted;
    const merged: string[] = [];
    let i = 0;
    for (const name of added) {
      for (let next = old[i]; next !== undefined && compareUtf8(next, name) < 0; next = old[++i]) {
        merged.push(next);
      }
      merged.push(name);
    }
    for (; i < old.length; i++) {
      merged.push(old[i] ?? "");
    }
    this.#sorted = merged;
    this.#added = [];
  }

  #firstFrom(name: string): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareUtf8(this.#sorted[middle] ?? "", name) < 0) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
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
