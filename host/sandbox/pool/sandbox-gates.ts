/**
 * In front of the scheduler: how many attempts of one group, a tenant or one of its functions, may be on their way to a sandbox or in one.
 *
 * 1. That are at most as many as the bound says, and beyond them one nested call for each depth, and a deeper one only: as in a worker
 *    (`scheduler.ts`), so that callers cannot keep their own callees out.
 * 2. Attempts that wait here take no place in the scheduler's queue: those of other groups do not wait behind them.
 */
import type { SandboxStart } from "../sandbox.ts";
import type { Attempt } from "./attempt.ts";
import { DepthQueues } from "./attempt-queue.ts";

interface SandboxBound {
  readonly group: string;
  readonly sandboxesMax: number;
}

interface GroupAttempts {
  /** Attempts that are through and have not left. */
  readonly active: Set<Attempt>;
  /** Of these the ones that were let through although there were enough, each deeper than the one before. */
  readonly beyond: Attempt[];
  readonly waiting: DepthQueues;
}

/** All of a tenant. */
const ofTenant = ({ tenant, sandboxesMax }: SandboxStart): SandboxBound => ({ group: tenant, sandboxesMax });

/** Those of a function that may have fewer than its tenant; null: it may have as many. */
const ofFunction = ({ tenant, ofFunction: own }: SandboxStart): SandboxBound | null =>
  own === undefined ? null : { group: `${tenant}/${own.name}`, sandboxesMax: own.sandboxesMax };

/** What its function may have, and then its tenant: what waits for the first takes nothing of the second. */
export class SandboxGates {
  readonly #functions = new SandboxGate(ofFunction);
  readonly #tenants = new SandboxGate(ofTenant);

  /** Attempts that wait here. */
  get waiting(): number {
    return this.#functions.waiting + this.#tenants.waiting;
  }

  /** False when the attempt waits now; a later `leave` lets it through. */
  enter(attempt: Attempt): boolean {
    return this.#functions.enter(attempt) && this.#tenants.enter(attempt);
  }

  /** The attempt is in no queue and no sandbox any more. Returns those that are through now. */
  leave(attempt: Attempt): readonly Attempt[] {
    const through = this.#tenants.leave(attempt);
    const next = this.#functions.leave(attempt).filter((one) => this.#tenants.enter(one));
    return [...through, ...next];
  }
}

class SandboxGate {
  readonly #boundOf: (start: SandboxStart) => SandboxBound | null;
  readonly #groups = new Map<string, GroupAttempts>();

  /** @param boundOf  null: the attempt is not bounded here; always the same for an attempt */
  constructor(boundOf: (start: SandboxStart) => SandboxBound | null) {
    this.#boundOf = boundOf;
  }

  get waiting(): number {
    let waiting = 0;
    for (const own of this.#groups.values()) {
      waiting += own.waiting.size;
    }
    return waiting;
  }

  enter(attempt: Attempt): boolean {
    const bound = this.#boundOf(attempt.start);
    if (bound === null) {
      return true;
    }
    let own = this.#groups.get(bound.group);
    if (own === undefined) {
      own = { active: new Set(), beyond: [], waiting: new DepthQueues() };
      this.#groups.set(bound.group, own);
    }
    if (!mayPass(own, attempt.start.depth, bound)) {
      own.waiting.push(attempt);
      return false;
    }
    pass(own, attempt, bound);
    return true;
  }

  leave(attempt: Attempt): readonly Attempt[] {
    const bound = this.#boundOf(attempt.start);
    const own = bound === null ? undefined : this.#groups.get(bound.group);
    if (bound === null || own === undefined || !own.active.delete(attempt)) {
      return NONE;
    }
    const index = own.beyond.indexOf(attempt);
    if (index >= 0) {
      own.beyond.splice(index, 1);
    }
    if (own.waiting.size === 0) {
      if (own.active.size === 0) {
        this.#groups.delete(bound.group);
      }
      return NONE;
    }
    const through: Attempt[] = [];
    while (own.waiting.size > 0 && mayPass(own, own.waiting.depth, bound)) {
      const next = own.waiting.shift();
      if (next !== undefined) {
        pass(own, next, bound);
        through.push(next);
      }
    }
    return through;
  }
}

const NONE: readonly Attempt[] = [];

function mayPass(own: GroupAttempts, depth: number, { sandboxesMax }: SandboxBound): boolean {
  return own.active.size < sandboxesMax || depth > (own.beyond.at(-1)?.start.depth ?? 0);
}

function pass(own: GroupAttempts, attempt: Attempt, { sandboxesMax }: SandboxBound): void {
  if (own.active.size >= sandboxesMax) {
    own.beyond.push(attempt);
  }
  own.active.add(attempt);
}
