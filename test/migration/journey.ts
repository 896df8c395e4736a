/** Runs one call of a migratable module, stopped and moved between pools at random places. */
import { Operation, objectReadArgs } from "../../host/abi/operations.ts";
import type { Artefact } from "../../host/modules/artefact.ts";
import type {
  FrozenStart,
  OperationReply,
  SandboxCall,
  SandboxEnd,
  SandboxHandler,
  SandboxPool,
  SandboxStart,
} from "../../host/sandbox/index.ts";
import type { LogBookId } from "../../state/ids.ts";
import type { Prng } from "../support/prng.ts";
import { ScriptedAnswers } from "./scripted-answers.ts";

export interface Journey {
  readonly end: SandboxEnd;
  readonly logs: readonly string[];
  /** What was done outside, in order. */
  readonly done: readonly string[];
  /** How often the call was stopped and went on. */
  readonly moves: number;
  /** Of these, in the middle of an operation whose answer then came along; that was asked for again; and together with a result. */
  readonly places: { answered: number; askedAgain: number; withResult: number };
}

/** What the SDK reads of an object first. */
const FIRST_READ_BYTES = 4096;
/** Operations between two moves, at most. */
const STRIDE_MAX = 40;

/** One that is displaced, as may happen on a busy machine, begins anew, as its owner would have it. */
export async function travel(
  pools: readonly SandboxPool[],
  artefact: Artefact,
  input: string,
  random: () => Prng | null,
): Promise<Journey> {
  for (;;) {
    const journey = await new Traveller(pools, artefact, input, random()).ended;
    if (journey.end.kind !== "displaced") {
      return journey;
    }
  }
}

/**
 * Stops the call while it waits for an operation, which then is performed here, or there for the first time; or just before or after it
 * was answered, so that the order to stop meets the guest wherever it then is.
 */
class Traveller implements SandboxHandler {
  readonly ended: Promise<Journey>;
  readonly #pools: readonly SandboxPool[];
  readonly #artefact: Artefact;
  readonly #input: Uint8Array;
  readonly #random: Prng | null;
  readonly #answers = new ScriptedAnswers();
  readonly #logs: string[] = [];
  readonly #places = { answered: 0, askedAgain: 0, withResult: 0 };
  #finish: (journey: Journey) => void = () => {};
  #call: SandboxCall;
  #place = 0;
  #moves = 0;
  /** Waiting operations until the next stop. */
  #left: number;
  /** To the operation that the guest has asked last; null while it is not performed. */
  #answer: OperationReply | null = null;

  constructor(pools: readonly SandboxPool[], artefact: Artefact, input: string, random: Prng | null) {
    this.#pools = pools;
    this.#artefact = artefact;
    this.#input = Buffer.from(input);
    this.#random = random;
    this.#left = this.#stride();
    this.ended = new Promise((resolve) => {
      this.#finish = resolve;
    });
    this.#call = this.#start();
  }

  onOperation(operation: number, args: Uint8Array, waits: boolean): void {
    if (!waits) {
      this.#answers.perform(operation, args);
      this.#call.acknowledge();
      return;
    }
    this.#answer = null;
    this.#left -= 1;
    if (this.#left > 0) {
      this.#perform(operation, args);
      return;
    }
    const call = this.#call;
    switch (this.#moves % (isLaterSlice(operation, args) ? 2 : 4)) {
      case 0:
        this.#perform(operation, args);
        call.freeze();
        break;
      case 1:
        call.freeze();
        this.#perform(operation, args);
        break;
      case 2:
        call.freeze();
        this.#answer = this.#answers.perform(operation, args);
        break;
      default:
        call.freeze();
    }
  }

  onLog(text: string): void {
    this.#logs.push(text);
  }

  onEnd(end: SandboxEnd): void {
    if (end.kind !== "frozen") {
      const [logs, done, moves, places] = [this.#logs, this.#answers.done, this.#moves, this.#places];
      this.#finish({ end, logs, done, moves, places });
      return;
    }
    this.#moves += 1;
    this.#place += 1;
    this.#left = this.#stride();
    const answer = end.awaits ? this.#answer : null;
    this.#places[answer !== null ? "answered" : end.awaits ? "askedAgain" : "withResult"] += 1;
    // As a socket would bring it.
    const bytes = Uint8Array.from(end.bytes);
    this.#call = this.#start({ bytes, ...(answer !== null && { answer }) });
  }

  #perform(operation: number, args: Uint8Array): void {
    const answer = this.#answers.perform(operation, args);
    this.#answer = answer;
    this.#call.reply(answer);
  }

  #stride(): number {
    return this.#random === null ? Number.POSITIVE_INFINITY : 1 + this.#random.below(STRIDE_MAX);
  }

  #start(frozen?: FrozenStart): SandboxCall {
    return poolAt(this.#pools, this.#place).start(startOf(this.#artefact, this.#input, frozen), this);
  }
}

function poolAt(pools: readonly SandboxPool[], place: number): SandboxPool {
  const pool = pools[place % pools.length];
  if (pool === undefined) {
    throw new Error("a call needs a pool to run in");
  }
  return pool;
}

function startOf(artefact: Artefact, input: Uint8Array, frozen: FrozenStart | undefined): SandboxStart {
  return {
    tenant: "demo" as LogBookId,
    sandboxesMax: 8_000,
    artefact,
    input,
    commandLine: new Uint8Array(0),
    depth: 0,
    pins: { timeMs: 1_000, seed: new Uint8Array(32).fill(3) },
    limits: { wallTimeMs: 600_000, cpuTimeMs: 600_000, outputMaxBytes: 1 << 20, logMaxBytes: 1 << 16 },
    ...(frozen !== undefined && { frozen }),
  };
}

/** Of a read in several operations: the call is stopped only with the result of all of them. */
function isLaterSlice(operation: number, args: Uint8Array): boolean {
  return operation === Operation.objectRead && objectReadArgs.decode(args).offset > FIRST_READ_BYTES;
}
