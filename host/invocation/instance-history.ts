/**
 * What a run knows of its instance's records, and where that lets an attempt begin.
 *
 * Owns: the knowledge whether anything is logged, with all its doubts. Does not own: the attempts (InstanceRun).
 *
 * Y1. An attempt begins with what the log says: nothing, INIT, pins, steps or DONE.
 * Y2. Nothing that one epoch said is used in another one (F1).
 * Y3. An instance that may have been finished by somebody else is never begun from its input again (F20).
 */
import { hasCode } from "../../state/errors.ts";
import type { SeqNum } from "../../state/ids.ts";
import { type CellVersion, newerVersion } from "../../state/logbook/cells.ts";
import { endsInstance, type LogBook, type LogRecord, type NewRecord, RecordKind, type Shard } from "../../state/logbook/index.ts";
import { decodeStep, encodeStep, NO_FINGERPRINT, NONCE_BYTES, type Pins, SEED_BYTES } from "../../state/logbook/step-record.ts";
import { type MadeRead, type Origin, StepStream } from "../../state/protocols/index.ts";
import { stepTag } from "../../state/tags.ts";
import type { MovedCall } from "../offload/index.ts";
import { type InstanceOutcome, type InstanceSpec, type InvocationContext, toNeapError } from "./context.ts";
import { childPins, encodeInit, initOf, payloadBlobs } from "./instance-record.ts";
import { pinReads, readPins } from "./pinned-reads.ts";
import { resumeSteps } from "./resumed-steps.ts";
import { stepBook } from "./step-book.ts";
import { completedOutcome, expiredOutcome } from "./stored-outcome.ts";

/** An attempt that has logged nothing may so often be overtaken by others. */
const OVERTAKEN_MAX = 8;

export class InstanceHistory {
  readonly #context: InvocationContext;
  readonly #spec: InstanceSpec;
  #isFresh = true;
  /** The epoch in which the instance was last known to be in the log. */
  #loggedIn: number | null;
  /** Where reads of the attempt began that is known to have logged something. */
  #loggedFrom: SeqNum | null = null;
  /** The initial cursor of an attempt of which nobody knows whether it logged anything; null when there is none. */
  #doubted: SeqNum | null = null;
  /** Something of an attempt was lost that may log the first step yet: nobody may be told that nothing has happened. */
  #isElsewhere = false;
  #overtaken = 0;
  /** What the attempt that got furthest has read; null: some of it is not known here, or nothing is pinned. */
  #furthest: {
    readonly epoch: number;
    readonly position: number;
    readonly reads: readonly MadeRead[] | null;
    /** The newest log-free write of an attempt that has got there. */
    readonly written: CellVersion | null;
  } | null = null;

  constructor(context: InvocationContext, spec: InstanceSpec) {
    this.#context = context;
    this.#spec = spec;
    this.#loggedIn = spec.begin.kind === "unlogged" ? null : spec.epoch;
  }

  get mayBeLogged(): boolean {
    return this.#loggedIn !== null || this.#doubted !== null;
  }

  /** The stream that the next attempt walks along, or the outcome when the log has it. */
  begin(shard: Shard, moved: MovedCall | null): StepStream | Promise<StepStream | InstanceOutcome> {
    const { begin, epoch, instance } = this.#spec;
    const isFresh = this.#isFresh && shard.epoch === epoch;
    this.#isFresh = false;
    if (moved !== null) {
      return this.#goesOn(shard, moved);
    }
    if (!isFresh || begin.kind === "logged") {
      return this.#reload(shard);
    }
    return begin.kind === "unlogged"
      ? this.#unlogged(shard, begin.initialCursor, begin.dependency)
      : new StepStream(this.#stepBook(shard), instance, { kind: "pinned", pins: begin.pins, isChild: true });
  }

  /** Notes what an attempt that has ended left in the log. */
  async settle(shard: Shard, steps: StepStream): Promise<void> {
    this.#isElsewhere ||= steps.isElsewhere;
    if (steps.inDoubt) {
      this.#doubted = steps.pins.initialCursor;
      await steps.settle();
      if (steps.inDoubt) {
        return;
      }
      // Nothing is in the log of what a peer has finished and a collection has taken, either: then the doubt stays.
      if (steps.logged || !(await this.#mayBeCollected(shard))) {
        this.#doubted = null;
      }
    }
    if (steps.logged) {
      this.#loggedIn = shard.epoch;
      this.#loggedFrom = steps.pins.initialCursor;
      this.#reached(shard, steps);
    }
  }

  /**
   * Before a long wait: logs what the instance has read, so that it holds no version back until it goes on (F25). Where that is not
   * known, as a storage part read elsewhere or no attempt has got to the end of the log, it goes on holding them; also where
   * somebody else has written without a step what none here has, as what is written again must find what has come between.
   */
  async pin(shard: Shard): Promise<void> {
    const furthest = this.#furthest;
    if (furthest === null || furthest.epoch !== shard.epoch || furthest.reads === null) {
      return;
    }
    const { tenant, instance } = this.#spec;
    try {
      await pinReads(shard, tenant, instance, furthest, furthest.reads);
    } catch (error) {
      this.#context.log.warn("an instance that waits goes on holding versions back", {
        tenant,
        instance,
        error: toNeapError(error),
      });
    }
  }

  /**
   * As `pin`, for an attempt that goes on after the wait where it is: false, and it goes on holding what it may read, also when it has
   * read something since its last step, as a replay would read that again behind the wait.
   */
  async letGo(shard: Shard, steps: StepStream): Promise<boolean> {
    const { position } = steps;
    const made = steps.reads.made;
    if (position < 2 || made === null || made.some((read) => read.position === position)) {
      return false;
    }
    this.#reached(shard, steps);
    await this.pin(shard);
    return (await readPins(shard, this.#spec.tenant, this.#spec.instance))?.position === position;
  }

  /** After a wait before which `letGo` was true: the attempt reads on behind a RESUME (F25). @throws Fenced */
  async goOn(steps: StepStream): Promise<void> {
    await this.#resume(steps.book, steps.position);
    await steps.meetResume();
  }

  /** An attempt has to begin anew because of what others did. */
  overtaken(): void {
    this.#overtaken += 1;
  }

  #reached(shard: Shard, steps: StepStream): void {
    const { epoch } = shard;
    const before = this.#furthest;
    if (before === null || before.epoch !== epoch || before.position <= steps.position) {
      const { position, reads } = steps;
      const isSame = before !== null && before.epoch === epoch && before.position === position;
      // One that was stopped has made a beginning of what another one has.
      const written = isSame ? newerVersion(before.written, steps.written) : steps.written;
      // Before the first step there is nothing that a replay would read again.
      this.#furthest = position < 2 ? null : { epoch, position, reads: reads.made, written };
    }
  }

  /** The stream of an attempt that has come from another node. */
  async #goesOn(shard: Shard, { steps: state, init }: MovedCall): Promise<StepStream> {
    const { tenant, instance } = this.#spec;
    const book = this.#stepBook(shard);
    const pinned = await readPins(shard, tenant, instance);
    if (pinned !== null) {
      // Only at the end of the stream, where the other node waited, is there room for it.
      await this.#resume(book, pinned.position);
    }
    const steps = await resumeSteps(book, instance, state, this.#spec.init, init);
    if (pinned?.written) {
      steps.wrote(pinned.written);
    }
    if (pinned === null || pinned.position < state.position) {
      // What it has read is known at the other node only.
      steps.reads.incomplete();
    } else if (pinned.position === state.position) {
      await steps.meetResume();
    }
    return steps;
  }

  async #reload(shard: Shard): Promise<StepStream | InstanceOutcome> {
    const { tenant, instance, init } = this.#spec;
    const book = this.#stepBook(shard);
    // Its lease has ended with the session before; nobody else need take the instance over.
    const [{ records, tail }] = await Promise.all([book.readStream(stepTag(instance), 0), shard.hold(tenant, instance)]);
    const [first, second] = records;
    if (first === undefined) {
      return this.#absent(shard, tail);
    }
    this.#loggedIn = shard.epoch;
    const last = records.at(-1);
    if (last !== undefined && endsInstance(last.kind)) {
      return completedOutcome(last);
    }
    const pinned = records.length > 1 ? await readPins(shard, tenant, instance) : null;
    if (pinned !== null && pinned.position === records.length) {
      await this.#resume(book, records.length);
      return this.#reload(shard);
    }
    const steps = new StepStream(book, instance, this.#origin(first, second, tail), records.slice(1));
    steps.reads.pin(pinned?.reads ?? []);
    if (pinned?.written) {
      steps.wrote(pinned.written);
    }
    steps.consulted(first.seqnum);
    this.#context.log.debug(`replaying ${records.length - 1} steps`, { tenant, instance, functionName: init.functionName });
    return steps;
  }

  #origin(first: LogRecord, second: LogRecord | undefined, tail: SeqNum): Origin {
    if (first.kind === RecordKind.invoke) {
      return { kind: "pinned", pins: childPins(first, initOf(first)), isChild: true };
    }
    const pins = second === undefined ? null : decodeStep(second.data).pins;
    return pins === null
      ? { kind: "initialised", pins: this.#draw(tail, Math.max(first.timeMs, this.#spec.init.notBeforeMs)) }
      : { kind: "pinned", pins: ownPins(pins) };
  }

  /** Whatever the answer is: the record at the position is there then, and the reload that follows finds it. */
  async #resume(book: LogBook, position: number): Promise<void> {
    const tag = stepTag(this.#spec.instance);
    const data = encodeStep({ fingerprint: NO_FINGERPRINT, pins: null }, new Uint8Array(0));
    await book.append({ records: [{ kind: RecordKind.resume, tags: [tag], data }], when: [{ tag, length: position }] });
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
    const mayStayUnlogged = this.#overtaken < OVERTAKEN_MAX && !this.#isElsewhere;
    return mayStayUnlogged ? this.#unlogged(shard, tail, begin.dependency) : this.#initialise(shard, tail);
  }

  /**
   * Whether an attempt that has, or may have, logged something was finished and collected since, in this epoch or one before: only
   * when the floor has passed its initial cursor.
   */
  async #mayBeCollected(shard: Shard): Promise<boolean> {
    const cursor = this.#doubted ?? this.#loggedFrom;
    if (cursor === null) {
      return false;
    }
    const { tenant, instance } = this.#spec;
    try {
      await shard.book(tenant).readPrev(stepTag(instance), cursor);
      return false;
    } catch (error) {
      if (hasCode(error, "TRIMMED")) {
        return true;
      }
      throw error;
    }
  }

  #unlogged(shard: Shard, initialCursor: SeqNum, dependency: SeqNum): StepStream {
    const origin: Origin = { kind: "unlogged", pins: this.#draw(initialCursor), init: () => this.#initRecord() };
    const steps = new StepStream(this.#stepBook(shard), this.#spec.instance, origin);
    steps.consulted(dependency);
    return steps;
  }

  /**
   * Begins with an INIT after all. From now on nothing that the instance may read is collected (F11), and a lost update is a step
   * and no reason to begin anew (F10): it gets to its end, whatever others do. What was lost elsewhere can log nothing any more.
   */
  async #initialise(shard: Shard, tail: SeqNum): Promise<StepStream | InstanceOutcome> {
    const { tenant, instance } = this.#spec;
    this.#doubted = tail;
    await shard.book(tenant).append({ records: [this.#initRecord()], when: [{ tag: stepTag(instance), length: 0 }] });
    this.#doubted = null;
    return this.#reload(shard);
  }

  #stepBook(shard: Shard): LogBook {
    return stepBook(shard, this.#spec.tenant, this.#context.runAhead);
  }

  #initRecord(): NewRecord {
    const { init, instance } = this.#spec;
    return { kind: RecordKind.init, tags: [stepTag(instance)], data: encodeInit(init), blobs: payloadBlobs(init.input) };
  }

  /** @param notBeforeMs  what the instance may have seen already, and when it was to begin (F35) */
  #draw(initialCursor: SeqNum, notBeforeMs = 0): Pins {
    const { clock, random } = this.#context;
    const bits = random.bytes(SEED_BYTES + NONCE_BYTES);
    return {
      initialCursor,
      timeMs: Math.max(clock.now(), notBeforeMs),
      seed: bits.subarray(0, SEED_BYTES),
      nonce: bits.subarray(SEED_BYTES),
    };
  }
}

/** A copy that does not hold on to the record. */
function ownPins(pins: Pins): Pins {
  return { ...pins, seed: pins.seed.slice(), nonce: pins.nonce.slice() };
}
