/** The attempts that use each session, so that all of them end with it (F1). */
import { NeapError } from "../../state/errors.ts";
import type { Shard } from "../../state/logbook/index.ts";
import type { Attempt } from "./attempt.ts";

export class LiveAttempts {
  readonly #bySession = new Map<Shard, Set<Attempt>>();

  add(shard: Shard, attempt: Attempt): void {
    let attempts = this.#bySession.get(shard);
    if (attempts === undefined) {
      attempts = new Set();
      this.#bySession.set(shard, attempts);
      void shard.ended.then(() => this.#end(shard));
    }
    attempts.add(attempt);
  }

  delete(shard: Shard, attempt: Attempt): void {
    this.#bySession.get(shard)?.delete(attempt);
  }

  #end(shard: Shard): void {
    const attempts = this.#bySession.get(shard) ?? [];
    this.#bySession.delete(shard);
    const error = new NeapError("EPOCH_CHANGED", "the session with the owner of the LogBook has ended");
    for (const attempt of attempts) {
      attempt.stop({ kind: "failed", error });
    }
  }
}
