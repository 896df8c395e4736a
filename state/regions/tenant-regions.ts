/**
 * The regions of one tenant on this node: names, sizes, who uses them.
 *
 * T1. A region that somebody uses stays where it is; one that nobody uses stays until it has been idle for long, or room is needed.
 * T2. What is open has `sizeBytes` bytes that guests can reach, and never fewer than before.
 */
import type { Clock } from "../ports.ts";
import { type Arena, wholePages } from "./arena.ts";
import { RegionLock } from "./region-lock.ts";
import { WaitQueue } from "./wait-queue.ts";

export interface MemoryRegion {
  readonly name: string;
  readonly handle: number;
  readonly capacityBytes: number;
  readonly lock: RegionLock;
  sizeBytes: number;
  /** Sessions that have it open. */
  users: number;
  /** Since when nobody has it open; monotonic, ms. */
  idleSinceMs: number;
}

/** `tooLarge`: over its own capacity, or over what the tenant may have. */
export type Opened = { readonly kind: "opened"; readonly region: MemoryRegion } | { readonly kind: "absent" | "tooLarge" };

export class TenantRegions {
  readonly arena: Arena;
  readonly waits = new WaitQueue();
  /** Attempts that may reach the memory, and runs that rest on what is in it. */
  sessions = 0;
  idleSinceMs: number;
  readonly #clock: Clock;
  readonly #makeRoom: (bytes: number) => void;
  readonly #regions = new Map<string, MemoryRegion>();
  /** Resolves when the region can be reached. */
  readonly #ready = new Map<MemoryRegion, Promise<void>>();
  /** The last one that was asked for: one region grows at a time. */
  #growth: Promise<void> = Promise.resolve();

  /** @param makeRoom  called before the memory grows; throws REGIONS_FULL when the host has no more for regions */
  constructor(arena: Arena, clock: Clock, makeRoom: (bytes: number) => void) {
    this.arena = arena;
    this.#clock = clock;
    this.#makeRoom = makeRoom;
    this.idleSinceMs = clock.monotonic();
  }

  /** How many there are. */
  get count(): number {
    return this.#regions.size;
  }

  /**
   * Opens the region, or makes it: `sizeBytes` bytes of zeros that may grow up to `maxBytes`. A shorter one grows. With `sizeBytes` 0
   * one that is there is opened as it is. Counts as used when this returns; `ready` must be awaited before it is reached.
   * @throws REGIONS_FULL
   */
  open(name: string, sizeBytes: number, maxBytes: number): { readonly opened: Opened; readonly ready: Promise<void> } {
    const found = this.#regions.get(name);
    if (found === undefined) {
      return this.#make(name, sizeBytes, Math.max(sizeBytes, maxBytes));
    }
    if (sizeBytes > found.capacityBytes) {
      return TOO_LARGE;
    }
    found.users += 1;
    const before = this.#ready.get(found) ?? Promise.resolve();
    const ready = before.then(() => this.grow(found, sizeBytes)).then(() => {});
    return { opened: { kind: "opened", region: found }, ready };
  }

  /** False when that is over the region's capacity. Never shrinks. @throws REGIONS_FULL */
  async grow(region: MemoryRegion, sizeBytes: number): Promise<boolean> {
    if (sizeBytes > region.capacityBytes) {
      return false;
    }
    if (sizeBytes > region.sizeBytes) {
      const growth = this.#growth.then(() => this.#grow(region, sizeBytes));
      this.#growth = growth.catch(() => {});
      await growth;
    }
    return true;
  }

  /** Nobody uses the region through this opening any more. */
  leave(region: MemoryRegion): void {
    region.users -= 1;
    region.idleSinceMs = this.#clock.monotonic();
  }

  /** Ends the regions that nobody has used since `sinceMs`. */
  dropIdle(sinceMs: number): void {
    for (const region of this.#regions.values()) {
      if (region.users === 0 && region.idleSinceMs <= sinceMs) {
        this.#drop(region);
      }
    }
  }

  async #grow(region: MemoryRegion, sizeBytes: number): Promise<void> {
    if (sizeBytes > region.sizeBytes) {
      this.#makeRoom(this.arena.growthFor({ base: this.arena.address(region.handle, 0), sizeBytes }));
      await this.arena.resize(region.handle, sizeBytes);
      region.sizeBytes = sizeBytes;
    }
  }

  #make(name: string, sizeBytes: number, maxBytes: number): { opened: Opened; ready: Promise<void> } {
    if (sizeBytes === 0) {
      return { opened: { kind: "absent" }, ready: Promise.resolve() };
    }
    const base = this.#room(maxBytes);
    if (base === null) {
      return TOO_LARGE;
    }
    this.#makeRoom(this.arena.growthFor({ base, sizeBytes }));
    const { handle, cleared } = this.arena.allocate(base, maxBytes);
    const region: MemoryRegion = {
      name,
      handle,
      capacityBytes: wholePages(maxBytes),
      lock: new RegionLock(),
      sizeBytes: 0,
      users: 1,
      idleSinceMs: 0,
    };
    this.#regions.set(name, region);
    const ready = cleared.then(async () => {
      this.#ready.delete(region);
      await this.grow(region, sizeBytes);
    });
    this.#ready.set(region, ready);
    return { opened: { kind: "opened", region }, ready };
  }

  /** Idle regions make room, those first that have been idle for longest. */
  #room(capacityBytes: number): number | null {
    if (capacityBytes > this.arena.maxBytes) {
      return null;
    }
    for (;;) {
      const base = this.arena.room(capacityBytes);
      const [oldest] = [...this.#regions.values()]
        .filter(({ users }) => users === 0)
        .sort((left, right) => left.idleSinceMs - right.idleSinceMs);
      if (base !== null || oldest === undefined) {
        return base;
      }
      this.#drop(oldest);
    }
  }

  #drop(region: MemoryRegion): void {
    this.#regions.delete(region.name);
    this.arena.free(region.handle);
  }
}

const TOO_LARGE = { opened: { kind: "tooLarge" }, ready: Promise.resolve() } as const;
