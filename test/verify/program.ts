/**
 * Random programs over durable counters, and what the counters must be after them.
 *
 * A program runs in a function of layer 1; its calls run programs in functions of the next layer. As text, every word is followed by
 * a space and a nested program by nothing, as its length comes before it:
 *
 *   increment <counter> <amount> · set <key> <value> · get <key> · clear <key> · wait <ms> · fail
 *   call <count> (<length> <program>)…   starts all of them, then waits for all
 */
import type { Prng } from "../support/prng.ts";

export const LAYERS = 3;
const OPERATIONS_MAX = 4;
const CALLS_MAX = 3;
const AMOUNT_MAX = 5;
const WAIT_MAX_MS = 20;
const SCRATCH_KEYS = 1_000;
/** Some counters are wanted by everybody. */
const HOT_COUNTERS = 8;

export type Operation =
  | { readonly kind: "increment"; readonly counter: number; readonly amount: number }
  | { readonly kind: "set"; readonly key: number; readonly value: number }
  | { readonly kind: "get" | "clear"; readonly key: number }
  | { readonly kind: "wait"; readonly durationMs: number }
  | { readonly kind: "call"; readonly programs: readonly Program[] }
  /** Ends the program; what it did before stays. */
  | { readonly kind: "fail" };

export type Program = readonly Operation[];

/** A program for a function of `layer`. */
export function drawProgram(random: Prng, counters: number, layer = 1): Program {
  return Array.from({ length: 1 + random.below(OPERATIONS_MAX) }, () => drawOperation(random, counters, layer));
}

function drawOperation(random: Prng, counters: number, layer: number): Operation {
  const dice = random.below(100);
  if (dice < 30 && layer < LAYERS) {
    const programs = Array.from({ length: 1 + random.below(CALLS_MAX) }, () => drawProgram(random, counters, layer + 1));
    return { kind: "call", programs };
  }
  if (dice < 70) {
    const counter = random.below(random.below(10) === 0 ? Math.min(HOT_COUNTERS, counters) : counters);
    return { kind: "increment", counter, amount: 1 + random.below(AMOUNT_MAX) };
  }
  if (dice < 94) {
    const key = random.below(SCRATCH_KEYS);
    const kind = (["set", "get", "clear"] as const)[random.below(3)] ?? "get";
    return kind === "set" ? { kind, key, value: random.below(1_000_000) } : { kind, key };
  }
  return dice < 98 ? { kind: "wait", durationMs: random.below(WAIT_MAX_MS) } : { kind: "fail" };
}

export function encodeProgram(program: Program): string {
  return program.map(encodeOperation).join("");
}

function encodeOperation(operation: Operation): string {
  switch (operation.kind) {
    case "increment":
      return `increment ${operation.counter} ${operation.amount} `;
    case "set":
      return `set ${operation.key} ${operation.value} `;
    case "get":
    case "clear":
      return `${operation.kind} ${operation.key} `;
    case "wait":
      return `wait ${operation.durationMs} `;
    case "fail":
      return "fail ";
    case "call": {
      const programs = operation.programs.map(encodeProgram);
      return `call ${programs.length} ${programs.map((text) => `${text.length} ${text}`).join("")}`;
    }
  }
}

/** Whether its function fails, of its own accord. */
export function fails(program: Program): boolean {
  return program.some(({ kind }) => kind === "fail");
}

/** Adds what the program does to the counters, once. */
export function addTo(counters: Map<number, number>, program: Program): void {
  for (const operation of program) {
    switch (operation.kind) {
      case "increment":
        counters.set(operation.counter, (counters.get(operation.counter) ?? 0) + operation.amount);
        break;
      case "call":
        for (const called of operation.programs) {
          addTo(counters, called);
        }
        break;
      case "fail":
        return;
    }
  }
}
