/**
 * In front of the scheduler: how many attempts of one share, a tenant, may be on their way to a sandbox or in one.
 *
 * 1. That are at most `sandboxesMax`, and beyond them one nested call for each depth, and a deeper one only: as in a worker
 *    (`scheduler.ts`), so that callers cannot keep their own callees out.
 * 2. Attempts that wait here take no place in the scheduler's queue: those of other shares do not wait behind them.
 */
import type { Attempt } from "./attempt.ts";
import { DepthQueues } from "./attempt-queue.ts";

interface Share {
  /** Attempts that are through and have not left. */
  active: number;
  /** Of these the ones that were let through although there were enough, each deeper than the one before. */
  readonly beyond: Attempt[];
  readonly waiting: DepthQueues;
}

export class ShareGate {
  readonly #shares = new Map<string, Share>();

  /** Attempts that wait here. */
  get waiting(): number {
    let waiting = 0;
    for (const share of this.#shares.values()) {
      waiting += share.waiting.size;
    }
    return waiting;
  }

  /** False when the attempt waits now; a later `leave` lets it through. */
  enter(attempt: Attempt): boolean {
    const { name } = attempt.start.share;
    let share = this.#shares.get(name);
    if (share === undefined) {
      share = { active: 0, beyond: [], waiting: new DepthQueues() };
      this.#shares.set(name, share);
    }
    if (!mayPass(share, attempt.start.depth, attempt)) {
      share.waiting.push(attempt);
      return false;
    }
    pass(share, attempt);
    return true;
  }

  /** The attempt is in no queue and no sandbox any more. Returns those that are through now. */
  leave(attempt: Attempt): readonly Attempt[] {
    const { name } = attempt.start.share;
    const share = this.#shares.get(name);
    if (share === undefined || !attempt.isThrough) {
      return NONE;
    }
    attempt.isThrough = false;
    share.active -= 1;
    const index = share.beyond.indexOf(attempt);
    if (index >= 0) {
      share.beyond.splice(index, 1);
    }
    if (share.waiting.size === 0) {
      if (share.active === 0) {
        this.#shares.delete(name);
      }
      return NONE;
    }
    const through: Attempt[] = [];
    while (share.waiting.size > 0 && mayPass(share, share.waiting.depth, attempt)) {
      const next = share.waiting.shift();
      if (next !== undefined) {
        pass(share, next);
        through.push(next);
      }
    }
    return through;
  }
}

const NONE: readonly Attempt[] = [];

function mayPass(share: Share, depth: number, { start }: Attempt): boolean {
  return share.active < start.share.sandboxesMax || depth > (share.beyond.at(-1)?.start.depth ?? 0);
}

function pass(share: Share, attempt: Attempt): void {
  if (share.active >= attempt.start.share.sandboxesMax) {
    share.beyond.push(attempt);
  }
  share.active += 1;
  attempt.isThrough = true;
}
