/** Regions as the host makes them: over shared WebAssembly memories. */
import type { SandboxPool } from "../../host/sandbox/index.ts";
import type { Clock, Timers } from "../../state/ports.ts";
import { type RegionLimits, Regions } from "../../state/regions/index.ts";
import { ManualTime } from "./manual-time.ts";

export const MIB = 1024 * 1024;

const LIMITS: RegionLimits = { tenantMaxBytes: 8 * MIB, totalMaxBytes: 64 * MIB, idleMs: 60_000 };

/** A host's: what is dropped, its pool lets go of. */
export function regionsOf(
  { clock, timers }: { clock: Clock; timers: Timers },
  pool?: Pick<SandboxPool, "forget">,
  limits: Partial<RegionLimits> = {},
): Regions<WebAssembly.Memory> {
  return new Regions({
    createMemory: (initial, maximum) => new WebAssembly.Memory({ initial, maximum, shared: true }),
    limits: { ...LIMITS, ...limits },
    clock,
    timers,
    onDropped: (memory) => pool?.forget(memory),
  });
}

export function openRegions(limits: Partial<RegionLimits> = {}) {
  const time = new ManualTime();
  const dropped: WebAssembly.Memory[] = [];
  const regions = regionsOf({ clock: time, timers: time }, { forget: (memory) => dropped.push(memory) }, limits);
  return { regions, time, dropped };
}
