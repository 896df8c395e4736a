/** Regions as the host makes them: over shared WebAssembly memories. */
import { type SandboxPool, ThreadArena } from "../../host/sandbox/index.ts";
import type { Clock, Timers } from "../../state/ports.ts";
import { type ArenaMemory, type RegionLimits, type RegionSession, Regions } from "../../state/regions/index.ts";
import { ManualTime } from "./manual-time.ts";

export const MIB = 1024 * 1024;

const LIMITS: RegionLimits = { tenantMaxBytes: 8 * MIB, totalMaxBytes: 64 * MIB, idleMs: 60_000 };

/** A host's: what is dropped, its pool lets go of. Without one they are in memories of this process. */
export function regionsOf(
  { clock, timers }: { clock: Clock; timers: Timers },
  pool: Partial<Pick<SandboxPool, "createArena" | "reaches" | "forget">> = {},
  limits: Partial<RegionLimits> = {},
): Regions {
  return new Regions({
    createMemory: (tenant, maxPages) => pool.createArena?.(tenant, maxPages) ?? new ThreadArena(maxPages),
    reaches: (tenant, memory) => pool.reaches?.(tenant, memory) ?? true,
    limits: { ...LIMITS, ...limits },
    clock,
    timers,
    onDropped: (memory) => pool.forget?.(memory),
  });
}

export function openRegions(limits: Partial<RegionLimits> = {}) {
  const time = new ManualTime();
  const dropped: ArenaMemory[] = [];
  const lost = new Set<ArenaMemory>();
  const pool = {
    forget: (memory: ArenaMemory) => void dropped.push(memory),
    reaches: (_: string, memory: ArenaMemory) => !lost.has(memory),
  };
  const regions = regionsOf({ clock: time, timers: time }, pool, limits);
  /** The process that holds it has ended. */
  const lose = (memory: ArenaMemory) => void lost.add(memory);
  return { regions, time, dropped, lose };
}

/** Of a session whose memory is in this process. */
export function memoryOf({ memory }: RegionSession): WebAssembly.Memory {
  if (!(memory instanceof ThreadArena)) {
    throw new Error("the memory is in another process");
  }
  return memory.memory;
}
