/**
 * Random programs over durable counters, and what the counters must be after them.
 *
 * A program runs in a function of layer 1; its calls run programs in functions of the next layer. As text, every word is followed by
 * a space and a nested program by nothing, as its length comes before it:
 *
 *   increment <counter> <amount> · set <key> <value> · get <key> · clear <key> · wait <ms> · fail
 *   ask <url>                            asks another system, which fails often, until it has done it
 *   move <from> <to> <amount>            a transaction over two counters
 *   call <count> (<length> <program>)…   starts all of them, then waits for all
 *   spawn <delay in ms> <length> <program>   begins one that nobody waits for
 */
import type { Prng } from "../support/prng.ts";

export const LAYERS = 3;
const OPERATIONS_MAX = 4;
const CALLS_MAX = 3;
const AMOUNT_MAX = 5;
const WAIT_MAX_MS = 20;
const SLOW_WAIT_MAX_MS = 1_500;
const EFFECTS = 100;
const DELAY_MAX_MS = 2_000;
const SCRATCH_KEYS = 1_000;
/** Some counters are wanted by everybody. */
const HOT_COUNTERS = 8;

export type Operation =
  | { readonly kind: "increment"; readonly counter: number; readonly amount: number }
  | { readonly kind: "set"; readonly key: number; readonly value: number }
  | { readonly kind: "get" | "clear"; readonly key: number }
  | { readonly kind: "wait"; readonly durationMs: number }
  | { readonly kind: "call"; readonly programs: readonly Program[] }
  | { readonly kind: "spawn"; readonly delayMs: number; readonly program: Program }
  | { readonly kind: "move"; readonly from: number; readonly to: number; readonly amount: number }
  | { readonly kind: "ask"; readonly place: string; readonly effect: number }
  /** Ends the program; what it did before stays. */
  | { readonly kind: "fail" };

export type Program = readonly Operation[];

/** A program for a function of `layer`. */
export function drawProgram(random: Prng, options: ProgramOptions, layer = 1): Program {
  return Array.from({ length: 1 + random.below(OPERATIONS_MAX) }, () => drawOperation(random, options, layer));
}

export interface ProgramOptions {
  readonly counters: number;
  /** Host and port of the other system. */
  readonly place: string;
}

/** What programs leave behind. */
export interface Sums {
  readonly counters: Map<number, number>;
  readonly effects: Map<number, number>;
}

function drawOperation(random: Prng, options: ProgramOptions, layer: number): Operation {
  const dice = random.below(100);
  const nested = () => drawProgram(random, options, layer + 1);
  if (dice < 25 && layer < LAYERS) {
    return { kind: "call", programs: Array.from({ length: 1 + random.below(CALLS_MAX) }, nested) };
  }
  if (dice < 32 && layer < LAYERS) {
    return { kind: "spawn", delayMs: random.below(2) * random.below(DELAY_MAX_MS), program: nested() };
  }
  if (dice < 40) {
    const from = drawCounter(random, options);
    const to = (from + 1 + random.below(options.counters - 1)) % options.counters;
    return { kind: "move", from, to, amount: 1 + random.below(AMOUNT_MAX) };
  }
  if (dice < 72) {
    return { kind: "increment", counter: drawCounter(random, options), amount: 1 + random.below(AMOUNT_MAX) };
  }
  if (dice < 76) {
    return { kind: "ask", place: options.place, effect: random.below(EFFECTS) };
  }
  if (dice < 94) {
    const key = random.below(SCRATCH_KEYS);
    const kind = (["set", "get", "clear"] as const)[random.below(3)] ?? "get";
    return kind === "set" ? { kind, key, value: random.below(1_000_000) } : { kind, key };
  }
  const waitMaxMs = random.below(10) === 0 ? SLOW_WAIT_MAX_MS : WAIT_MAX_MS;
  return dice < 98 ? { kind: "wait", durationMs: random.below(waitMaxMs) } : { kind: "fail" };
}

function drawCounter(random: Prng, { counters }: ProgramOptions): number {
  return random.below(random.below(10) === 0 ? Math.min(HOT_COUNTERS, counters) : counters);
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
    case "ask":
      return `ask http://${operation.place}/${operation.effect} `;
    case "fail":
      return "fail ";
    case "move":
      return `move ${operation.from} ${operation.to} ${operation.amount} `;
    case "spawn": {
      const text = encodeProgram(operation.program);
      return `spawn ${operation.delayMs} ${text.length} ${text}`;
    }
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

/** Adds what the program does, once. */
export function addTo(sums: Sums, program: Program): void {
  const { counters, effects } = sums;
  const add = (counter: number, amount: number) => counters.set(counter, (counters.get(counter) ?? 0) + amount);
  for (const operation of program) {
    switch (operation.kind) {
      case "increment":
        add(operation.counter, operation.amount);
        break;
      case "move":
        add(operation.from, -operation.amount);
        add(operation.to, operation.amount);
        break;
      case "spawn":
        addTo(sums, operation.program);
        break;
      case "call":
        for (const called of operation.programs) {
          addTo(sums, called);
        }
        break;
      case "ask":
        effects.set(operation.effect, (effects.get(operation.effect) ?? 0) + 1);
        break;
      case "fail":
        return;
    }
  }
}
