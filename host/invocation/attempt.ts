/**
 * One try of an instance in a sandbox: carries out its operations one after the other and says how it ended.
 *
 * Owns: the order of the guest's operations, the fence between a stopped attempt and the log. Does not own: what happens after the
 * end (InstanceRun), the sandbox.
 *
 * A1. Operations take effect in the order the guest asked for them, also posted ones; one at a time.
 * A2. The end is reported once, when no operation is under way any more: what the attempt did to the log is settled then. That of
 *     a guest that returned, trapped or wrote too much comes after every operation before it has been carried out.
 * A3. After a failed operation no later one of this attempt is carried out.
 */
import type { NeapError } from "../../state/errors.ts";
import type { LogBookId } from "../../state/ids.ts";
import { Fenced } from "../../state/protocols/index.ts";
import type { Artefact } from "../modules/artefact.ts";
import type {
  GuestState,
  KillReason,
  OperationReply,
  PartStart,
  SandboxCall,
  SandboxEnd,
  SandboxHandler,
  SandboxLimits,
  SandboxPool,
} from "../sandbox/sandbox.ts";
import { toNeapError } from "./context.ts";

/** Performs one operation; the attempt calls it serially. Throws Fenced, Suspended or NeapError to end the attempt. */
export type PerformOperation = (operation: number, args: Uint8Array) => Promise<OperationReply>;

export type AttemptEnd =
  | {
      readonly kind: "returned";
      readonly value: number;
      readonly output: Uint8Array;
      readonly cpuMs: number;
      readonly state?: GuestState;
    }
  | { readonly kind: "trapped"; readonly message: string; readonly cpuMs: number }
  | { readonly kind: "killed"; readonly reason: KillReason; readonly message: string }
  | { readonly kind: "displaced" }
  /** It waits for long and has given its sandbox back: a replay goes on when `until` has settled. */
  | { readonly kind: "suspended"; readonly until: Promise<unknown> }
  | { readonly kind: "fenced"; readonly fenced: Fenced }
  /** The owner of the state is gone, or an operation failed for a reason that is not the guest's. */
  | { readonly kind: "failed"; readonly error: NeapError };

/** Thrown by an operation whose answer is a long time off. */
export class Suspended extends Error {
  override name = "Suspended";
  readonly until: Promise<unknown>;
  constructor(until: Promise<unknown>) {
    super("the attempt waits for long");
    this.until = until;
  }
}

export interface AttemptOptions {
  readonly pool: SandboxPool;
  readonly tenant: LogBookId;
  readonly artefact: Artefact;
  readonly input: Uint8Array;
  /** Calls above this one. */
  readonly depth: number;
  readonly pins: { readonly timeMs: number; readonly seed: Uint8Array };
  readonly limits: SandboxLimits;
  readonly part?: PartStart;
  readonly perform: PerformOperation;
  /** The guest was stopped: an operation under way shall end soon, and have no effect any more. Called at most once. */
  readonly onStop: () => void;
  readonly onLog: (text: string) => void;
}

interface Pending {
  readonly operation: number;
  readonly args: Uint8Array;
  readonly waits: boolean;
}

export class Attempt implements SandboxHandler {
  readonly #perform: PerformOperation;
  readonly #onStop: () => void;
  readonly #onLog: (text: string) => void;
  readonly #call: SandboxCall;
  readonly #pending: Pending[] = [];
  #performing = false;
  #sandboxEnd: SandboxEnd | null = null;
  /** Why no further operation counts, whatever the sandbox says. */
  #verdict: AttemptEnd | null = null;
  #isStopped = false;
  #isReported = false;
  readonly #outcome = Promise.withResolvers<AttemptEnd>();

  constructor(options: AttemptOptions) {
    this.#perform = options.perform;
    this.#onStop = options.onStop;
    this.#onLog = options.onLog;
    const { tenant, artefact, input, depth, pins, limits, part } = options;
    this.#call = options.pool.start({ tenant, artefact, input, depth, pins, limits, ...(part !== undefined && { part }) }, this);
  }

  get ended(): Promise<AttemptEnd> {
    return this.#outcome.promise;
  }

  /** Stops the attempt: from now on none of its operations is carried out. Nothing happens when it was stopped or has ended. */
  stop(verdict: AttemptEnd): void {
    if (!this.#isStopped && !this.#isReported) {
      this.#verdict = verdict;
      this.#interrupt();
      this.#call.cancel();
    }
  }

  onOperation(operation: number, args: Uint8Array, waits: boolean): void {
    if (this.#isStopped) {
      return;
    }
    this.#pending.push({ operation, args, waits });
    if (!this.#performing) {
      void this.#work();
    }
  }

  onLog(text: string): void {
    this.#onLog(text);
  }

  onEnd(end: SandboxEnd): void {
    this.#sandboxEnd = end;
    if (end.kind === "displaced" || (end.kind === "killed" && end.reason !== "outputTooLarge")) {
      this.#interrupt();
    }
    this.#report();
  }

  async #work(): Promise<void> {
    this.#performing = true;
    for (let next = this.#pending.shift(); next !== undefined; next = this.#pending.shift()) {
      try {
        const reply = await this.#perform(next.operation, next.args);
        if (next.waits) {
          this.#call.reply(reply);
        } else {
          this.#call.acknowledge();
        }
      } catch (error) {
        this.stop(verdictOf(error));
      }
    }
    this.#performing = false;
    this.#report();
  }

  #interrupt(): void {
    if (!this.#isStopped) {
      this.#isStopped = true;
      this.#pending.length = 0;
      this.#onStop();
    }
  }

  #report(): void {
    if (this.#sandboxEnd !== null && !this.#performing && !this.#isReported) {
      this.#isReported = true;
      this.#outcome.resolve(this.#verdict ?? this.#sandboxEnd);
    }
  }
}

function verdictOf(error: unknown): AttemptEnd {
  if (error instanceof Suspended) {
    return { kind: "suspended", until: error.until };
  }
  return error instanceof Fenced ? { kind: "fenced", fenced: error } : { kind: "failed", error: toNeapError(error) };
}
