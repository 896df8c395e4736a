/**
 * Brings one instance to its end: attempt after attempt until there is a result, or a reason to leave it for later.
 *
 * Owns: the decision what follows an attempt's end. Does not own: the attempt (execution.ts), who waits for the outcome (service).
 *
 * R1. What the guest did is a result and is logged as DONE when anything is logged; what the host did to it only ends the attempt
 *     (F17).
 * R2. A `failed` outcome means that nothing of the instance is in the log, or not any more.
 * R3. A logged instance is left neither done nor parked only when the session is over or the host stops: then somebody else takes
 *     it up.
 */
import { NeapError } from "../../state/errors.ts";
import { NO_SEQNUM } from "../../state/ids.ts";
import type { Shard } from "../../state/logbook/index.ts";
import { Fenced, StepStream } from "../../state/protocols/index.ts";
import type { AttemptEnd } from "./attempt.ts";
import { park } from "./attempt-notes.ts";
import { delay, type InstanceOutcome, type InstanceSpec, type InvocationContext, isSessionOver, toNeapError } from "./context.ts";
import { type Execution, execute } from "./execution.ts";
import { InstanceHistory } from "./instance-history.ts";
import { encodeDone, type InstanceDone, payloadBlobs } from "./instance-record.ts";
import { toPayload } from "./payloads.ts";

/** Next attempt, or the outcome of the run. */
type Verdict = { readonly kind: "again"; readonly afterMs: number } | InstanceOutcome;

/** What the guest did. */
interface Result {
  readonly returnValue: number;
  readonly trap: string;
  readonly output: Uint8Array;
}

const AGAIN: Verdict = { kind: "again", afterMs: 0 };
const HOST_STOPS: Verdict = {
  kind: "pending",
  parked: false,
  reason: "the host is stopping; the call goes on at its next start",
};
const BACKOFF_MS = 50;
const BACKOFF_MAX_MS = 2_000;
/** They say nothing about the instance and pass by. */
const SHORTAGES: ReadonlySet<string> = new Set(["DISK_FULL", "TOO_MUCH_UNFLUSHED"]);
const EMPTY = new Uint8Array(0);

export class InstanceRun {
  readonly #context: InvocationContext;
  readonly #spec: InstanceSpec;
  readonly #parts: Omit<Execution, "shard" | "steps">;
  readonly #history: InstanceHistory;
  /** Attempts that the host has ended. */
  #ended = 0;
  /** Why no further attempt is made. */
  #hopeless: NeapError | null = null;
  #shortages = 0;
  #tries = 0;
  #isLeft = false;
  #endWait: () => void = () => {};

  constructor(parts: Omit<Execution, "shard" | "steps">) {
    this.#parts = parts;
    this.#context = parts.context;
    this.#spec = parts.spec;
    this.#history = new InstanceHistory(parts.context, parts.spec);
  }

  async run(): Promise<InstanceOutcome> {
    for (;;) {
      const verdict = await this.#attempt().catch((error: unknown) => this.#failed(error));
      if (verdict.kind !== "again") {
        return verdict;
      }
      this.#tries += 1;
      if (verdict.afterMs > 0) {
        await delay(this.#context.timers, verdict.afterMs);
      }
    }
  }

  /** The host stops: a call that waits for something is left to the next start. */
  leave(): void {
    this.#isLeft = true;
    this.#endWait();
  }

  async #attempt(): Promise<Verdict> {
    const { source, limits } = this.#context;
    const shard = source.current() ?? (await source.available(limits.ownerTimeoutMs));
    const steps = await this.#history.begin(shard);
    if (!(steps instanceof StepStream)) {
      return this.#committed(shard, steps);
    }
    if (this.#hopeless !== null) {
      return this.#giveUp(shard, steps, this.#hopeless);
    }
    const end = await execute({ ...this.#parts, shard, steps });
    await this.#history.settle(shard, steps);
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
      case "suspended":
        return this.#afterWait(end.until);
      case "fenced":
        return this.#afterFence(end.fenced);
      case "failed":
        return this.#failed(end.error);
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
        return HOST_STOPS;
      case "overloaded":
        return this.#later();
      case "cancelled":
        return AGAIN;
      default:
        return this.#again(new NeapError(code, message));
    }
  }

  async #afterWait(until: Promise<unknown>): Promise<Verdict> {
    const left = new Promise<void>((resolve) => {
      this.#endWait = resolve;
    });
    await (this.#isLeft || Promise.race([until, left]));
    return this.#isLeft ? HOST_STOPS : AGAIN;
  }

  #afterFence(fenced: Fenced): Verdict {
    if (fenced.reason === "notDeterministic") {
      this.#hopeless ??= new NeapError("NOT_DETERMINISTIC", `NOT_DETERMINISTIC: ${fenced.message}`);
    }
    this.#history.overtaken();
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
    if (!this.#history.mayBeLogged) {
      if (code === "TRIMMED") {
        this.#history.overtaken();
        return AGAIN;
      }
      return { kind: "failed", code, message };
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

const KILL_CODES = {
  wallTime: "TIME_LIMIT",
  stackOverflow: "STACK_OVERFLOW",
  outputTooLarge: "OUTPUT_TOO_LARGE",
  workerLost: "WORKER_LOST",
  cancelled: "CANCELLED",
  closed: "SHUTTING_DOWN",
  overloaded: "OVERLOADED",
} as const;
