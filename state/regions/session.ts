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

export class RegionSession {
  readonly #app: TenantRegions;
  readonly #isCurrent: () => boolean;
  readonly #onEnd: () => void;
  /** By handle. */
  readonly #opened = new Map<number, MemoryRegion>();
  readonly #places = new Map<MemoryRegion, Place>();
  #isGuestGone = false;
  #isClosed = false;

  /** @param isCurrent  see there */
  constructor(app: TenantRegions, isCurrent: () => boolean, onEnd: () => void) {
    this.#app = app;
    this.#isCurrent = isCurrent;
    this.#onEnd = onEnd;
  }

  /** What the guest's accesses go to. */
  get memory(): ArenaMemory {
    return this.#app.arena.memory;
  }

  /** False: another attempt of the tenant that begins now finds none of what is in these regions. */
  get isCurrent(): boolean {
    return this.#isCurrent();
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
  grow(region: MemoryRegion, sizeBytes: number): Promise<boolean> {
    return this.#app.grow(region, sizeBytes);
  }

  /** A copy of the region's bytes as they are now; null when they are not all inside. Others may write them meanwhile. */
  async read(region: MemoryRegion, offset: number, length: number): Promise<Uint8Array | null> {
    return offset + length <= region.sizeBytes ? this.memory.read(this.#address(region, offset), length) : null;
  }

  /** False when they are not all inside; then nothing has happened. */
  async write(region: MemoryRegion, offset: number, bytes: Uint8Array): Promise<boolean> {
    if (offset + bytes.byteLength > region.sizeBytes) {
      return false;
    }
    await this.memory.write(this.#address(region, offset), bytes);
    return true;
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

  /**
   * Waits for a notification at the i32 at `offset`; null when it is not `expected` any more. Who stores another value and notifies then
   * is not missed: the wait begins before the value is looked at.
   */
  async wait(region: MemoryRegion, offset: number, expected: number): Promise<Waiter | null> {
    const address = this.#address(region, offset);
    const waiter = this.#app.waits.wait(address);
    try {
      return (await this.memory.load(address)) !== expected && waiter.leave() ? null : waiter;
    } catch (error) {
      waiter.leave();
      throw error;
    }
  }

  /** @returns how many were woken */
  notify(region: MemoryRegion, offset: number, count: number): number {
    return this.#app.waits.notify(this.#address(region, offset), count);
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

  #address(region: MemoryRegion, offset: number): number {
    return this.#app.arena.address(region.handle, offset);
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
