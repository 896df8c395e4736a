/**
 * Brings one instance to its end: attempt after attempt until there is a result, or a reason to leave it for later.
 *
 * Owns: the decision what follows an attempt's end. Does not own: the attempt (execution.ts), who waits for the outcome (service).
 *
 * R1. What the guest did is a result and is logged as DONE when anything is logged; what the host did to it only ends the attempt
 *     (F17).
 * R2. Every attempt begins with what the log says: nothing, INIT, pins, steps or DONE.
 * R3. A `failed` outcome means that nothing of the instance is in the log, or not any more.
 * R4. A logged instance is left neither done nor parked only when the session is over or the host stops: then somebody else takes
 *     it up.
 */
import { hasCode, NeapError } from "../../state/errors.ts";
import { NO_SEQNUM, type SeqNum } from "../../state/ids.ts";
import { type NewRecord, RecordKind, type Shard } from "../../state/logbook/index.ts";
import { decodeStep, NONCE_BYTES, type Pins, SEED_BYTES } from "../../state/logbook/step-record.ts";
import { Fenced, type Origin, StepStream } from "../../state/protocols/index.ts";
import { stepTag } from "../../state/tags.ts";
import type { AttemptEnd } from "./attempt.ts";
import { park } from "./attempt-notes.ts";
import { type InstanceOutcome, type InstanceSpec, type InvocationContext, isSessionOver, toNeapError } from "./context.ts";
import { type Execution, execute } from "./execution.ts";
import { childPins, encodeDone, encodeInit, type InstanceDone, initOf, payloadBlobs } from "./instance-record.ts";
import { toPayload } from "./payloads.ts";
import { completedOutcome, expiredOutcome } from "./stored-outcome.ts";

/** Next attempt, or the outcome of the run. */
type Verdict = { readonly kind: "again"; readonly afterMs: number } | InstanceOutcome;

/** What the guest did. */
interface Result {
  readonly returnValue: number;
  readonly trap: string;
  readonly output: Uint8Array;
}

const AGAIN: Verdict = { kind: "again", afterMs: 0 };
const BACKOFF_MS = 50;
const BACKOFF_MAX_MS = 2_000;
/** They say nothing about the instance and pass by. */
const SHORTAGES: ReadonlySet<string> = new Set(["DISK_FULL", "TOO_MUCH_UNFLUSHED"]);
const EMPTY = new Uint8Array(0);

export class InstanceRun {
  readonly #context: InvocationContext;
  readonly #spec: InstanceSpec;
  readonly #parts: Omit<Execution, "shard" | "steps">;
  /** The epoch in which the instance was last known to be in the log. */
  #loggedIn: number | null;
  /** The initial cursor of an attempt of which nobody knows whether it logged anything; null when there is none. */
  #doubted: SeqNum | null = null;
  /** Attempts that the host has ended. */
  #ended = 0;
  /** Why no further attempt is made. */
  #hopeless: NeapError | null = null;
  #shortages = 0;
  #tries = 0;

  constructor(parts: Omit<Execution, "shard" | "steps">) {
    this.#parts = parts;
    this.#context = parts.context;
    this.#spec = parts.spec;
    this.#loggedIn = parts.spec.begin.kind === "unlogged" ? null : parts.spec.epoch;
  }

  async run(): Promise<InstanceOutcome> {
    for (;;) {
      const verdict = await this.#attempt().catch((error: unknown) => this.#failed(error));
      if (verdict.kind !== "again") {
        return verdict;
      }
      this.#tries += 1;
      if (verdict.afterMs > 0) {
        await new Promise((resolve) => setTimeout(resolve, verdict.afterMs));
      }
    }
  }

  async #attempt(): Promise<Verdict> {
    const { source, limits } = this.#context;
    const shard = source.current() ?? (await source.available(limits.ownerTimeoutMs));
    const steps = this.#fresh(shard) ?? (await this.#reload(shard));
    if (!(steps instanceof StepStream)) {
      return this.#committed(shard, steps);
    }
    if (this.#hopeless !== null) {
      return this.#giveUp(shard, steps, this.#hopeless);
    }
    const end = await execute({ ...this.#parts, shard, steps });
    await this.#settle(shard, steps);
    switch (end.kind) {
      case "returned":
        this.#parts.trace.cpuMs += end.cpuMs;
        return this.#completed(shard, steps, { returnValue: end.value, trap: "", output: end.output });
      case "trapped":
        this.#parts.trace.cpuMs += end.cpuMs;
        return this.#completed(shard, steps, { returnValue: 1, trap: end.message, output: EMPTY });
      case "killed":
        return this.#afterKill(steps, end);
      case "displaced":
        return AGAIN;
      case "fenced":
        return this.#afterFence(end.fenced);
      case "failed":
        return this.#failed(end.error);
    }
  }

  /** The first attempt of an instance whose place in the log is known without looking: in the epoch of `begin` only (F1). */
  #fresh(shard: Shard): StepStream | null {
    const { begin, epoch, tenant, instance } = this.#spec;
    if (this.#tries > 0 || shard.epoch !== epoch || begin.kind === "logged") {
      return null;
    }
    return begin.kind === "unlogged"
      ? this.#unlogged(shard, begin.initialCursor, begin.dependency)
      : new StepStream(shard.book(tenant), instance, { kind: "pinned", pins: begin.pins });
  }

  #unlogged(shard: Shard, initialCursor: SeqNum, dependency: SeqNum): StepStream {
    const { tenant, instance } = this.#spec;
    const origin: Origin = { kind: "unlogged", pins: this.#draw(initialCursor), init: () => this.#initRecord() };
    const steps = new StepStream(shard.book(tenant), instance, origin);
    steps.consulted(dependency);
    return steps;
  }

  #initRecord(): NewRecord {
    const { init, instance } = this.#spec;
    return { kind: RecordKind.init, tags: [stepTag(instance)], data: encodeInit(init), blobs: payloadBlobs(init.input) };
  }

  #draw(initialCursor: SeqNum): Pins {
    const { clock, random } = this.#context;
    const bits = random.bytes(SEED_BYTES + NONCE_BYTES);
    return { initialCursor, timeMs: clock.now(), seed: bits.subarray(0, SEED_BYTES), nonce: bits.subarray(SEED_BYTES) };
  }

  /** The step stream as the log has it now, or the outcome if that is known. */
  async #reload(shard: Shard): Promise<StepStream | InstanceOutcome> {
    const { tenant, instance, init } = this.#spec;
    const book = shard.book(tenant);
    const { records, tail } = await book.readStream(stepTag(instance), 0);
    const [first, second] = records;
    if (first === undefined) {
      return this.#absent(shard, tail);
    }
    this.#loggedIn = shard.epoch;
    const last = records.at(-1);
    if (last !== undefined && last.kind === RecordKind.done) {
      return completedOutcome(shard, last);
    }
    if (first.kind === RecordKind.invoke) {
      const origin: Origin = { kind: "pinned", pins: childPins(first, initOf(first)) };
      return new StepStream(book, instance, origin, records.slice(1));
    }
    const pins = second === undefined ? null : decodeStep(second.data).pins;
    const origin: Origin =
      pins === null ? { kind: "initialised", pins: this.#draw(tail) } : { kind: "pinned", pins: ownPins(pins) };
    const steps = new StepStream(book, instance, origin, records.slice(1));
    steps.consulted(first.seqnum);
    this.#context.log.debug(`replaying ${records.length - 1} steps`, { tenant, instance, functionName: init.functionName });
    return steps;
  }

  /** Nothing is in the log: the stream of an instance that begins from its input, or why that must not be. */
  async #absent(shard: Shard, tail: SeqNum): Promise<StepStream | InstanceOutcome> {
    const { begin, epoch, instance } = this.#spec;
    if (this.#loggedIn === shard.epoch || (await this.#mayBeCollected(shard))) {
      return expiredOutcome(instance);
    }
    this.#doubted = null;
    if (begin.kind !== "unlogged" || shard.epoch !== epoch) {
      const message = `the owner was restarted before instance ${instance} was durable`;
      return { kind: "failed", code: "EPOCH_CHANGED", message };
    }
    return this.#unlogged(shard, tail, begin.dependency);
  }

  /**
   * Whether an attempt in doubt may have been logged, finished by somebody else and collected since: only when the floor has passed
   * its initial cursor (F20).
   */
  async #mayBeCollected(shard: Shard): Promise<boolean> {
    if (this.#doubted === null) {
      return false;
    }
    const { tenant, instance } = this.#spec;
    try {
      await shard.book(tenant).readPrev(stepTag(instance), this.#doubted);
      return false;
    } catch (error) {
      if (hasCode(error, "TRIMMED")) {
        return true;
      }
      throw error;
    }
  }

  /** Notes what the attempt that has ended left in the log. */
  async #settle(shard: Shard, steps: StepStream): Promise<void> {
    if (steps.inDoubt) {
      this.#doubted = steps.pins.initialCursor;
      await steps.settle();
      this.#doubted = null;
    }
    if (steps.logged) {
      this.#loggedIn = shard.epoch;
    }
  }

  async #completed(shard: Shard, steps: StepStream, result: Result): Promise<Verdict> {
    if (steps.logged) {
      return this.#logDone(shard, steps, result);
    }
    const { output } = result;
    const done: InstanceDone = { ...result, output: { kind: "inline", bytes: output } };
    const { dependency } = steps;
    return this.#committed(shard, { kind: "completed", done, output, seqnum: NO_SEQNUM, timeMs: 0, dependency });
  }

  async #logDone(shard: Shard, steps: StepStream, result: Result): Promise<Verdict> {
    const { output } = result;
    const done: InstanceDone = { ...result, output: await toPayload(shard.blobs, output) };
    try {
      const { record } = await steps.done(encodeDone(done), payloadBlobs(done.output));
      const { seqnum, timeMs } = record;
      return await this.#committed(shard, { kind: "completed", done, output, seqnum, timeMs, dependency: steps.dependency });
    } catch (error) {
      if (error instanceof Fenced) {
        return this.#afterFence(error);
      }
      throw error;
    }
  }

  /**
   * Output commit: nothing of the outcome leaves before the journal is durable up to all it rests on (F8). A root's outcome waits
   * here, a child's reaches only its caller.
   */
  async #committed(shard: Shard, outcome: InstanceOutcome): Promise<Verdict> {
    if (outcome.kind === "completed" && this.#spec.init.depth === 0) {
      await shard.whenDurable(outcome.dependency);
    }
    return outcome;
  }

  #afterKill(steps: StepStream, { reason, message }: Extract<AttemptEnd, { kind: "killed" }>): Verdict {
    const { tenant, instance, init } = this.#spec;
    const code = KILL_CODES[reason];
    this.#context.log.warn(message, { tenant, instance, functionName: init.functionName, code });
    if (!steps.logged) {
      return { kind: "failed", code, message };
    }
    switch (reason) {
      case "closed":
        return { kind: "pending", parked: false, reason: "the host is stopping; the call goes on at its next start" };
      case "overloaded":
        return this.#later();
      case "cancelled":
        return AGAIN;
      default:
        return this.#again(new NeapError(code, message));
    }
  }

  #afterFence(fenced: Fenced): Verdict {
    if (fenced.reason === "notDeterministic") {
      this.#hopeless ??= new NeapError("NOT_DETERMINISTIC", `NOT_DETERMINISTIC: ${fenced.message}`);
    }
    return AGAIN;
  }

  /** An operation, or the platform around the attempt, failed. */
  #failed(thrown: unknown): Verdict {
    const { limits, log, source } = this.#context;
    const { tenant, instance, init } = this.#spec;
    const error = toNeapError(thrown);
    const { code, message } = error;
    if (code === "INTERNAL") {
      log.error("an attempt failed unexpectedly", { tenant, instance, functionName: init.functionName, error });
    }
    const isOver = isSessionOver(error);
    if (isOver && (source.current() !== undefined || this.#tries < limits.attemptsMax)) {
      return { kind: "again", afterMs: BACKOFF_MS };
    }
    if (this.#loggedIn === null && this.#doubted === null) {
      return code === "TRIMMED" ? AGAIN : { kind: "failed", code, message };
    }
    if (isOver) {
      return { kind: "pending", parked: false, reason: `${code}: ${message}` };
    }
    return SHORTAGES.has(code) ? this.#later() : this.#again(error);
  }

  /** The host has ended an attempt: once more, as long as that has not happened too often. */
  #again(cause: NeapError): Verdict {
    this.#ended += 1;
    if (this.#ended >= this.#context.limits.attemptsMax) {
      this.#hopeless ??= new NeapError(cause.code, `${this.#ended} attempts were ended by the host: ${cause.message}`);
    }
    return { kind: "again", afterMs: BACKOFF_MS };
  }

  #later(): Verdict {
    const afterMs = Math.min(BACKOFF_MS * 2 ** this.#shortages, BACKOFF_MAX_MS);
    this.#shortages += 1;
    return { kind: "again", afterMs };
  }

  /** A child gets a DONE of its own, so that its caller can go on; a root is parked (F17). */
  async #giveUp(shard: Shard, steps: StepStream, { code, message }: NeapError): Promise<Verdict> {
    const { tenant, instance, init } = this.#spec;
    if (!steps.logged) {
      return { kind: "failed", code, message };
    }
    if (init.depth > 0) {
      steps.skipToEnd();
      return this.#logDone(shard, steps, { returnValue: 1, trap: `ended by the host: ${message}`, output: EMPTY });
    }
    await park(shard, tenant, instance, message);
    this.#context.log.error(`parked: ${message}`, { tenant, instance });
    return { kind: "pending", parked: true, reason: message };
  }
}

function ownPins(pins: Pins): Pins {
  return { ...pins, seed: pins.seed.slice(), nonce: pins.nonce.slice() };
}

const KILL_CODES = {
  wallTime: "TIME_LIMIT",
  stackOverflow: "STACK_OVERFLOW",
  outputTooLarge: "OUTPUT_TOO_LARGE",
  workerLost: "WORKER_LOST",
  cancelled: "CANCELLED",
  closed: "SHUTTING_DOWN",
  overloaded: "OVERLOADED",
} as const;
