/**
 * How much memory the sandboxes of a process may have, of all its pools together.
 *
 * Owns: which attempts have room. Does not own: workers, queues for a worker (`scheduler.ts`).
 *
 * M1. What attempts have is at most `maxBytes`: an attempt has room for its memory when it begins, or waits. A memory that grows is
 *     seen when its guest next asks the host for something or gives way; until then it goes beyond: the guests of a turn of each worker, up to
 *     what a module may have each. A long output counts until its owner has used it; one for which there is no room is lost with its attempt.
 * M2. Beyond that one nested attempt for each depth has room, and a deeper one only: callers cannot keep their own callees out.
 * M3. What lies ready is the first to go: when it is beyond what attempts leave of `maxBytes`, when the machine is short of memory, and
 *     when it has not been used for `keepAliveMs`; the least recently used first.
 * M4. Groups are served fairly. A group that has more than its part, `maxBytes` by the number of groups there are, loses its largest
 *     attempts to one that has less and waits. Where memories have grown beyond `maxBytes`, the largest attempts of the largest group end.
 */

import type { KillReason } from "../sandbox.ts";

/** An attempt's memory. */
export interface MemoryClaim {
  /** Whose it is, a tenant's: those of one group share its part. */
  readonly group: string;
  /** Attempts above this one, which wait for it. */
  readonly depth: number;
  bytes: number;
  /** It has room now, after `enter` said that it has not. */
  readonly admit: () => void;
  /** It shall end; `leave` follows. */
  readonly end: (reason: KillReason, message: string) => void;
}

/** A pool, for what lies ready in it. */
export interface IdleMemory {
  readonly idleBytes: number;
  /** Drops what has lain ready for so long, and of the rest so many bytes. */
  trim(idleForMs: number, bytes: number): void;
}

export interface MemoryBudgetOptions {
  readonly maxBytes: number;
  readonly keepAliveMs: number;
  /** Whether the machine has hardly any memory left. */
  readonly isShort: () => boolean;
}

const LOOK_EVERY_MS = 1_000;

export class MemoryBudget {
  readonly #options: MemoryBudgetOptions;
  /** In the order of their admission. */
  readonly #admitted = new Set<MemoryClaim>();
  readonly #waiting = new Set<MemoryClaim>();
  /** Told to end and still there. */
  readonly #going = new Set<MemoryClaim>();
  /** Ended, and what they have left is still used. */
  readonly #ended = new Set<MemoryClaim>();
  /** Admitted beyond `maxBytes`, each deeper than the one before. */
  readonly #beyond: MemoryClaim[] = [];
  readonly #pools = new Set<IdleMemory>();
  #usedBytes = 0;
  /** What lay ready when this last looked. */
  #seenIdleBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #untilKeepAliveMs: number;

  constructor(options: MemoryBudgetOptions) {
    this.#options = options;
    this.#untilKeepAliveMs = options.keepAliveMs;
  }

  get maxBytes(): number {
    return this.#options.maxBytes;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Of attempts that have room. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** From now on what lies ready in the pool goes when it must, until the returned call. */
  join(pool: IdleMemory): () => void {
    this.#pools.add(pool);
    this.#timer ??= setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
    return () => {
      this.#pools.delete(pool);
      if (this.#pools.size === 0) {
        clearInterval(this.#timer);
        this.#timer = undefined;
      }
    };
  }

  /** False: the claim waits now, and `admit` is called when it has room. */
  enter(claim: MemoryClaim): boolean {
    if (this.#fits(claim)) {
      this.#take(claim);
      return true;
    }
    this.#waiting.add(claim);
    this.#makeRoomFor(claim);
    return false;
  }

  /** The memory has another size now. Nothing happens for a claim that has no room. */
  resized(claim: MemoryClaim, bytes: number): void {
    if (bytes === claim.bytes || !this.#admitted.has(claim) || this.#going.has(claim)) {
      return;
    }
    this.#usedBytes += bytes - claim.bytes;
    claim.bytes = bytes;
    this.#trimIdle(this.#seenIdleBytes);
    while (this.#excessBytes > 0) {
      const victim = this.#largest(0, this.#beyond);
      if (victim === undefined) {
        return;
      }
      this.#end(victim);
    }
  }

  /** Whether an attempt may leave so many bytes when it ends: what it has in any case, and what it was admitted beyond the limit for. */
  mayEndWith(claim: MemoryClaim, bytes: number): boolean {
    const moreBytes = bytes - claim.bytes;
    return moreBytes <= 0 || this.#beyond.includes(claim) || this.#excessBytes + moreBytes <= 0;
  }

  /** The attempt has ended: it leaves when `used` has settled, and until then has so many bytes. */
  async leaveAfter(used: Promise<void> | undefined, claim: MemoryClaim, bytes: number): Promise<void> {
    if (this.#admitted.has(claim)) {
      this.#usedBytes += bytes - claim.bytes;
      claim.bytes = bytes;
      this.#ended.add(claim);
      this.#admitWaiting();
    }
    await used;
    this.leave(claim);
  }

  /** The memory is gone, or the claim need not wait any more. */
  leave(claim: MemoryClaim): void {
    this.#waiting.delete(claim);
    if (!this.#admitted.delete(claim)) {
      return;
    }
    this.#usedBytes -= claim.bytes;
    this.#going.delete(claim);
    this.#ended.delete(claim);
    const index = this.#beyond.indexOf(claim);
    if (index >= 0) {
      this.#beyond.splice(index, 1);
    }
    this.#admitWaiting();
  }

  /** Of what must be below `maxBytes`; negative: so much room is left. */
  get #excessBytes(): number {
    return this.#usedBytes - sum(new Set([...this.#going, ...this.#beyond])) - this.maxBytes;
  }

  #admitWaiting(): void {
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      this.#waiting.delete(next);
      this.#take(next);
      next.admit();
    }
  }

  #fits(claim: MemoryClaim): boolean {
    return this.#usedBytes + claim.bytes <= this.maxBytes || claim.depth > (this.#beyond.at(-1)?.depth ?? 0);
  }

  #take(claim: MemoryClaim): void {
    if (this.#usedBytes + claim.bytes > this.maxBytes) {
      this.#beyond.push(claim);
    }
    this.#admitted.add(claim);
    this.#usedBytes += claim.bytes;
    this.#trimIdle(this.#seenIdleBytes);
  }

  /** Of those that wait and have room now: nested ones come first, then those of the group that has least. */
  #next(): MemoryClaim | undefined {
    if (this.#waiting.size === 0) {
      return undefined;
    }
    const groups = this.#bytesByGroup();
    const had = ({ group }: MemoryClaim) => groups.get(group) ?? 0;
    let first: MemoryClaim | undefined;
    for (const claim of this.#waiting) {
      const isFirst =
        first === undefined || claim.depth > first.depth || (claim.depth === first.depth && had(claim) < had(first));
      if (isFirst && this.#fits(claim)) {
        first = claim;
      }
    }
    return first;
  }

  /** M4 */
  #makeRoomFor(claim: MemoryClaim): void {
    const groups = this.#bytesByGroup();
    groups.set(claim.group, (groups.get(claim.group) ?? 0) + claim.bytes);
    const partBytes = this.maxBytes / groups.size;
    if ((groups.get(claim.group) ?? 0) > partBytes) {
      return;
    }
    let missingBytes = this.#usedBytes - sum(this.#going) + claim.bytes - this.maxBytes;
    for (let victim = this.#largest(partBytes); missingBytes > 0 && victim !== undefined; victim = this.#largest(partBytes)) {
      missingBytes -= victim.bytes;
      this.#end(victim);
    }
  }

  #end(claim: MemoryClaim): void {
    this.#going.add(claim);
    const { bytes } = claim;
    if (bytes > this.maxBytes) {
      claim.end("tooLarge", `the call has grown to ${bytes} bytes, all sandboxes together may have ${this.maxBytes}`);
    } else {
      const mib = Math.floor(this.maxBytes / 2 ** 20);
      claim.end(
        "overloaded",
        `the sandboxes of this host have all of their ${mib} MiB, and this call had most of those of its tenant`,
      );
    }
  }

  /** The largest attempt that runs, of the group that has most, if that is more than `bytes`; the latest of equals. */
  #largest(bytes: number, spared: readonly MemoryClaim[] = []): MemoryClaim | undefined {
    const groups = this.#bytesByGroup();
    const has = ({ group }: MemoryClaim) => groups.get(group) ?? 0;
    let largest: MemoryClaim | undefined;
    for (const claim of this.#admitted) {
      const isSpared = this.#going.has(claim) || this.#ended.has(claim) || spared.includes(claim);
      if (isSpared || has(claim) <= bytes) {
        continue;
      }
      const isOfSame = claim.group === largest?.group;
      if (largest === undefined || (isOfSame ? claim.bytes >= largest.bytes : has(claim) > has(largest))) {
        largest = claim;
      }
    }
    return largest;
  }

  /** Of attempts that have room and are not about to end. */
  #bytesByGroup(): Map<string, number> {
    const groups = new Map<string, number>();
    for (const claim of this.#admitted) {
      groups.set(claim.group, (groups.get(claim.group) ?? 0) + (this.#going.has(claim) ? 0 : claim.bytes));
    }
    return groups;
  }

  /** @param idleBytes  what lies ready, as far as it is known */
  #trimIdle(idleBytes: number): void {
    const excessBytes = Math.min(idleBytes, this.#usedBytes + idleBytes - this.maxBytes);
    if (excessBytes <= 0) {
      return;
    }
    this.#seenIdleBytes -= excessBytes;
    for (const pool of this.#pools) {
      pool.trim(Number.POSITIVE_INFINITY, Math.ceil((excessBytes * pool.idleBytes) / idleBytes));
    }
  }

  #look(): void {
    const { keepAliveMs, isShort } = this.#options;
    this.#seenIdleBytes = 0;
    for (const { idleBytes } of this.#pools) {
      this.#seenIdleBytes += idleBytes;
    }
    this.#trimIdle(this.#seenIdleBytes);
    this.#untilKeepAliveMs -= LOOK_EVERY_MS;
    const idleForMs = isShort() ? 0 : this.#untilKeepAliveMs <= 0 ? keepAliveMs : undefined;
    if (idleForMs === undefined) {
      return;
    }
    // One that is used no more goes within five quarters of its time.
    this.#untilKeepAliveMs = keepAliveMs / 4;
    for (const pool of this.#pools) {
      pool.trim(idleForMs, 0);
    }
  }
}

function sum(claims: Iterable<MemoryClaim>): number {
  let bytes = 0;
  for (const claim of claims) {
    bytes += claim.bytes;
  }
  return bytes;
}
