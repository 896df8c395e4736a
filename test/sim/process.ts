/** One process of the simulated cluster: its clock, timers, randomness and disk latency, all from the seed. */
import type { Clock, Random, Timers } from "../../state/ports.ts";
import type { Prng } from "../support/prng.ts";
import type { Scheduler, Scope } from "./scheduler.ts";

/** Where wall clocks start. */
const EPOCH_MS = 1_700_000_000_000;

export class SimProcess implements Scope, Clock, Timers, Random {
  readonly name: string;
  alive = true;
  pausedUntilMs = 0;
  /** Of the wall clock. */
  skewMs = 0;
  readonly scheduler: Scheduler;
  readonly random: Prng;

  constructor(name: string, scheduler: Scheduler, random: Prng) {
    this.name = name;
    this.scheduler = scheduler;
    this.random = random;
  }

  now(): number {
    return Math.floor(EPOCH_MS + this.scheduler.nowMs + this.skewMs);
  }

  monotonic(): number {
    return this.scheduler.nowMs;
  }

  after(delayMs: number, action: () => void): () => void {
    return this.scheduler.at(this, delayMs, "timer", action);
  }

  bytes(sizeBytes: number): Uint8Array {
    return Uint8Array.from({ length: sizeBytes }, () => this.random.below(256));
  }

  /** Resolves after a while that the seed chooses, and not before `leastMs`; never when the process ends first. */
  point(label: string, leastMs = 0): Promise<void> {
    return new Promise((resolve) => {
      this.scheduler.at(this, leastMs + latencyMs(this.random), label, resolve);
    });
  }
}

/** What belongs to no process. */
export const WORLD: Scope = { name: "world", alive: true, pausedUntilMs: 0 };

/** Mostly short, sometimes long, so that any two things can overtake each other. */
export function latencyMs(random: Prng): number {
  const kind = random.below(100);
  const share = random.below(1000) / 1000;
  if (kind < 80) {
    return share;
  }
  return kind < 98 ? share * 20 : share * 400;
}
