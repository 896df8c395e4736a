/** What lies ready in the workers of a pool, as one. */
import type { Carrier } from "../frames/carrier.ts";
import { FrameType } from "../frames/protocol.ts";
import type { IdleMemory } from "./memory-budget.ts";

export class IdleWorkers implements IdleMemory {
  readonly #workers: () => Iterable<Pick<Carrier, "marks" | "channel">>;

  constructor(workers: () => Iterable<Pick<Carrier, "marks" | "channel">>) {
    this.#workers = workers;
  }

  get idleBytes(): number {
    let idleBytes = 0;
    for (const { marks } of this.#workers()) {
      idleBytes += marks.idleBytes;
    }
    return idleBytes;
  }

  /** Each worker gives up its share. */
  trim(idleForMs: number, bytes: number): void {
    const { idleBytes } = this;
    for (const { marks, channel } of this.#workers()) {
      const own = marks.idleBytes;
      if (own > 0) {
        channel.send({ type: FrameType.trim, x: idleForMs, y: Math.ceil((bytes * own) / idleBytes) });
      }
    }
  }
}
