/**
 * What one attempt does with regions.
 *
 * S1. Its locks, and its places in their queues, end when its guest can run no more: not before, as until then it may still write what
 *     they guard, and always then, whatever has become of it (H10).
 * S2. The regions it has opened stay until then, and until the instance's run is over: what the next attempt finds in them is what this
 *     one left.
 */
import { invariant } from "../errors.ts";
import type { ArenaMemory } from "./arena.ts";
import type { LockMode, Place, Taken } from "./region-lock.ts";
import type { MemoryRegion, Opened, TenantRegions } from "./tenant-regions.ts";
import type { Waiter } from "./wait-queue.ts";

export class RegionSession<M extends ArenaMemory = ArenaMemory> {
  readonly #app: TenantRegions<M>;
  readonly #onEnd: () => void;
  /** By handle. */
  readonly #opened = new Map<number, MemoryRegion>();
  readonly #places = new Map<MemoryRegion, Place>();
  #isGuestGone = false;
  #isClosed = false;

  constructor(app: TenantRegions<M>, onEnd: () => void) {
    this.#app = app;
    this.#onEnd = onEnd;
  }

  /** What the guest's accesses go to. */
  get memory(): M {
    return this.#app.arena.memory;
  }

  /** As `TenantRegions.open`; the region can be reached when this resolves. @throws REGIONS_FULL */
  async open(name: string, sizeBytes: number, maxBytes: number): Promise<Opened> {
    invariant(!this.#isGuestGone, "nothing is opened for a guest that is gone");
    const { opened, ready } = this.#app.open(name, sizeBytes, maxBytes);
    if (opened.kind === "opened") {
      const { region } = opened;
      if (this.#opened.has(region.handle)) {
        this.#app.leave(region);
      } else {
        this.#opened.set(region.handle, region);
      }
      await ready;
    }
    return opened;
  }

  /** The region, if this attempt has opened it. */
  region(handle: number): MemoryRegion | null {
    return this.#opened.get(handle) ?? null;
  }

  /** False when that is over the region's capacity. @throws REGIONS_FULL */
  grow(region: MemoryRegion, sizeBytes: number): boolean {
    return this.#app.grow(region, sizeBytes);
  }

  /** A view of the region's memory; null when it is not all inside. Others may write it meanwhile. */
  bytes(region: MemoryRegion, offset: number, length: number): Uint8Array | null {
    return offset + length <= region.sizeBytes ? this.#app.arena.bytes(region.handle, offset, length) : null;
  }

  /** The lock, or the place in its queue; null when the attempt holds it, or waits for it, already. */
  lock(region: MemoryRegion, mode: LockMode): Promise<Taken> | null {
    if (region.lock.has(this)) {
      return null;
    }
    const place = region.lock.take(this, mode);
    this.#places.set(region, place);
    return place.taken;
  }

  /** False when the attempt does not hold it. */
  unlock(region: MemoryRegion): boolean {
    this.#places.delete(region);
    return region.lock.release(this, true);
  }

  /** Waits for a notification at the i32 at `offset`; null when it is not `expected` any more. */
  wait(region: MemoryRegion, offset: number, expected: number): Waiter | null {
    const { arena, waits } = this.#app;
    const address = arena.address(region.handle, offset);
    return arena.load(address) === expected ? waits.wait(address) : null;
  }

  /** @returns how many were woken */
  notify(region: MemoryRegion, offset: number, count: number): number {
    return this.#app.waits.notify(this.#app.arena.address(region.handle, offset), count);
  }

  /** The guest can run no more. */
  guestGone(): void {
    if (!this.#isGuestGone) {
      this.#isGuestGone = true;
      for (const [region, place] of this.#places) {
        place.leave();
        region.lock.release(this, false);
      }
      this.#end();
    }
  }

  /** No further attempt will rest on what this one has left. */
  close(): void {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#end();
    }
  }

  #end(): void {
    if (this.#isGuestGone && this.#isClosed) {
      for (const region of this.#opened.values()) {
        this.#app.leave(region);
      }
      this.#onEnd();
    }
  }
}
