/** What one process can hold, and what a pool takes unless it is told otherwise. */
import { readFileSync } from "node:fs";

/** The kernel's default of vm.max_map_count. */
const MAX_MAP_COUNT_DEFAULT = 65_530;

/**
 * Sandboxes, running, suspended and idle, that all pools of this process together may hold (H2). Each takes up to 5 mappings of the
 * process, and the engine aborts the process, not the call, when the kernel refuses one for a stack.
 */
export function sandboxCeiling(): number {
  return Math.max(1, Math.min(8_000, Math.floor((maxMapCount() - 8_000) / 6)));
}

function maxMapCount(): number {
  try {
    return Number(readFileSync("/proc/sys/vm/max_map_count", "latin1"));
  } catch {
    return MAX_MAP_COUNT_DEFAULT;
  }
}
