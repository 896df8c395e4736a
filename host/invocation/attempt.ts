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
 * A4. While the guest waits for long it may be bytes in the parking, and have no sandbox: the operation that it waits for goes on, and
 *     its answer takes the guest to a sandbox again (F22). Nobody else notices.
 * A5. It ends `moved` with the guest stopped and no operation under way. One that was under way has been carried out, and its answer is
 *     there; or it is to be asked for again, and what it has logged is found then.
 * A6. A guest that was stopped, and neither leaves nor waits for long, goes on here where it was, if there is room for its bytes until it has
 *     a sandbox again; else the attempt is displaced, and the next one begins anew.
 */
import { invariant, type NeapError } from "../../state/errors.ts";
import type { LogBookId } from "../../state/ids.ts";
import { Fenced } from "../../state/protocols/index.ts";
import type { ArenaMemory } from "../../state/regions/index.ts";
import type { Artefact } from "../modules/artefact.ts";
import type { Departure } from "../offload/index.ts";
import type {
  FrozenStart,
  GuestState,
  KillReason,
  LateInput,
  OperationReply,
  PartStart,
  SandboxCall,
  SandboxEnd,
  SandboxHandler,
  SandboxLimits,
  SandboxPool,
  SandboxStart,
} from "../sandbox/sandbox.ts";
import { toNeapError } from "./context.ts";
import type { Parking } from "./parking.ts";

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
  /** `answer`: of the operation that the guest waits for. `isUndone`: one was broken off. */
  | {
      readonly kind: "moved";
      readonly departure: Departure;
      readonly guest: Uint8Array;
      readonly answer: OperationReply | null;
      readonly isUndone: boolean;
    }
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
  readonly input: Uint8Array | LateInput;
  readonly commandLine: Uint8Array;
  /** Left out: the module's entry runs. */
  readonly tableIndex?: number | undefined;
  /** Calls above this one. */
  readonly depth: number;
  readonly pins: { readonly timeMs: number; readonly seed: Uint8Array };
  readonly limits: SandboxLimits;
  readonly sandboxesMax: number;
  readonly ofFunction?: SandboxStart["ofFunction"];
  /** Of a call whose threads share its memory. */
  readonly threads?: SandboxStart["threads"];
  /** Of a rank of a world. */
  readonly ranks?: number;
  readonly part?: PartStart;
  /** Where the guest waits for long; left out: it cannot be stopped in the middle. */
  readonly parking?: Parking;
  /** Begin where the guest was stopped. */
  readonly frozen?: FrozenStart;
  /** Whether what the attempt has beside its guest can be at another node. */
  readonly mayMove?: () => boolean;
  /** Asked whenever the guest has got an answer: why it shall leave, or null. */
  readonly departs?: () => Departure | null;
  /** The attempt leaves: an operation under way that only waits shall end soon, as it is asked for again. */
  readonly onMove?: () => void;
  /** What a guest reaches that uses memory regions. */
  readonly arena?: ArenaMemory;
  /** The guest can run no more. */
  readonly onGone?: () => void;
  /** Settles when nobody needs the output of its end any more; left out: it is not kept. */
  readonly outputUsed?: Promise<void>;
  readonly perform: PerformOperation;
  /** The guest was stopped: an operation under way shall end soon, and have no effect any more. Called at most once. */
  readonly onStop: () => void;
  readonly onLog: (text: string) => void;
}

interface Pending {
  readonly operation: number;
  readonly args: Uint8Array;
  readonly waits: boolean;
  /** The sandbox that asks. */
  readonly call: SandboxCall;
}

export class Attempt implements SandboxHandler {
  readonly #pool: SandboxPool;
  readonly #start: SandboxStart;
  readonly #parking: Parking | null;
  readonly #mayMove: () => boolean;
  readonly #departs: () => Departure | null;
  readonly #perform: PerformOperation;
  readonly #onStop: () => void;
  readonly #onMove: () => void;
  readonly #onLog: (text: string) => void;
  readonly #onGone: () => void;
  readonly outputUsed: Promise<void> | undefined;
  #call: SandboxCall;
  /** Of sandboxes that it has left. */
  #cpuMs = 0;
  /** The guest while it is parked. */
  #parked: Uint8Array | null = null;
  /** Of the guest that waits for a sandbox to go on in. */
  #queuedBytes = 0;
  /** The guest shall be parked until that has settled. */
  #until: Promise<unknown> | null = null;
  /** The call shall go on at another node. */
  #departure: Departure | null = null;
  /** The guest that leaves, when the operation is settled that is under way. */
  #leaving: { readonly departure: Departure; readonly guest: Uint8Array; readonly awaits: boolean } | null = null;
  /** The guest waits for the operation that is under way. */
  #isAwaited = false;
  /** To the operation that the guest waits for, when it may have been stopped before it got that. */
  #answer: OperationReply | null = null;
  readonly #pending: Pending[] = [];
  #performing = false;
  #sandboxEnd: Exclude<SandboxEnd, { kind: "frozen" }> | typeof PARKED_AND_STOPPED | null = null;
  /** Why no further operation counts, whatever the sandbox says. */
  #verdict: AttemptEnd | null = null;
  #isStopped = false;
  #isReported = false;
  readonly #outcome = Promise.withResolvers<AttemptEnd>();

  constructor(options: AttemptOptions) {
    this.#perform = options.perform;
    this.#onStop = options.onStop;
    this.#onLog = options.onLog;
    this.#onMove = options.onMove ?? (() => {});
    this.#onGone = options.onGone ?? (() => {});
    this.outputUsed = options.outputUsed;
    const { pool, tenant, sandboxesMax, artefact, input, commandLine, tableIndex, depth, pins, limits } = options;
    const { ofFunction, threads, ranks, part, arena, frozen } = options;
    this.#pool = pool;
    this.#parking = options.parking ?? null;
    this.#mayMove = options.mayMove ?? (() => false);
    this.#departs = options.departs ?? (() => null);
    this.#start = {
      tenant,
      sandboxesMax,
      ofFunction,
      artefact,
      input,
      commandLine,
      depth,
      pins,
      limits,
      threads,
      ranks,
      tableIndex,
      part,
      arena,
      mayFreeze: this.#parking !== null,
    };
    if (frozen !== undefined && this.#parking?.take(frozen.bytes.byteLength) === true) {
      this.#queuedBytes = frozen.bytes.byteLength;
    }
    this.#call = pool.start(frozen === undefined ? this.#start : { ...this.#start, frozen }, this);
  }

  /** Its guest has a sandbox, or waits for one, and can be stopped in the middle. */
  get mayLeave(): boolean {
    return this.#parked === null && this.#mayDepart && this.#departure === null;
  }

  /** CPU time of its guest, ms; once it has ended. */
  get cpuMs(): number {
    return this.#cpuMs;
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
      if (this.#parked !== null) {
        this.#leaveParking();
        this.#sandboxEnd = PARKED_AND_STOPPED;
        this.#report();
      }
    }
  }

  /** Stops the attempt if it waits without a sandbox: nobody else would. */
  stopParked(verdict: AttemptEnd): void {
    if (this.#parked !== null) {
      this.stop(verdict);
    }
  }

  /** The guest's operation takes until `until` has settled: it is parked, if it can be stopped in the middle; false when not. */
  park(until: Promise<unknown>): boolean {
    if (this.#parking === null || this.#isStopped) {
      return false;
    }
    this.#until = until;
    this.#call.freeze();
    return true;
  }

  /**
   * The call goes on at another node: the attempt ends `moved` as soon as it can, unless it ends otherwise before, or finds then that it
   * had better stay. The last departure counts.
   */
  move(departure: Departure): void {
    if (!this.#mayDepart) {
      return;
    }
    this.#departure = departure;
    if (this.#parked === null) {
      this.#call.freeze();
    } else {
      this.#leave({ departure, guest: this.#leaveParking(), awaits: true });
    }
  }

  get #mayDepart(): boolean {
    return this.#parking !== null && !this.#isStopped && !this.#isReported && this.#leaving === null && this.#mayMove();
  }

  onOperation(operation: number, args: Uint8Array, waits: boolean): void {
    if (this.#isStopped) {
      return;
    }
    this.#answer = null;
    this.#pending.push({ operation, args, waits, call: this.#call });
    if (!this.#performing) {
      void this.#work();
    }
  }

  onLog(text: string): void {
    this.#onLog(text);
  }

  onEnd(end: SandboxEnd): void {
    if (end.kind === "frozen") {
      this.#frozen(end);
      return;
    }
    this.onBegun();
    this.#cpuMs += end.cpuMs;
    this.#sandboxEnd = { ...end, cpuMs: this.#cpuMs };
    if (end.kind === "displaced" || (end.kind === "killed" && end.reason !== "outputTooLarge")) {
      this.#interrupt();
    }
    this.#report();
  }

  onBegun(): void {
    if (this.#queuedBytes > 0) {
      this.#parking?.give(this.#queuedBytes);
      this.#queuedBytes = 0;
    }
  }

  onGone(): void {
    this.#onGone();
  }

  async #work(): Promise<void> {
    this.#performing = true;
    for (let next = this.#pending.shift(); next !== undefined; next = this.#pending.shift()) {
      if (next.waits && this.#leaving !== null) {
        this.#moved(null, false);
        break;
      }
      this.#isAwaited = next.waits;
      try {
        const reply = await this.#perform(next.operation, next.args);
        if (!next.waits) {
          next.call.acknowledge();
        } else if (this.#leaving !== null) {
          this.#moved(reply, false);
        } else if (this.#parked !== null) {
          const bytes = this.#parked;
          this.#parked = null;
          this.#goOn(bytes, reply);
        } else {
          this.#answer = this.#until === null && this.#departure === null ? null : reply;
          next.call.reply(reply);
          this.#departNow();
        }
      } catch (error) {
        if (next.waits && this.#leaving !== null) {
          this.#moved(null, true);
        } else {
          this.stop(verdictOf(error));
        }
      }
    }
    this.#performing = false;
    if (this.#leaving !== null) {
      this.#moved(this.#leaving.awaits ? this.#answer : null, false);
    }
    this.#report();
  }

  #frozen({ bytes, awaits, cpuMs }: Extract<SandboxEnd, { kind: "frozen" }>): void {
    this.#cpuMs += cpuMs;
    const { byteLength } = bytes;
    if (this.#isStopped) {
      this.#sandboxEnd = PARKED_AND_STOPPED;
      this.#report();
    } else if (this.#departure !== null && this.#mayMove() && this.#departure.accepts(byteLength)) {
      this.#leave({ departure: this.#departure, guest: bytes, awaits });
    } else if (this.#parking?.take(byteLength) !== true) {
      this.#sandboxEnd = PARKED_AND_STOPPED;
      const goesOn = !awaits || this.#answer !== null;
      this.stop(goesOn ? { kind: "displaced" } : { kind: "suspended", until: this.#until ?? Promise.resolve() });
      this.#report();
    } else if (!awaits || this.#answer !== null) {
      this.#goOn(bytes, awaits ? this.#answer : null);
    } else {
      this.#parked = bytes;
    }
  }

  /** Behind the answer: with that the guest stops, and need not be told it elsewhere. */
  #departNow(): void {
    const departure = this.#departure === null ? this.#departs() : null;
    if (departure !== null) {
      this.move(departure);
    }
  }

  /** @param bytes  which have room in the parking */
  #goOn(bytes: Uint8Array, answer: OperationReply | null): void {
    this.#queuedBytes = bytes.byteLength;
    this.#until = null;
    this.#departure = null;
    this.#answer = null;
    const { limits } = this.#start;
    const left = { ...limits, cpuTimeMs: limits.cpuTimeMs - this.#cpuMs };
    const frozen = { bytes, ...(answer !== null && { answer }) };
    this.#call = this.#pool.start({ ...this.#start, limits: left, frozen }, this);
  }

  /** Operations are carried out first; one that waits is broken off. */
  #leave(leaving: { readonly departure: Departure; readonly guest: Uint8Array; readonly awaits: boolean }): void {
    this.#leaving = leaving;
    if (!this.#performing) {
      this.#moved(leaving.awaits ? this.#answer : null, false);
      this.#report();
    } else if (this.#isAwaited) {
      this.#onMove();
    }
  }

  #moved(answer: OperationReply | null, isUndone: boolean): void {
    const leaving = this.#leaving;
    this.#leaving = null;
    if (leaving !== null && this.#verdict === null) {
      const { departure, guest } = leaving;
      this.#verdict = { kind: "moved", departure, guest, answer, isUndone };
      this.#interrupt();
    }
    this.#sandboxEnd ??= PARKED_AND_STOPPED;
  }

  #leaveParking(): Uint8Array {
    const bytes = this.#parked;
    invariant(bytes !== null, "only a parked guest leaves the parking");
    this.#parked = null;
    this.#parking?.give(bytes.byteLength);
    return bytes;
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

/** Stands for the end of a sandbox that the guest was not in: the attempt's verdict says why it has ended. */
const PARKED_AND_STOPPED = { kind: "displaced" } as const;

function verdictOf(error: unknown): AttemptEnd {
  if (error instanceof Suspended) {
    return { kind: "suspended", until: error.until };
  }
  return error instanceof Fenced ? { kind: "fenced", fenced: error } : { kind: "failed", error: toNeapError(error) };
}
