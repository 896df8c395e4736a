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
import { type InstanceId, NO_SEQNUM } from "../../state/ids.ts";
import type { Shard } from "../../state/logbook/index.ts";
import { Drafts } from "../../state/objects/index.ts";
import { Fenced, StepStream } from "../../state/protocols/index.ts";
import { blobsOf, encodeEffects, type TransactionEffects } from "../../state/txn/index.ts";
import { usesRegions } from "../modules/artefact.ts";
import { backoffMs, type RetryCause } from "../modules/retry-policy.ts";
import type { CallTaker, Departure, MovedCall, MoveReply } from "../offload/index.ts";
import type { Attempt, AttemptEnd } from "./attempt.ts";
import { park, wasResumed } from "./attempt-notes.ts";
import { cancelInstance, cancelLeft } from "./cancellation.ts";
import {
  type InstanceOutcome,
  type InstanceSpec,
  type InvocationContext,
  isSessionOver,
  runCpuMs,
  toNeapError,
} from "./context.ts";
import { type Executed, type Execution, execute } from "./execution.ts";
import { InstanceHistory } from "./instance-history.ts";
import { encodeDone, type InstanceDone, type Payload, payloadBlobs } from "./instance-record.ts";
import { LockTurns } from "./lock-turns.ts";
import { pause } from "./pause.ts";
import { toPayload } from "./payloads.ts";
import { RunRegions } from "./run-regions.ts";
import { completedOutcome } from "./stored-outcome.ts";

type Own = "history" | "moved" | "shard" | "steps" | "drafts" | "lockTurns" | "runRegions" | "begun" | "replayOnly";
type RunParts = Omit<Execution, Own>;

/** Next attempt, or the outcome of the run. */
type Verdict = { readonly kind: "again"; readonly afterMs: number } | InstanceOutcome;

type Attempted = Verdict | Extract<AttemptEnd, { kind: "suspended" }>;

/** What the guest did. */
interface Result {
  readonly returnValue: number;
  readonly trap: string;
  readonly output: Uint8Array;
  /** In the caller's transaction. */
  readonly effects: TransactionEffects | null;
}

const AGAIN: Verdict = { kind: "again", afterMs: 0 };
const HOST_STOPS: Verdict = {
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
const OWN_DOING: ReadonlySet<string> = new Set(["PROTOCOL_MISMATCH", "STATE_LIMIT", "WORLD_LOST"]);
const EMPTY = new Uint8Array(0);
/** A call that has come less than that ago does not leave again for there being too much to do. */
const STAY_MIN_MS = 1_000;

export class InstanceRun {
  readonly #context: InvocationContext;
  readonly #spec: InstanceSpec;
  readonly #parts: RunParts;
  readonly #lockTurns = new LockTurns();
  readonly #runRegions = new RunRegions();
  readonly #history: InstanceHistory;
  /** Attempts that the host has ended. */
  #ended = 0;
  /** Why no further attempt is made. */
  #hopeless: NeapError | null = null;
  /** What the function did that it may not do, whichever attempt. */
  #refused: NeapError | null = null;
  #isBegun = false;
  #shortages = 0;
  #tries = 0;
  #isLeft = false;
  /** The next attempt is to find out what the instance has read, and goes no further. */
  #pinsFirst: boolean;
  /** A record has ended the instance since the log was last asked. */
  #isOver = false;
  #attempt: Attempt | null = null;
  #isWaiting = () => false;
  /** When it came here, or was last asked to leave. */
  #sinceMs: number;
  #endWait: () => void = () => {};
  /** Where the first attempt goes on. */
  #moved: MovedCall | null;
  /** The host stops: the next attempt shall leave, too. */
  #departure: Departure | null = null;

  constructor(parts: RunParts) {
    this.#parts = parts;
    this.#context = parts.context;
    this.#spec = parts.spec;
    this.#moved = parts.spec.moved ?? null;
    this.#sinceMs = parts.context.clock.monotonic();
    this.#history = new InstanceHistory(parts.context, parts.spec);
    const { begin } = parts.spec;
    this.#pinsFirst = begin.kind === "logged" && begin.pinsFirst === true;
  }

  async run(): Promise<InstanceOutcome> {
    for (;;) {
      let verdict: Verdict;
      try {
        verdict = await this.#next();
      } catch (error) {
        verdict = this.#failed(error);
      }
      if (verdict.kind !== "again") {
        this.#lockTurns.close();
        this.#runRegions.close();
        return verdict;
      }
      this.#tries += 1;
      if (verdict.afterMs > 0) {
        await this.#wait(pause(this.#context, verdict.afterMs));
      }
    }
  }

  /** A record has ended the instance: its attempt stops quietly, and what that record says is the outcome (F31). */
  stop(): void {
    this.#isOver = true;
    this.#attempt?.stop({ kind: "fenced", fenced: new Fenced("closed", "the instance is done") });
    this.#endWait();
  }

  /** The host stops: a call that waits for something is left to the next start. */
  leave(): void {
    this.#isLeft = true;
    this.#attempt?.stopParked({ kind: "killed", reason: "closed", message: "the host is stopping" });
    this.#endWait();
  }

  /** The host stops: a call that can be stopped in the middle goes on at another node, and its outcome comes from there. */
  handOver(departure: Departure): void {
    this.#departure = departure;
    this.#depart();
  }

  /** Whether it computes here, and has for some time, longer with each move. */
  get mayLeave(): boolean {
    const moves = this.#spec.moved?.moves ?? 0;
    const hereMs = this.#context.clock.monotonic() - this.#sinceMs;
    return this.#attempt?.mayLeave === true && !this.#isWaiting() && hereMs >= STAY_MIN_MS * 2 ** moves;
  }

  /** As `handOver`, of a call that goes on here if nobody takes it. */
  leaveFor(departure: Departure): void {
    this.#sinceMs = this.#context.clock.monotonic();
    this.#attempt?.move(departure);
  }

  #depart(): void {
    if (this.#departure !== null && this.#attempt !== null) {
      const departure = this.#departure;
      // Once: where nobody takes it, it stays.
      this.#departure = null;
      this.#attempt.move(departure);
    }
  }

  async #next(): Promise<Verdict> {
    this.#isOver = false;
    const { source, limits } = this.#context;
    const shard = source.current() ?? (await source.available(limits.ownerTimeoutMs));
    const moved = shard.epoch === this.#spec.epoch ? this.#moved : null;
    this.#moved = null;
    const steps = await this.#history.begin(shard, moved);
    if (!(steps instanceof StepStream)) {
      await this.#cancelLeft(shard);
      return this.#committed(shard, steps);
    }
    await this.#checkTakenOver(shard, steps);
    if (this.#hopeless !== null) {
      return this.#giveUp(shard, steps, this.#hopeless);
    }
    if (this.#refused !== null) {
      return this.#refuse(shard, steps, this.#refused);
    }
    const drafts = new Drafts(shard.blobs);
    let after: Attempted;
    try {
      after = await this.#attempted(shard, steps, drafts, moved);
    } finally {
      drafts.end();
    }
    return after.kind === "suspended" ? this.#afterWait(shard, after.until) : after;
  }

  /**
   * A run that begins in the middle, or has lost its regions with the process that held them: they held what is gone, or what others
   * have made of it since, and what the function computes from the log and that was never computed (F23). Unless it says that it does no
   * harm, or an administrator does.
   */
  async #checkTakenOver(shard: Shard, steps: StepStream): Promise<void> {
    const isFirst = !this.#isBegun;
    const areGone = this.#runRegions.letGo();
    this.#isBegun = true;
    if (!(isFirst || areGone) || !steps.replaying) {
      return;
    }
    const { tenant, instance, init } = this.#spec;
    const artefact = await this.#context.functions.artefact(shard, init.module);
    if (usesRegions(artefact) && !artefact.regionSafe && !(await wasResumed(shard, tenant, instance))) {
      const text = "the call uses memory regions and was interrupted after its first step: what was in them is gone";
      this.#hopeless = new NeapError("REGIONS_LOST", text);
    }
  }

  /** One attempt, and the DONE of its result: afterwards nothing comes to name what it has stored. */
  async #attempted(shard: Shard, steps: StepStream, drafts: Drafts, moved: MovedCall | null): Promise<Attempted> {
    const begun = (attempt: Attempt, isWaiting: () => boolean) => {
      this.#attempt = attempt;
      this.#isWaiting = isWaiting;
      if (this.#isOver) {
        this.stop();
      }
      this.#depart();
    };
    const { context, runner, attempts, parking, worlds, spec, trace } = this.#parts;
    const executed = await execute({
      context,
      runner,
      attempts,
      parking,
      worlds,
      spec,
      trace,
      history: this.#history,
      shard,
      steps,
      drafts,
      lockTurns: this.#lockTurns,
      runRegions: this.#runRegions,
      begun,
      replayOnly: this.#pinsFirst,
      moved,
    });
    this.#attempt = null;
    const { end, bound, effects } = executed;
    if (end.kind === "moved") {
      return this.#goesOnElsewhere(shard, steps, executed, end.departure);
    }
    await this.#history.settle(shard, steps);
    const failure = executed.world?.failure ?? null;
    const isOwn = end.kind === "trapped" || (end.kind === "returned" && end.value !== 0);
    if (failure !== null && !isOwn) {
      // Never again: the messages that it has got are gone. And what it returns is worth nothing when another rank has failed.
      return this.#failed(new NeapError("WORLD_LOST", failure));
    }
    switch (end.kind) {
      case "returned":
        return this.#completed(shard, steps, bound, { returnValue: end.value, trap: "", output: end.output, effects });
      case "trapped":
        return this.#completed(shard, steps, bound, { returnValue: 1, trap: end.message, output: EMPTY, effects });
      case "killed":
        return end.reason === "outputTooLarge" && steps.logged
          ? this.#completed(shard, steps, bound, {
              returnValue: 1,
              trap: `OUTPUT_TOO_LARGE: ${end.message}`,
              output: EMPTY,
              effects: null,
            })
          : this.#afterKill(steps, end);
      case "displaced":
        return AGAIN;
      case "suspended":
        return end;
      case "fenced":
        return this.#afterFence(end.fenced);
      case "failed":
        return this.#failed(end.error);
    }
  }

  async #completed(shard: Shard, steps: StepStream, bound: readonly InstanceId[], result: Result): Promise<Verdict> {
    if (steps.logged) {
      return this.#logDone(shard, steps, bound, result);
    }
    if (this.#runRegions.used) {
      // What it has seen there, others may have computed from what is not durable yet (F23).
      steps.consulted(await steps.book.tail());
    }
    const { returnValue, trap, output } = result;
    const made: Payload = { kind: "inline", bytes: output };
    const done: InstanceDone = { returnValue, trap, output: made, transaction: null, cpuMs: this.#cpuMs };
    const { dependency } = steps;
    return this.#committed(shard, { kind: "completed", done, output: made, seqnum: NO_SEQNUM, timeMs: 0, dependency });
  }

  /** The instance was ended by others, or by the host: its bound children may be left (F40). */
  async #cancelLeft(shard: Shard): Promise<void> {
    const { tenant, instance } = this.#spec;
    await cancelLeft(shard, tenant, instance, (one) => this.#parts.runner.stop(one));
  }

  async #logDone(shard: Shard, steps: StepStream, bound: readonly InstanceId[], result: Result): Promise<Verdict> {
    const { returnValue, trap, output, effects } = result;
    const drafts = new Drafts(shard.blobs);
    try {
      const transaction = effects === null ? null : await toPayload(drafts, encodeEffects(effects));
      const stored = await toPayload(drafts, output);
      const done: InstanceDone = { returnValue, trap, output: stored, transaction, cpuMs: this.#cpuMs };
      const blobs = [...payloadBlobs(done.output), ...payloadBlobs(transaction), ...blobsOf(effects?.writes)];
      const { record, theirs } = await steps.done(encodeDone(done), blobs);
      // After DONE, which says that this attempt's end is the instance's; before the answer, so that nothing changes once it is out.
      for (const child of bound) {
        await cancelInstance(shard, this.#spec.tenant, child, (one) => this.#parts.runner.stop(one));
      }
      if (theirs !== null) {
        // A peer was faster, and may have seen something else: under unsafe, or in memory regions.
        return await this.#committed(shard, completedOutcome(theirs));
      }
      const { seqnum, timeMs } = record;
      const made: Payload = { kind: "inline", bytes: output };
      return await this.#committed(shard, {
        kind: "completed",
        done,
        output: made,
        seqnum,
        timeMs,
        dependency: steps.dependency,
      });
    } catch (error) {
      if (error instanceof Fenced) {
        return this.#afterFence(error);
      }
      throw error;
    } finally {
      drafts.end();
    }
  }

  get #cpuMs(): number {
    return runCpuMs(this.#spec, this.#parts.trace);
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
    if (!steps.logged && !this.#history.mayBeLogged) {
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

  /** What is logged over there is found in the log; the rest comes with the reply. Whatever fails, an attempt here is a peer. */
  async #goesOnElsewhere(
    shard: Shard,
    steps: StepStream,
    { moves, readBytes }: Executed,
    departure: Departure,
  ): Promise<Verdict> {
    const { trace, context } = this.#parts;
    if (moves !== null) {
      const { taker, reply } = await this.#handedOver(moves, departure);
      const isTaken = reply?.kind !== "refused";
      context.moves.count(departure.cause, isTaken ? "moved" : "stayed");
      if (isTaken) {
        const { reason } = departure;
        trace.moved(moves.guest.byteLength);
        trace.moves.push({ from: context.nodeName, to: taker, reason, sizeBytes: moves.guest.byteLength });
      }
      if (reply === null && this.#isLeft) {
        return { kind: "pending", parked: false, reason: `the host is stopping; the call goes on at ${taker}` };
      }
      if (reply?.kind === "ended" || reply?.kind === "logged") {
        trace.add(reply.trace);
        context.moves.data.learn(this.#spec.init.module, readBytes + reply.trace.readBytes);
      }
      if (reply?.kind === "ended") {
        return this.#completed(shard, steps, [], { ...reply, effects: null });
      }
      if (isTaken) {
        steps.doubt(reply === null || reply.kind === "lost");
      } else {
        // Nobody has touched it: it goes on here where it was.
        this.#moved = moves;
      }
    }
    await this.#history.settle(shard, steps);
    return this.#isLeft && this.#history.mayBeLogged ? HOST_STOPS : AGAIN;
  }

  /** What the first node says that does not refuse; null: the wait was over before. */
  async #handedOver(moves: MovedCall, { takers }: Departure): Promise<{ taker: string; reply: MoveReply | null }> {
    const { tenant, instance } = this.#spec;
    let reply: MoveReply | null = { kind: "refused", reason: "there is no other node" };
    let taker = "";
    for (const next of takers) {
      if (reply?.kind !== "refused") {
        break;
      }
      taker = next.name;
      reply = await this.#taken(next, moves);
      if (reply !== null && "reason" in reply) {
        this.#context.log.warn(`a call that moves: ${reply.kind}`, { tenant, instance, to: taker, reason: reply.reason });
      }
    }
    return { taker, reply };
  }

  async #taken(taker: CallTaker, moves: MovedCall): Promise<MoveReply | null> {
    let reply = null as MoveReply | null;
    await this.#wait(
      taker.take(moves).then((told) => {
        reply = told;
      }),
    );
    return reply;
  }

  async #afterWait(shard: Shard, until: Promise<unknown>): Promise<Verdict> {
    await this.#history.pin(shard);
    if (this.#pinsFirst) {
      // What comes now may be the end of this host.
      this.#pinsFirst = false;
      await shard.whenDurable(await shard.book(this.#spec.tenant).tail());
    }
    await this.#wait(until);
    return this.#isLeft ? HOST_STOPS : AGAIN;
  }

  /** Ends early when the host stops or the instance was ended. */
  async #wait(until: Promise<unknown>): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#endWait = resolve;
    await (this.#isLeft || this.#isOver || Promise.race([until, promise]));
    this.#endWait = () => {};
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
      return { kind: "again", afterMs: SHORTAGE_BACKOFF_MS };
    }
    if (OWN_DOING.has(code) || (code === "UNKNOWN_ENTRY_POINT" && this.#history.mayBeLogged)) {
      this.#refused = error;
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

  async #refuse(shard: Shard, steps: StepStream, { code, message }: NeapError): Promise<Verdict> {
    steps.consulted(await steps.book.tail());
    return this.#endWith(shard, steps, `${code}: ${message}`);
  }

  /** A child gets a DONE of its own, so that its caller can go on; a root is parked (F17). */
  async #giveUp(shard: Shard, steps: StepStream, { code, message }: NeapError): Promise<Verdict> {
    const { tenant, instance, init } = this.#spec;
    if (!steps.logged) {
      return { kind: "failed", code, message };
    }
    if (init.depth > 0) {
      return this.#endWith(shard, steps, `ended by the host: ${message}`);
    }
    await this.#history.pin(shard);
    await park(shard, tenant, instance, message);
    this.#context.log.error(`parked: ${message}`, { tenant, instance });
    return { kind: "pending", parked: true, reason: message };
  }

  /** The instance ends where its log does, with no attempt under way that knows its children (F40). */
  async #endWith(shard: Shard, steps: StepStream, trap: string): Promise<Verdict> {
    steps.skipToEnd();
    const verdict = await this.#completed(shard, steps, [], { returnValue: 1, trap, output: EMPTY, effects: null });
    if (steps.logged) {
      await this.#cancelLeft(shard);
    }
    return verdict;
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
} as const;
