/** What the numbers were measured on, and how much of it was there for them. */
import { readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

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

/** Share of all CPU time that is in use over the next `durationMs`, 0 … 1. */
export async function busyShareOver(durationMs: number): Promise<number> {
  const before = readTicks();
  await sleep(durationMs);
  const { total, idle } = ticksSince(before);
  return total === 0 ? 0 : 1 - idle / total;
}

/** Counts the CPU time that the hypervisor gave to other machines while this one wanted it. */
export class StealMeter {
  readonly #start = readTicks();

  /** Share of all CPU time since this was made, 0 … 1. */
  share(): number {
    const { total, steal } = ticksSince(this.#start);
    return total === 0 ? 0 : steal / total;
  }
}

/** Clock ticks of all cores together. */
interface Ticks {
  readonly total: number;
  readonly idle: number;
  readonly steal: number;
}

function ticksSince(before: Ticks): Ticks {
  const now = readTicks();
  return { total: now.total - before.total, idle: now.idle - before.idle, steal: now.steal - before.steal };
}

function readTicks(): Ticks {
  const [line = ""] = readFileSync("/proc/stat", "utf8").split("\n", 1);
  // user nice system idle iowait irq softirq steal; the guest times after them are counted in user already
  const ticks = line.trim().split(/\s+/).slice(1, 9).map(Number);
  const total = ticks.reduce((sum, count) => sum + count, 0);
  return { total, idle: (ticks[3] ?? 0) + (ticks[4] ?? 0), steal: ticks[7] ?? 0 };
}
