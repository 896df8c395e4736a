/** Regions as the host makes them: over shared WebAssembly memories. */
import { type RegionLimits, Regions } from "../../state/regions/index.ts";
import { ManualTime } from "./manual-time.ts";

export const MIB = 1024 * 1024;

export const createMemory = (initial: number, maximum: number): WebAssembly.Memory =>
  new WebAssembly.Memory({ initial, maximum, shared: true });

export function openRegions(limits: Partial<RegionLimits> = {}) {
  const time = new ManualTime();
  const dropped: WebAssembly.Memory[] = [];
  const regions = new Regions({
    createMemory,
    limits: { tenantMaxBytes: 8 * MIB, totalMaxBytes: 64 * MIB, idleMs: 60_000, ...limits },
    clock: time,
    timers: time,
    onDropped: (memory) => dropped.push(memory),
  });
  return { regions, time, dropped };
}
