import type { SeqNum } from "../ids.ts";
import type { Turn } from "../logbook/logbook.ts";
import { objectTag } from "../tags.ts";
import type { StepStream } from "./step-stream.ts";

/** The turns at objects that an attempt has, so that contending updates queue instead of failing. A matter of speed only. */
export class ObjectTurns {
  readonly #steps: StepStream;
  readonly #turns = new Map<string, Turn>();

  constructor(steps: StepStream) {
    this.#steps = steps;
  }

  /** Waits for this attempt's turn, unless it has it; then reads may be as fresh as the attempt's past allows. */
  async take(key: string): Promise<void> {
    if (!this.#steps.replaying && !this.#turns.has(key)) {
      const turn = await this.#steps.book.turn(objectTag(key));
      this.#turns.set(key, turn);
      this.#steps.refresh(turn.tail);
    }
  }

  /** A change since the turn began has ended it: queue again. With a read from before it, the turn goes on: read again. */
  afterConflict(key: string, readAt: SeqNum): void {
    const turn = this.#turns.get(key);
    if (turn !== undefined && readAt >= turn.tail) {
      this.end(key);
    }
  }

  end(key: string): void {
    this.#turns.get(key)?.end();
    this.#turns.delete(key);
  }

  endAll(): void {
    for (const key of [...this.#turns.keys()]) {
      this.end(key);
    }
  }
}
