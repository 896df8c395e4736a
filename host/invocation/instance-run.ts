/**
 * Brings one instance to its end: attempt after attempt until there is a result, or a reason to leave it for later.
 *
 * Owns: the attempts of one run, and where they go on. Does not own: the attempt (execution.ts), whether another one follows (Retries), what
 * ends the instance (InstanceEnd), who waits for the outcome (service).
 *
 * R1. What the guest did is a result and is logged as DONE when anything is logged; what the host did to it only ends the attempt
 *     (F17).
 * R2. A `failed` outcome means that nothing of the instance is in the log, or not any more.
 * R3. A logged instance is left neither done nor parked only when the session is over or the host stops: then somebody else takes
 *     it up.
 */
import { NeapError } from "../../state/errors.ts";
import type { Shard } from "../../state/logbook/index.ts";
import { Drafts } from "../../state/objects/index.ts";
import { Fenced, StepStream } from "../../state/protocols/index.ts";
import { usesRegions } from "../modules/artefact.ts";
import type { CallTaker, Departure, MovedCall, MoveReply } from "../offload/index.ts";
import type { Attempt, AttemptEnd } from "./attempt.ts";
import { wasResumed } from "./attempt-notes.ts";
import type { InstanceOutcome, InstanceSpec, InvocationContext } from "./context.ts";
import { type Executed, type Execution, execute } from "./execution.ts";
import { InstanceEnd } from "./instance-end.ts";
import { InstanceHistory } from "./instance-history.ts";
import { LockTurns } from "./lock-turns.ts";
import { pause } from "./pause.ts";
import { AGAIN, HOST_STOPS, Retries, type Verdict } from "./retries.ts";
import { RunRegions } from "./run-regions.ts";

type Own =
  | "history"
  | "moved"
  | "shard"
  | "steps"
  | "drafts"
  | "lockTurns"
  | "runRegions"
  | "begun"
  | "outputUsed"
  | "replayOnly";
type RunParts = Omit<Execution, Own>;

type Attempted = Verdict | Extract<AttemptEnd, { kind: "suspended" }>;

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
  readonly #retries: Retries;
  readonly #end: InstanceEnd;
  #isBegun = false;
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
  #isElsewhere = false;
  /** The host stops: the next attempt shall leave, too. */
  #departure: Departure | null = null;

  constructor(parts: RunParts) {
    this.#parts = parts;
    this.#context = parts.context;
    this.#spec = parts.spec;
    this.#moved = parts.spec.moved ?? null;
    this.#sinceMs = parts.context.clock.monotonic();
    this.#history = new InstanceHistory(parts.context, parts.spec);
    this.#retries = new Retries(parts.context, parts.spec, this.#history);
    this.#end = new InstanceEnd(parts, this.#history, this.#retries, this.#runRegions);
    const { begin } = parts.spec;
    this.#pinsFirst = begin.kind === "logged" && begin.pinsFirst === true;
  }

  async run(): Promise<InstanceOutcome> {
    for (;;) {
      let verdict: Verdict;
      try {
        verdict = await this.#next();
      } catch (error) {
        verdict = this.#retries.failed(error);
      }
      if (verdict.kind !== "again") {
        this.#lockTurns.close();
        this.#runRegions.close();
        return verdict;
      }
      this.#retries.made += 1;
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

  /** Whether it waits for what becomes of it at another node. */
  get isElsewhere(): boolean {
    return this.#isElsewhere;
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
      await this.#end.cancelLeft(shard);
      return this.#end.committed(shard, steps);
    }
    await this.#checkTakenOver(shard, steps);
    const { hopeless, refused } = this.#retries;
    if (hopeless !== null) {
      return this.#end.giveUp(shard, steps, hopeless);
    }
    if (refused !== null) {
      return this.#end.refuse(shard, steps, refused);
    }
    const drafts = new Drafts(shard.blobs);
    const outputUsed = Promise.withResolvers<void>();
    let after: Attempted;
    try {
      after = await this.#attempted(shard, steps, drafts, moved, outputUsed.promise);
    } finally {
      drafts.end();
      outputUsed.resolve();
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
      this.#retries.giveUp(new NeapError("REGIONS_LOST", text));
    }
  }

  /** One attempt, and the DONE of its result: afterwards nothing comes to name what it has stored. */
  async #attempted(
    shard: Shard,
    steps: StepStream,
    drafts: Drafts,
    moved: MovedCall | null,
    outputUsed: Promise<void>,
  ): Promise<Attempted> {
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
      outputUsed,
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
      return this.#retries.failed(new NeapError("WORLD_LOST", failure));
    }
    switch (end.kind) {
      case "returned":
        return this.#end.completed(shard, steps, bound, { returnValue: end.value, trap: "", output: end.output, effects });
      case "trapped":
        return this.#end.completed(shard, steps, bound, { returnValue: 1, trap: end.message, output: EMPTY, effects });
      case "killed":
        return end.reason === "outputTooLarge" && steps.logged
          ? this.#end.completed(shard, steps, bound, {
              returnValue: 1,
              trap: `OUTPUT_TOO_LARGE: ${end.message}`,
              output: EMPTY,
              effects,
            })
          : this.#retries.afterKill(steps, end);
      case "displaced":
        return AGAIN;
      case "suspended":
        return end;
      case "fenced":
        return this.#retries.afterFence(end.fenced);
      case "failed":
        return this.#retries.failed(end.error, effects);
    }
  }

  /** What is logged over there is found in the log; the rest comes with the reply. Whatever fails, an attempt here is a peer. */
  async #goesOnElsewhere(
    shard: Shard,
    steps: StepStream,
    { moves, readBytes }: Executed,
    departure: Departure,
  ): Promise<Verdict> {
    const { trace, context, parking } = this.#parts;
    if (moves !== null) {
      const letGo = parking.hold(moves.guest.byteLength);
      const { taker, reply } = await this.#handedOver(moves, departure).finally(letGo);
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
        return this.#end.completed(shard, steps, [], { ...reply, effects: null });
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
    this.#isElsewhere = true;
    try {
      await this.#wait(
        taker.take(moves).then((told) => {
          reply = told;
        }),
      );
    } finally {
      this.#isElsewhere = false;
    }
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
}
