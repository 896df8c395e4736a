/**
 * The places of one instance in the queues of locks. They outlive its attempts: who gave its sandbox back while it waits keeps its
 * place.
 */
import type { InstanceId, LogBookId } from "../../state/ids.ts";
import type { Shard, Turn } from "../../state/logbook/index.ts";

interface Place {
  readonly shard: Shard;
  readonly turn: Promise<Turn>;
}

export class LockTurns {
  readonly #places = new Map<string, Place>();

  /** The place that is kept, if it is of this session, or a new one at the end of the queue. */
  take(shard: Shard, tenant: LogBookId, name: string, root: InstanceId): Promise<Turn> {
    const kept = this.#places.get(name);
    if (kept !== undefined && kept.shard === shard) {
      return kept.turn;
    }
    const turn = shard.book(tenant).lockTurn(name, root);
    this.#places.set(name, { shard, turn });
    return turn;
  }

  /** Leaves the queue of the lock. Nothing happens when there is no place in it. */
  leave(name: string): void {
    const place = this.#places.get(name);
    this.#places.delete(name);
    place?.turn.then(
      (turn) => turn.end(),
      // The session is over, and the queue with it.
      () => {},
    );
  }

  /** Leaves all queues. */
  close(): void {
    for (const name of [...this.#places.keys()]) {
      this.leave(name);
    }
  }
}
