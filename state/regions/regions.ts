/**
 * The memory regions of all tenants on this node. Their bytes are volatile: in no log, gone with the process, and gone when nobody has
 * used them for long (F23, H21). Values enter the durable world by steps of functions.
 *
 * R1. Each tenant has a memory of its own: what one can reach holds nothing of another.
 *     It may be in another process, and gone with that: the tenant's next attempt begins with an empty one then.
 * R2. All memories together hold at most `totalMaxBytes`; memories that nobody uses make room.
 */
import { NeapError } from "../errors.ts";
import type { LogBookId } from "../ids.ts";
import type { Clock, Timers } from "../ports.ts";
import { Arena, type ArenaMemory, full, PAGE_BYTES } from "./arena.ts";
import { RegionSession } from "./session.ts";
import { TenantRegions } from "./tenant-regions.ts";

/** Each reserves address space of the process, 8 GiB in V8, however little it holds. */
const MEMORIES_MAX = 1_000;

export interface RegionLimits {
  /** Of one tenant's regions, with what they may grow by. Rounded down to whole pages. */
  readonly tenantMaxBytes: number;
  /** Of all tenants' regions. */
  readonly totalMaxBytes: number;
  /** A region that nobody has open is kept for so long. */
  readonly idleMs: number;
}

export interface RegionsOptions {
  /** Of one page, its maximum is `maxPages`. @throws RangeError  the system has no memory. OVERLOADED  it shall be asked for later */
  readonly createMemory: (tenant: LogBookId, maxPages: number) => ArenaMemory;
  /** Whether attempts of the tenant that begin now can reach this memory of its. */
  readonly reaches: (tenant: LogBookId, memory: ArenaMemory) => boolean;
  readonly limits: RegionLimits;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Nobody will reach this memory again. */
  readonly onDropped: (memory: ArenaMemory) => void;
}

export class Regions {
  readonly #options: RegionsOptions;
  readonly #apps = new Map<LogBookId, TenantRegions>();
  #isSweeping = false;

  constructor(options: RegionsOptions) {
    this.#options = options;
  }

  /** Tenants that have a memory, and its bytes in all. */
  get load(): { readonly tenants: number; readonly sizeBytes: number } {
    let sizeBytes = 0;
    for (const { arena } of this.#apps.values()) {
      sizeBytes += arena.sizeBytes;
    }
    return { tenants: this.#apps.size, sizeBytes };
  }

  /** For one attempt of a function of the tenant, which begins now. @throws REGIONS_FULL, OVERLOADED */
  session(tenant: LogBookId): RegionSession {
    const known = this.#apps.get(tenant);
    if (known !== undefined && !this.#isCurrent(tenant, known)) {
      this.#drop(tenant, known);
    }
    const app = this.#apps.get(tenant) ?? this.#create(tenant);
    app.sessions += 1;
    return new RegionSession(
      app,
      () => this.#isCurrent(tenant, app),
      () => this.#ended(tenant, app),
    );
  }

  #isCurrent(tenant: LogBookId, app: TenantRegions): boolean {
    return this.#apps.get(tenant) === app && this.#options.reaches(tenant, app.arena.memory);
  }

  #create(tenant: LogBookId): TenantRegions {
    const { createMemory, limits, clock, timers } = this.#options;
    this.#makeRoom(PAGE_BYTES, 1);
    const maxBytes = Math.floor(limits.tenantMaxBytes / PAGE_BYTES) * PAGE_BYTES;
    try {
      const arena = new Arena((maxPages) => createMemory(tenant, maxPages), maxBytes, timers);
      const app = new TenantRegions(arena, clock, (byBytes) => this.#makeRoom(byBytes, 0));
      this.#apps.set(tenant, app);
      return app;
    } catch (error) {
      throw full(error);
    }
  }

  /** Memories that nobody uses go, until there is room for so many more bytes and memories. @throws REGIONS_FULL */
  #makeRoom(bytes: number, memories: number): void {
    const { totalMaxBytes } = this.#options.limits;
    for (;;) {
      const { sizeBytes, tenants } = this.load;
      if (sizeBytes + bytes <= totalMaxBytes && tenants + memories <= MEMORIES_MAX) {
        return;
      }
      const [oldest] = [...this.#apps]
        .filter(([, { sessions }]) => sessions === 0)
        .sort(([, left], [, right]) => left.idleSinceMs - right.idleSinceMs);
      if (oldest === undefined) {
        const text = `regions of ${tenants} tenants have ${sizeBytes} bytes, ${totalMaxBytes} are allowed; ${bytes} more were asked for`;
        throw new NeapError("REGIONS_FULL", text);
      }
      this.#drop(...oldest);
    }
  }

  #ended(tenant: LogBookId, app: TenantRegions): void {
    app.sessions -= 1;
    app.idleSinceMs = this.#options.clock.monotonic();
    if (this.#apps.get(tenant) === app) {
      this.#sweepLater();
    } else if (app.sessions === 0) {
      this.#options.onDropped(app.arena.memory);
    }
  }

  #sweepLater(): void {
    if (!this.#isSweeping) {
      this.#isSweeping = true;
      this.#options.timers.after(this.#options.limits.idleMs, () => this.#sweep());
    }
  }

  #sweep(): void {
    this.#isSweeping = false;
    const sinceMs = this.#options.clock.monotonic() - this.#options.limits.idleMs;
    for (const [tenant, app] of this.#apps) {
      app.dropIdle(sinceMs);
      if (app.sessions === 0 && app.count === 0) {
        this.#drop(tenant, app);
      }
    }
    if (this.#apps.size > 0) {
      this.#sweepLater();
    }
  }

  #drop(tenant: LogBookId, app: TenantRegions): void {
    this.#apps.delete(tenant);
    if (app.sessions === 0) {
      this.#options.onDropped(app.arena.memory);
    }
  }
}
