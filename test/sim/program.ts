/**
 * What simulated functions do: small random programs over few keys.
 *
 * A program is written once and runs twice: as a guest of the host, and against the final log, by the oracle (`replay.ts`). Both are
 * a Machine. What a program has seen of the world is its output, so that every read is compared.
 */
import type { Prng } from "../support/prng.ts";
import { FUNCTIONS } from "./layout.ts";
import type { Looked, Machine, Program, Step } from "./machine.ts";
import { type Drawing, STEPS, type StepKind } from "./steps.ts";

const DEPTH_MAX = 2;

/** A program that a client asks for. */
export function drawProgram(random: Prng, id: string): Program {
  return draw({ random, depth: 0, mayBeCut: random.below(8) === 0, inTransaction: false, isPart: false }, id);
}

interface Place {
  readonly random: Prng;
  /** Calls above it. */
  readonly depth: number;
  readonly mayBeCut: boolean;
  /** It is called in a transaction of its caller. */
  readonly inTransaction: boolean;
  readonly isPart: boolean;
}

function draw(place: Place, id: string): Program {
  const { random, depth, mayBeCut } = place;
  const kinds = Object.entries(STEPS).filter((kind) => isPossible(kind, place));
  const drawing: Drawing = {
    random,
    called: (name, how = {}) =>
      draw({ ...place, depth: depth + 1, mayBeCut: false, inTransaction: false, isPart: false, ...how }, `${id}${name}`),
  };
  const count = 1 + random.below(depth === 0 ? 5 : 3);
  const steps: Step[] = [];
  for (let i = 0; i < count; i += 1) {
    const [op, kind] = drawKind(random, kinds);
    steps.push({ op, ...kind.draw({ ...drawing, called: (name, how) => drawing.called(`.${i}${name}`, how) }) });
  }
  const functionName = FUNCTIONS[random.below(FUNCTIONS.length)] ?? FUNCTIONS[0];
  return { id, functionName, mayBeCut, steps };
}

type Kinds = readonly (readonly [string, StepKind])[];

function isPossible([op, kind]: Kinds[number], { depth, mayBeCut, inTransaction, isPart }: Place): boolean {
  const { isWhole = false, isOfRoot = false, isOfObjects = false, isOfTransaction = false } = kind;
  const isOfPlace = isOfTransaction ? inTransaction && !isPart : isOfObjects || !(inTransaction || isPart);
  return isOfPlace && !(op.startsWith("call") && depth >= DEPTH_MAX) && !(mayBeCut && isWhole) && !(depth > 0 && isOfRoot);
}

function drawKind(random: Prng, kinds: Kinds): Kinds[number] {
  let at = random.below(kinds.reduce((sum, [, { weight }]) => sum + weight, 0));
  for (const kind of kinds) {
    at -= kind[1].weight;
    if (at < 0) {
      return kind;
    }
  }
  throw new Error("the weights do not add up");
}

/** Runs a program to its end. @returns what each step saw, and all that was looked at */
export async function runProgram(machine: Machine, program: Program): Promise<string> {
  const all: unknown[] = [];
  for (const [index, step] of program.steps.entries()) {
    const name = `${program.id}.${index}`;
    all.push((await STEPS[step.op]?.run(machine, step, name)) ?? null);
  }
  return JSON.stringify([all, machine.looked]);
}

/** What a program says that it has looked at; nothing when it has not come to its end. */
export function saidOf(output: string): readonly Looked[] {
  return output === "" ? [] : (JSON.parse(output) as [unknown, Looked[]])[1];
}

/** Whether it runs in a call that nobody waits for. */
export function isSpawned({ id }: Program): boolean {
  return id.includes("/spawned");
}
