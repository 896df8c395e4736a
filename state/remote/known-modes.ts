import type { SeqNum } from "../ids.ts";
import type { ModeAt } from "../logbook/logbook.ts";

/** Further scopes are asked for again. */
const SCOPES_MAX = 1_000;

/**
 * What a session knows of a LogBook's modes, so that a call need not ask: between two mode records nothing about modes changes, and
 * every answer that gives a call its cursor tells the last one up to there.
 */
export class KnownModes {
  /** Nothing changed from `#since`, a mode record or 0, up to here. */
  #until = -1;
  #since = 0;
  readonly #scopes = new Map<string, ModeAt>();

  /** At `tail` the last mode record was `modes`. */
  learn(tail: SeqNum, modes: SeqNum): void {
    if (tail <= this.#until) {
      return;
    }
    if (modes !== this.#since) {
      this.#scopes.clear();
      this.#since = modes;
    }
    this.#until = tail;
  }

  at(scope: string, cursor: SeqNum): ModeAt | undefined {
    return this.#covers(cursor) ? this.#scopes.get(scope) : undefined;
  }

  add(scope: string, cursor: SeqNum, found: ModeAt): void {
    if (this.#covers(cursor) && found.modes === this.#since) {
      if (this.#scopes.size >= SCOPES_MAX) {
        this.#scopes.clear();
      }
      this.#scopes.set(scope, found);
    }
  }

  #covers(cursor: SeqNum): boolean {
    return cursor >= this.#since && cursor <= this.#until;
  }
}
