/** Slots of attempts. A slot counts its uses, so that a message about an earlier use is never taken for one about the present (H6). */
import type { Attempt } from "./attempt.ts";

export class AttemptTable {
  readonly #attempts: (Attempt | undefined)[] = [];
  readonly #uses: number[] = [];
  readonly #free: number[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Puts what `make` returns into a free slot. */
  add(make: (place: { slot: number; attempt: number }) => Attempt): Attempt {
    const slot = this.#free.pop() ?? this.#attempts.length;
    const use = ((this.#uses[slot] ?? 0) + 1) | 0;
    this.#uses[slot] = use;
    const attempt = make({ slot, attempt: use });
    this.#attempts[slot] = attempt;
    this.#size += 1;
    return attempt;
  }

  get(slot: number, use: number): Attempt | undefined {
    return this.#uses[slot] === use ? this.#attempts[slot] : undefined;
  }

  /** False when it had been removed before. */
  remove(attempt: Attempt): boolean {
    const found = this.get(attempt.slot, attempt.attempt) === attempt;
    if (found) {
      this.#attempts[attempt.slot] = undefined;
      this.#free.push(attempt.slot);
      this.#size -= 1;
    }
    return found;
  }

  /** All attempts now in the table; they may be removed meanwhile. */
  *all(): Iterable<Attempt> {
    for (const attempt of this.#attempts) {
      if (attempt !== undefined) {
        yield attempt;
      }
    }
  }
}
