/**
 * Runs an instance against the final log alone: the oracle.
 *
 * It is written from the rules and shares nothing with the code it judges but the layouts of records: a step is the next record of
 * the stream and moves the cursor to it, a read is the last version at or below the cursor, a join moves the cursor to the child's
 * DONE. That the log is the truth is for the other checks (`verdict.ts`) to show.
 */
import { doneOf, type InstanceInit, initOf } from "../../host/invocation/instance-record.ts";
import type { InstanceId } from "../../state/ids.ts";
import { endsInstance, RecordKind } from "../../state/logbook/index.ts";
import type { Mode } from "../../state/logbook/modes.ts";
import { decodeStep } from "../../state/logbook/step-record.ts";
import { decodeEffects, decodeInherited } from "../../state/txn/index.ts";
import type { FinalLog } from "./final-log.ts";
import type { HistoryRecord } from "./log-history.ts";
import type { Program } from "./machine.ts";
import { runProgram, saidOf } from "./program.ts";
import { ReplayMachine, ReplayTrap } from "./replay-machine.ts";
import type { Done } from "./replay-objects.ts";
import { ReplayStream, StreamEnded } from "./replay-stream.ts";
import { textsOf } from "./replay-transaction.ts";

/**
 * How traps begin of children that the host gave up, as too many of their attempts were ended (F17), or that went on when the transaction
 * was over which they were called in.
 */
const GIVEN_UP = ["ended by the host", "TRANSACTION_OVER"];

export interface Replayed {
  readonly program: Program;
  readonly init: InstanceInit;
  /** What it did to objects, and what it saw. */
  readonly done: readonly Done[];
  /** Seqnums of the versions of objects that are its own. */
  readonly wrote: ReadonlySet<number>;
  /** Objects that it has changed under `unsafe`, nobody knows how: it was ended before it said what it had read. */
  readonly vague: ReadonlySet<string>;
  readonly initialCursor: number;
  readonly output: string;
  readonly trap: string;
  /** Its DONE record. */
  readonly end: HistoryRecord;
  readonly givenUp: boolean;
}

/** @throws when the stream is not what the program does */
export async function replay(log: FinalLog, instance: InstanceId): Promise<Replayed> {
  const stream = log.stream(`i/${instance}`);
  const [first, second] = stream;
  const end = stream.at(-1);
  if (first === undefined || end === undefined || !endsInstance(end.kind)) {
    throw new Error(`instance ${instance} has no end`);
  }
  const init = initOf(first);
  const isChild = first.kind === RecordKind.invoke;
  // A child begins at its Invoke record, behind neither its clock nor its caller's (F28, F35).
  if (!isChild && second === end && end.kind === RecordKind.cancel) {
    return neverBegun(log, first, end);
  }
  const pins = isChild
    ? { initialCursor: first.seqnum, timeMs: Math.max(first.timeMs, init.startedMs) }
    : decodeStep((second ?? first).data).pins;
  if (pins === null) {
    throw new Error(`F13: the first step of instance ${instance} carries no pins`);
  }
  if (!isChild && pins.timeMs < init.notBeforeMs) {
    throw new Error(`F25: instance ${instance} began at ${pins.timeMs}, not to begin before ${init.notBeforeMs}`);
  }
  const program = JSON.parse(log.bytes(init.input).toString()) as Program;
  const outcome = doneOf(end);
  const givenUp = GIVEN_UP.some((begin) => outcome.trap.startsWith(begin));
  // Its steps are a beginning of what the program does.
  const isCut = givenUp || end.kind === RecordKind.cancel;
  const said = log.bytes(outcome.output).toString();
  const modeCursor = init.modeCursor === 0 ? pins.initialCursor : init.modeCursor;
  const { initialCursor, timeMs } = pins;
  const endedAt = end.seqnum;
  const hasSaid = said !== "";
  const origin = { initialCursor, timeMs, hasClock: true, modeCursor, isChild, endedAt, isCut, hasSaid };
  const steps = new ReplayStream(log, instance, origin);
  const machine = new ReplayMachine(log, steps, init.protocol, saidOf(said));
  if (init.transaction !== null) {
    machine.inherit(decodeInherited(log.bytes(init.transaction)));
  }
  let output = "";
  let trap = "";
  try {
    output = await runProgram(machine, program);
  } catch (error) {
    if (error instanceof ReplayTrap) {
      trap = error.message;
    } else if (!isCut || !(error instanceof StreamEnded)) {
      throw error;
    }
  }
  if (!isCut) {
    steps.end();
    const effects = outcome.transaction && decodeEffects(log.bytes(outcome.transaction));
    const did = effects && JSON.stringify([...textsOf(log, effects.writes)]);
    if (did !== null && did !== (trap === "" ? JSON.stringify([...machine.inheritedWrites]) : "[]")) {
      throw new Error(
        `F37: DONE of ${instance} gives its caller ${did}, a replay ${JSON.stringify([...machine.inheritedWrites])}`,
      );
    }
    if (trap !== outcome.trap || output !== said) {
      throw new Error(`DONE of ${instance} is not what a replay gives: ${said} ${outcome.trap}, replayed ${output} ${trap}`);
    }
  }
  const { done, wrote, vague } = machine;
  const result = { program, init, done, wrote, vague, initialCursor, end, givenUp };
  return { ...result, output: said, trap: outcome.trap };
}

/** It was cancelled before its first step. */
function neverBegun(log: FinalLog, first: HistoryRecord, end: HistoryRecord): Replayed {
  const init = initOf(first);
  const program = JSON.parse(log.bytes(init.input).toString()) as Program;
  const { trap } = doneOf(end);
  return {
    program,
    init,
    done: [],
    wrote: new Set(),
    vague: new Set(),
    initialCursor: end.seqnum,
    output: "",
    trap,
    end,
    givenUp: false,
  };
}

/** A call that has logged nothing, as its client knows it. */
export interface Unlogged {
  readonly program: Program;
  /** The function's own. */
  readonly protocol: Mode | null;
  readonly output: string;
  /** The durable position when it was answered. */
  readonly durable: number;
}

/**
 * What a call that has logged nothing did if it began at this moment and gave its output; null when it did not.
 */
export async function replayUnlogged(log: FinalLog, call: Unlogged, cursor: number): Promise<readonly Done[] | null> {
  const { program, protocol, output, durable } = call;
  const begins = { initialCursor: cursor, modeCursor: cursor, isChild: false, timeMs: 0, hasClock: false };
  const origin = { ...begins, endedAt: durable, isCut: false, hasSaid: true };
  const steps = new ReplayStream(log, "" as InstanceId, origin);
  const machine = new ReplayMachine(log, steps, protocol, saidOf(output));
  try {
    return (await runProgram(machine, program)) === output ? machine.done : null;
  } catch {
    // It would have logged something, or what it says was not so then.
    return null;
  }
}
