interface Entry<T> {
  readonly item: T;
  key: number;
  place: number;
}

/** Things by a number of theirs that may change: which number is the lowest is known at once, however many there are (H27). */
export class Lowest<T> {
  readonly #entries = new Map<T, Entry<T>>();
  /** A binary heap. */
  readonly #heap: Entry<T>[] = [];

  /** Of all things; Infinity when there is none. */
  get lowest(): number {
    return this.#heap[0]?.key ?? Number.POSITIVE_INFINITY;
  }

  /** @param key  Infinity for a thing that does not count any more */
  set(item: T, key: number): void {
    const known = this.#entries.get(item);
    if (key === Number.POSITIVE_INFINITY) {
      this.#remove(known);
    } else if (known === undefined) {
      const entry = { item, key, place: this.#heap.length };
      this.#entries.set(item, entry);
      this.#heap.push(entry);
      this.#up(entry);
    } else if (known.key !== key) {
      known.key = key;
      this.#up(known);
      this.#down(known);
    }
  }

  #remove(entry: Entry<T> | undefined): void {
    if (entry === undefined) {
      return;
    }
    this.#entries.delete(entry.item);
    const last = this.#heap.pop();
    if (last !== undefined && last !== entry) {
      this.#put(last, entry.place);
      this.#up(last);
      this.#down(last);
    }
  }

  #up(entry: Entry<T>): void {
    while (entry.place > 0) {
      const above = this.#heap[(entry.place - 1) >>> 1];
      if (above === undefined || above.key <= entry.key) {
        return;
      }
      this.#swap(entry, above);
    }
  }

  #down(entry: Entry<T>): void {
    for (;;) {
      const left = this.#heap[2 * entry.place + 1];
      const right = this.#heap[2 * entry.place + 2];
      const below = right !== undefined && left !== undefined && right.key < left.key ? right : left;
      if (below === undefined || below.key >= entry.key) {
        return;
      }
      this.#swap(entry, below);
    }
  }

  #swap(a: Entry<T>, b: Entry<T>): void {
    const { place } = a;
    this.#put(a, b.place);
    this.#put(b, place);
  }

  #put(entry: Entry<T>, place: number): void {
    entry.place = place;
    this.#heap[place] = entry;
  }
}
