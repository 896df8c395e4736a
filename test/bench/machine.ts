/** What the numbers were measured on, and how much of it was there for them. */
import { readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";

export interface Machine {
  readonly cores: number;
  readonly processor: string;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  readonly v8: string;
}

export function thisMachine(): Machine {
  const all = cpus();
  return {
    cores: all.length,
    processor: all[0]?.model ?? "unknown",
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.versions.node,
    v8: process.versions.v8,
  };
}

/** Counts the CPU time that the hypervisor gave to others while this machine wanted it. */
export class StealMeter {
  readonly #start = readTicks();

  /** Share of all CPU time since this was made, 0 … 1. */
  share(): number {
    const now = readTicks();
    const total = now.total - this.#start.total;
    return total === 0 ? 0 : (now.steal - this.#start.steal) / total;
  }
}

function readTicks(): { readonly total: number; readonly steal: number } {
  const [line = ""] = readFileSync("/proc/stat", "utf8").split("\n", 1);
  // user nice system idle iowait irq softirq steal; the guest times after them are counted in user already
  const ticks = line.trim().split(/\s+/).slice(1, 9).map(Number);
  return { total: ticks.reduce((sum, count) => sum + count, 0), steal: ticks[7] ?? 0 };
}
