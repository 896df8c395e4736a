/**
 * In front of the scheduler: how many attempts of one tenant may be on their way to a sandbox or in one.
 *
 * 1. That are at most `sandboxesMax`, and beyond them one nested call for each depth, and a deeper one only: as in a worker
 *    (`scheduler.ts`), so that callers cannot keep their own callees out.
 * 2. Attempts that wait here take no place in the scheduler's queue: those of other tenants do not wait behind them.
 */
import type { Attempt } from "./attempt.ts";
import { DepthQueues } from "./attempt-queue.ts";

interface TenantAttempts {
  /** Attempts that are through and have not left. */
  active: number;
  /** Of these the ones that were let through although there were enough, each deeper than the one before. */
  readonly beyond: Attempt[];
  readonly waiting: DepthQueues;
}

export class TenantGate {
  readonly #tenants = new Map<string, TenantAttempts>();

  /** Attempts that wait here. */
  get waiting(): number {
    let waiting = 0;
    for (const own of this.#tenants.values()) {
      waiting += own.waiting.size;
    }
    return waiting;
  }

  /** False when the attempt waits now; a later `leave` lets it through. */
  enter(attempt: Attempt): boolean {
    const { tenant } = attempt.start;
    let own = this.#tenants.get(tenant);
    if (own === undefined) {
      own = { active: 0, beyond: [], waiting: new DepthQueues() };
      this.#tenants.set(tenant, own);
    }
    if (!mayPass(own, attempt.start.depth, attempt)) {
      own.waiting.push(attempt);
      return false;
    }
    pass(own, attempt);
    return true;
  }

  /** The attempt is in no queue and no sandbox any more. Returns those that are through now. */
  leave(attempt: Attempt): readonly Attempt[] {
    const { tenant } = attempt.start;
    const own = this.#tenants.get(tenant);
    if (own === undefined || !attempt.isThrough) {
      return NONE;
    }
    attempt.isThrough = false;
    own.active -= 1;
    const index = own.beyond.indexOf(attempt);
    if (index >= 0) {
      own.beyond.splice(index, 1);
    }
    if (own.waiting.size === 0) {
      if (own.active === 0) {
        this.#tenants.delete(tenant);
      }
      return NONE;
    }
    const through: Attempt[] = [];
    while (own.waiting.size > 0 && mayPass(own, own.waiting.depth, attempt)) {
      const next = own.waiting.shift();
      if (next !== undefined) {
        pass(own, next);
        through.push(next);
      }
    }
    return through;
  }
}

const NONE: readonly Attempt[] = [];

function mayPass(own: TenantAttempts, depth: number, { start }: Attempt): boolean {
  return own.active < start.sandboxesMax || depth > (own.beyond.at(-1)?.start.depth ?? 0);
}

function pass(own: TenantAttempts, attempt: Attempt): void {
  if (own.active >= attempt.start.sandboxesMax) {
    own.beyond.push(attempt);
  }
  own.active += 1;
  attempt.isThrough = true;
}
