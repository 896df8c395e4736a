/**
 * Brings one instance to its end: attempt after attempt until there is a result, or a reason to leave it for later.
 *
 * Owns: the decision what follows an attempt's end. Does not own: operations (Attempt), who waits for the outcome (service).
 *
 * R1. What the guest did is a result and is logged as DONE when anything is logged; what the host did to it only ends the attempt
 *     (F17).
 * R2. Every attempt begins with what the log says: nothing, INIT, pins, steps or DONE.
 * R3. A `failed` outcome means that nothing of the instance is in the log.
 */
import { hasCode, NeapError } from "../../state/errors.ts";
import { NO_SEQNUM, type SeqNum } from "../../state/ids.ts";
import { type LogRecord, type NewRecord, RecordKind, type Shard } from "../../state/logbook/index.ts";
import { decodeStep, NONCE_BYTES, type Pins, SEED_BYTES } from "../../state/logbook/step-record.ts";
import { Fenced, HalfmoonRead, type Origin, StepStream } from "../../state/protocols/index.ts";
import { attemptTag, stepTag } from "../../state/tags.ts";
import { Attempt, type AttemptEnd } from "./attempt.ts";
import { ChildOperations } from "./child-operations.ts";
import {
  type InstanceOutcome,
  type InstanceRunner,
  type InstanceSpec,
  type InvocationContext,
  isSessionOver,
  type Trace,
} from "./context.ts";
import { childPins, doneOf, encodeDone, encodeInit, type InstanceDone, initOf, payloadBlobs } from "./instance-record.ts";
import type { LiveAttempts } from "./live-attempts.ts";
import { ObjectOperations } from "./object-operations.ts";
import { PartOperations } from "./part-operations.ts";
import { fromPayload, toPayload } from "./payloads.ts";

/** Next attempt, or the outcome of the run. */
type Verdict = { readonly kind: "again"; readonly afterMs: number } | InstanceOutcome;

const AGAIN: Verdict = { kind: "again", afterMs: 0 };
/** Before a try that follows a shortage of the host. */
const BACKOFF_MS = 50;
/** What the owner may have again later: a logged instance waits for it, as nobody else would take it up. */
const SHORTAGES: ReadonlySet<string> = new Set(["DISK_FULL", "TOO_MUCH_UNFLUSHED"]);
const SHORTAGE_MS = 500;

export class InstanceRun {
  readonly #context: InvocationContext;
  readonly #runner: InstanceRunner;
  readonly #attempts: LiveAttempts;
  readonly #spec: InstanceSpec;
  readonly #trace: Trace;
  /** Whether answers wait for the disk here: a root's do, a child's result reaches only its caller. */
  readonly #commits: boolean;
  /** The epoch in which the instance was last known to be in the log. */
  #loggedIn: number | null = null;
  #killed = 0;
  #tries = 0;

  constructor(context: InvocationContext, runner: InstanceRunner, attempts: LiveAttempts, spec: InstanceSpec, trace: Trace) {
    this.#context = context;
    this.#runner = runner;
    this.#attempts = attempts;
    this.#spec = spec;
    this.#trace = trace;
    this.#commits = spec.init.depth === 0;
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
    if (this.#spec.begin.kind !== "unlogged") {
      this.#loggedIn ??= shard.epoch;
    }
    const opened = this.#tries === 0 ? this.#fresh(shard) : null;
    const steps = opened ?? (await this.#reload(shard));
    if (!(steps instanceof StepStream)) {
      return this.#committed(shard, steps);
    }
    const end = await this.#execute(shard, steps);
    this.#loggedIn = steps.logged ? shard.epoch : this.#loggedIn;
    switch (end.kind) {
      case "returned":
      case "trapped":
        this.#trace.cpuMs += end.cpuMs;
        return this.#completed(shard, steps, end);
      case "killed":
        return this.#afterKill(shard, steps, end);
      case "displaced":
        return AGAIN;
      case "fenced":
        return this.#afterFence(shard, end.fenced);
      case "failed":
        return this.#failed(end.error);
    }
  }

  /** The first attempt of an instance whose place in the log is known without looking. */
  #fresh(shard: Shard): StepStream | null {
    const { begin, tenant, instance } = this.#spec;
    switch (begin.kind) {
      case "unlogged": {
        const steps = this.#unlogged(shard, begin.initialCursor);
        steps.consulted(begin.dependency);
        return steps;
      }
      case "child":
        return new StepStream(shard.book(tenant), instance, { kind: "pinned", pins: begin.pins });
      case "logged":
        return null;
    }
  }

  #unlogged(shard: Shard, initialCursor: SeqNum): StepStream {
    const { tenant, instance } = this.#spec;
    const origin: Origin = { kind: "unlogged", pins: this.#draw(initialCursor), init: () => this.#initRecord() };
    return new StepStream(shard.book(tenant), instance, origin);
  }

  async #initRecord(): Promise<NewRecord> {
    const { init, instance } = this.#spec;
    return { kind: RecordKind.init, tags: [stepTag(instance)], data: encodeInit(init), blobs: payloadBlobs(init.input) };
  }

  #draw(initialCursor: SeqNum): Pins {
    const { clock, random } = this.#context;
    const bits = random.bytes(SEED_BYTES + NONCE_BYTES);
    return { initialCursor, timeMs: clock.now(), seed: bits.subarray(0, SEED_BYTES), nonce: bits.subarray(SEED_BYTES) };
  }

  /** The step stream as the log has it now, or the outcome if it has DONE. */
  async #reload(shard: Shard): Promise<StepStream | InstanceOutcome> {
    const { tenant, instance, init } = this.#spec;
    const book = shard.book(tenant);
    const { records, tail } = await book.readStream(stepTag(instance), 0);
    const [first, second] = records;
    if (first === undefined) {
      return this.#vanished(shard) ?? this.#unlogged(shard, tail);
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

  /** Nothing is in the log: why that ends the run, or null if it may begin from its input. */
  #vanished(shard: Shard): InstanceOutcome | null {
    const { begin, instance } = this.#spec;
    if (this.#loggedIn === shard.epoch) {
      return {
        kind: "failed",
        code: "RESULT_EXPIRED",
        message: `instance ${instance} is finished and its result is no longer kept`,
      };
    }
    return begin.kind === "unlogged"
      ? null
      : { kind: "failed", code: "EPOCH_CHANGED", message: `the owner was restarted before instance ${instance} was durable` };
  }

  async #execute(shard: Shard, steps: StepStream): Promise<AttemptEnd> {
    const { functions, pool, offload, limits, log, nodeName } = this.#context;
    const { init, tenant, instance, signal } = this.#spec;
    if (signal?.aborted === true && !steps.logged) {
      return { kind: "killed", reason: "cancelled", message: "the client went away" };
    }
    const [artefact, input] = await Promise.all([functions.artefact(shard, init.module), fromPayload(shard.blobs, init.input)]);
    const protocol = new HalfmoonRead(steps, shard.blobs);
    const objects = new ObjectOperations(protocol, shard.blobs, limits.objectMaxBytes, this.#trace.moved);
    const children = new ChildOperations(this.#context, this.#runner, shard, tenant, steps, init, this.#trace);
    const parts = new PartOperations({ offload, tenant, steps, objects: protocol, artefact, init, trace: this.#trace, nodeName });
    this.#trace.executedAt.add(nodeName);
    const attempt = new Attempt({
      pool,
      artefact,
      input,
      pins: steps.pins,
      limits: { wallTimeMs: init.wallTimeMs, outputMaxBytes: init.outputMaxBytes, logMaxBytes: limits.logMaxBytes },
      perform: (operation, args) =>
        objects.perform(operation, args) ??
        children.perform(operation, args) ??
        parts.perform(operation, args) ??
        Promise.reject(new NeapError("INTERNAL", `unknown operation ${operation}`)),
      onLog: (text) => log.info(text, { tenant, instance, functionName: init.functionName }),
    });
    const abort = () => {
      if (!steps.logged) {
        attempt.stop({ kind: "killed", reason: "cancelled", message: "the client went away" });
      }
    };
    signal?.addEventListener("abort", abort);
    this.#attempts.add(shard, attempt);
    const end = await attempt.ended;
    this.#attempts.delete(shard, attempt);
    signal?.removeEventListener("abort", abort);
    if (end.kind !== "returned" && end.kind !== "trapped") {
      steps.fence(new Fenced("closed", "the attempt has ended"));
    }
    parts.close();
    await objects.close();
    return end;
  }

  async #completed(
    shard: Shard,
    steps: StepStream,
    end: Extract<AttemptEnd, { kind: "returned" | "trapped" }>,
  ): Promise<Verdict> {
    const output = end.kind === "returned" ? end.output : new Uint8Array(0);
    const returnValue = end.kind === "returned" ? end.value : 1;
    const trap = end.kind === "trapped" ? end.message : "";
    if (!steps.logged) {
      const done: InstanceDone = { returnValue, trap, output: { kind: "inline", bytes: output } };
      const { dependency } = steps;
      return this.#committed(shard, { kind: "completed", done, output, seqnum: NO_SEQNUM, timeMs: 0, dependency });
    }
    return this.#logDone(shard, steps, returnValue, trap, output);
  }

  async #logDone(shard: Shard, steps: StepStream, returnValue: number, trap: string, output: Uint8Array): Promise<Verdict> {
    const done: InstanceDone = { returnValue, trap, output: await toPayload(shard.blobs, output) };
    try {
      const { record } = await steps.done(encodeDone(done), payloadBlobs(done.output));
      const { dependency } = steps;
      return await this.#committed(shard, {
        kind: "completed",
        done,
        output,
        seqnum: record.seqnum,
        timeMs: record.timeMs,
        dependency,
      });
    } catch (error) {
      if (error instanceof Fenced) {
        return this.#afterFence(shard, error);
      }
      throw error;
    }
  }

  /** Output commit: nothing of the outcome leaves before the journal is durable up to all it rests on (F8). */
  async #committed(shard: Shard, outcome: InstanceOutcome): Promise<Verdict> {
    if (this.#commits && outcome.kind === "completed" && outcome.dependency > 0) {
      await shard.whenDurable(outcome.dependency);
    }
    return outcome;
  }

  async #afterKill(shard: Shard, steps: StepStream, end: Extract<AttemptEnd, { kind: "killed" }>): Promise<Verdict> {
    const { limits, log } = this.#context;
    const { tenant, instance, init } = this.#spec;
    const { reason, message } = end;
    log.warn(message, { tenant, instance, functionName: init.functionName, code: KILL_CODES[reason] });
    if (!steps.logged) {
      return { kind: "failed", code: KILL_CODES[reason], message };
    }
    if (reason === "closed") {
      return { kind: "pending", parked: false, reason: "the host is stopping; the call goes on at its next start" };
    }
    if (reason === "overloaded") {
      return { kind: "again", afterMs: BACKOFF_MS };
    }
    this.#killed += 1;
    if (this.#killed < limits.attemptsMax) {
      return { kind: "again", afterMs: reason === "workerLost" ? BACKOFF_MS : 0 };
    }
    return init.depth > 0 ? this.#giveUp(shard, message) : this.#park(shard, `${this.#killed} attempts were ended: ${message}`);
  }

  /** A child that no attempt can finish gets a DONE of its own, so that its caller can go on (F17). */
  async #giveUp(shard: Shard, message: string): Promise<Verdict> {
    const steps = await this.#reload(shard);
    if (!(steps instanceof StepStream)) {
      return steps;
    }
    steps.skipToEnd();
    return this.#logDone(shard, steps, 1, `ended by the host: ${message}`, new Uint8Array(0));
  }

  async #park(shard: Shard, reason: string): Promise<InstanceOutcome> {
    const { tenant, instance } = this.#spec;
    const record: NewRecord = { kind: RecordKind.parked, tags: [attemptTag(instance)], data: Buffer.from(reason) };
    const result = await shard.book(tenant).append({ records: [record] });
    if (result.kind === "appended") {
      await shard.whenDurable(result.seqnum);
    }
    this.#context.log.error(`parked: ${reason}`, { tenant, instance });
    return { kind: "pending", parked: true, reason };
  }

  async #afterFence(shard: Shard, fenced: Fenced): Promise<Verdict> {
    return fenced.reason === "notDeterministic" ? this.#park(shard, `NOT_DETERMINISTIC: ${fenced.message}`) : AGAIN;
  }

  /** An operation, or the platform around the attempt, failed. */
  #failed(error: unknown): Verdict {
    if (!(error instanceof NeapError)) {
      throw error;
    }
    const { limits, source } = this.#context;
    if (isSessionOver(error) && (source.current() !== undefined || this.#tries < limits.attemptsMax)) {
      return { kind: "again", afterMs: BACKOFF_MS };
    }
    if (this.#loggedIn !== null && SHORTAGES.has(error.code)) {
      return { kind: "again", afterMs: SHORTAGE_MS };
    }
    if (hasCode(error, "TRIMMED") && this.#loggedIn === null) {
      return AGAIN;
    }
    return this.#loggedIn !== null
      ? { kind: "pending", parked: false, reason: `${error.code}: ${error.message}` }
      : { kind: "failed", code: error.code, message: error.message };
  }
}

/** The outcome that a DONE record tells. */
export async function completedOutcome(shard: Shard, record: LogRecord): Promise<InstanceOutcome> {
  const done = doneOf(record);
  const { seqnum, timeMs } = record;
  return { kind: "completed", done, output: await fromPayload(shard.blobs, done.output), seqnum, timeMs, dependency: seqnum };
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
