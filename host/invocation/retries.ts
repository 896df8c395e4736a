/**
 * What follows an attempt that came to no result: another one, or none.
 *
 * Owns: how often and why attempts of a run were ended. Does not own: what is known of the log (InstanceHistory), how the instance ends
 * when no attempt is made any more (InstanceEnd).
 */
import { NeapError } from "../../state/errors.ts";
import type { Fenced, StepStream } from "../../state/protocols/index.ts";
import type { TransactionEffects } from "../../state/txn/index.ts";
import { backoffMs, type RetryCause } from "../modules/retry-policy.ts";
import type { AttemptEnd } from "./attempt.ts";
import { type InstanceOutcome, type InstanceSpec, type InvocationContext, isSessionOver, toNeapError } from "./context.ts";
import type { InstanceHistory } from "./instance-history.ts";

/** Next attempt, or the outcome of the run. */
export type Verdict = { readonly kind: "again"; readonly afterMs: number } | InstanceOutcome;

export const AGAIN: Verdict = { kind: "again", afterMs: 0 };
export const HOST_STOPS: Verdict = {
  kind: "pending",
  parked: false,
  reason: "the host is stopping; the call goes on at its next start",
};
/** After what says nothing about the instance. */
const SHORTAGE_BACKOFF_MS = 50;
const SHORTAGE_BACKOFF_MAX_MS = 2_000;
/** They say nothing about the instance and pass by. */
const SHORTAGES: ReadonlySet<string> = new Set(["DISK_FULL", "TOO_MANY_WAITS", "REGIONS_FULL", "OVERLOADED"]);
/** Every attempt would ask for it again: the function's own doing, as a trap is (F17). */
const OWN_DOING: ReadonlySet<string> = new Set([
  "OBJECT_TOO_LARGE",
  "PROTOCOL_MISMATCH",
  "STATE_LIMIT",
  "TRANSACTION_OVER",
  "WORLD_LOST",
]);

/** What the function did that it may not do, whichever attempt. */
export interface Refusal {
  readonly error: NeapError;
  /** In its caller's transaction, up to there; null outside of one. */
  readonly effects: TransactionEffects | null;
}

export class Retries {
  readonly #context: InvocationContext;
  readonly #spec: InstanceSpec;
  readonly #history: InstanceHistory;
  /** Attempts that were made after others. */
  made = 0;
  #hopeless: NeapError | null = null;
  #refused: Refusal | null = null;
  /** Attempts that the host has ended. */
  #ended = 0;
  #shortages = 0;

  constructor(context: InvocationContext, spec: InstanceSpec, history: InstanceHistory) {
    this.#context = context;
    this.#spec = spec;
    this.#history = history;
  }

  /** Why no further attempt is made. */
  get hopeless(): NeapError | null {
    return this.#hopeless;
  }

  /** No further attempt is made. */
  giveUp(why: NeapError): void {
    this.#hopeless = why;
  }

  /** Why no further attempt is made, when it is the function's own doing. */
  get refused(): Refusal | null {
    return this.#refused;
  }

  /** @param steps  of the attempt, settled */
  afterKill(steps: StepStream, { reason, message }: Extract<AttemptEnd, { kind: "killed" }>): Verdict {
    const { tenant, instance, init } = this.#spec;
    const code = KILL_CODES[reason];
    this.#context.log.warn(message, { tenant, instance, functionName: init.functionName, code });
    if (!steps.logged && !this.#history.mayBeLogged) {
      return { kind: "failed", code, message };
    }
    switch (reason) {
      case "closed":
        return HOST_STOPS;
      case "overloaded":
        return this.#later();
      case "tooLarge":
        this.#hopeless ??= new NeapError(code, message);
        return AGAIN;
      case "cancelled":
        return AGAIN;
      default:
        return this.#again(new NeapError(code, message));
    }
  }

  /** Others had got further: the next attempt begins with what they have logged. */
  afterFence(fenced: Fenced): Verdict {
    if (fenced.reason === "notDeterministic") {
      this.#hopeless ??= new NeapError("NOT_DETERMINISTIC", `NOT_DETERMINISTIC: ${fenced.message}`);
    }
    this.#history.overtaken();
    return AGAIN;
  }

  /**
   * An operation, or the platform around the attempt, failed.
   * @param effects  of the attempt
   */
  failed(thrown: unknown, effects: TransactionEffects | null = null): Verdict {
    const { limits, log, source } = this.#context;
    const { tenant, instance, init } = this.#spec;
    const error = toNeapError(thrown);
    const { code, message } = error;
    if (code === "INTERNAL") {
      log.error("an attempt failed unexpectedly", { tenant, instance, functionName: init.functionName, error });
    }
    const isOver = isSessionOver(error);
    if (isOver && (source.current() !== undefined || this.made < limits.attemptsMax)) {
      return { kind: "again", afterMs: SHORTAGE_BACKOFF_MS };
    }
    if (OWN_DOING.has(code) || (code === "UNKNOWN_ENTRY_POINT" && this.#history.mayBeLogged)) {
      this.#refused = { error, effects };
      return AGAIN;
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

  /** The host has ended an attempt: once more, if the function's policy says so. */
  #again(cause: NeapError): Verdict {
    const { retry } = this.#spec.init;
    this.#ended += 1;
    if (this.#ended >= retry.attemptsMax || !retry.causes.includes(RETRY_CAUSE[cause.code] ?? "failure")) {
      const times = this.#ended === 1 ? "an attempt was" : `${this.#ended} attempts were`;
      this.#hopeless ??= new NeapError(cause.code, `${times} ended by the host: ${cause.message}`);
      return AGAIN;
    }
    return { kind: "again", afterMs: backoffMs(retry, this.#ended) };
  }

  #later(): Verdict {
    const afterMs = Math.min(SHORTAGE_BACKOFF_MS * 2 ** this.#shortages, SHORTAGE_BACKOFF_MAX_MS);
    this.#shortages += 1;
    return { kind: "again", afterMs };
  }
}

const RETRY_CAUSE: Readonly<Record<string, RetryCause>> = {
  TIME_LIMIT: "timeLimit",
  CPU_LIMIT: "cpuLimit",
  STACK_OVERFLOW: "stackOverflow",
  WORKER_LOST: "workerLost",
};

const KILL_CODES = {
  wallTime: "TIME_LIMIT",
  cpuTime: "CPU_LIMIT",
  stackOverflow: "STACK_OVERFLOW",
  outputTooLarge: "OUTPUT_TOO_LARGE",
  workerLost: "WORKER_LOST",
  cancelled: "CANCELLED",
  closed: "SHUTTING_DOWN",
  overloaded: "OVERLOADED",
  tooLarge: "CALL_TOO_LARGE",
} as const;
