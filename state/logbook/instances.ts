/**
 * The instances of one LogBook: a fold over the records that begin and end them, of their attempts, pins and parking; and who runs
 * which.
 *
 * I1. Everything but `holder` follows from the log alone, so that replay finds the same.
 * I2. An instance is here from its first record until its step stream is collected; `unfinished` until its DONE.
 * I3. Leases (`holder`) are a matter of liveness only: safety is in the conditions of the appends.
 */
import { type InstanceId, NO_SEQNUM, type SeqNum, type Tag } from "../ids.ts";
import { STEP_TAG_PREFIX } from "../tags.ts";
import { Lowest } from "./lowest.ts";

const ATTEMPT_TAG_PREFIX = "a/";
const RESULT_TAG_PREFIXES = ["k/", "c/"];

/** A session, as far as leases are concerned. */
export interface Holder {
  readonly isOver: boolean;
}

export class Instance {
  readonly id: InstanceId;
  readonly first: SeqNum;
  /** Where its reads began; 0 until a step has pinned it. */
  initialCursor: SeqNum = NO_SEQNUM;
  /**
   * Reads of its attempts are at or after this; null while it pins no version: it has not begun, is parked before its first step, or
   * its reads so far are answered by PIN records (F25).
   */
  readsFrom: SeqNum | null;
  /** Not begun before; 0 for at once. */
  readonly notBeforeMs: number;
  /** Somebody may ask for its result for as long as results are retained. */
  readonly retained: boolean;
  /** Its first record says where its reads begin: a child's Invoke. */
  readonly readsFromFirst: boolean;
  /** While the caller's step stream is there. */
  caller: Instance | undefined;
  /** Where the modes of its scopes are looked up: 0 for its own initial cursor, of a synchronous child that of its root (F18). */
  readonly modeCursor: SeqNum;
  readonly children: Instance[] = [];
  /** The key and call id that lead to its result. */
  readonly resultTags: readonly Tag[];
  attempts = 0;
  parked = false;
  /** Of its DONE; 0 before. */
  done: SeqNum = NO_SEQNUM;
  doneMs = 0;
  /** The session that runs it, or ran it when it ended. */
  holder: Holder | undefined = undefined;

  constructor(
    id: InstanceId,
    first: SeqNum,
    { caller, resultTags, notBeforeMs, retained, readsFromFirst, modeCursor }: Beginning,
  ) {
    this.id = id;
    this.first = first;
    this.caller = caller;
    this.modeCursor = modeCursor;
    this.resultTags = resultTags;
    this.notBeforeMs = notBeforeMs;
    this.retained = retained;
    this.readsFromFirst = readsFromFirst;
    this.readsFrom = notBeforeMs > 0 ? null : first;
  }

  /** Whether it waits for its time: no attempt of it has begun. */
  get isDelayed(): boolean {
    return this.notBeforeMs > 0 && this.readsFrom === null && this.initialCursor === NO_SEQNUM && !this.parked;
  }

  /** Where it looks up modes, and any attempt of it; 0 until its first step has fixed that (F18). */
  get modesAt(): SeqNum {
    return this.modeCursor === NO_SEQNUM ? this.initialCursor : this.modeCursor;
  }

  /** The first step: it has fixed where all attempts read from. */
  pinned(initialCursor: SeqNum): void {
    if (this.initialCursor === NO_SEQNUM) {
      this.initialCursor = initialCursor;
      this.readsFrom = initialCursor;
    }
  }

  /** An ATTEMPT record. That of a delayed call is its beginning, and no attempt that a host's death has ended. */
  attempted(seqnum: SeqNum): void {
    if (this.isDelayed) {
      this.readsFrom = seqnum;
    } else {
      this.attempts++;
    }
  }

  /** A PARKED or RESUMED record. Before its first step a parked instance has read nothing that an attempt would read again. */
  park(isParked: boolean, seqnum: SeqNum): void {
    if (this.initialCursor === NO_SEQNUM && !this.readsFromFirst) {
      this.readsFrom = isParked ? null : seqnum;
    }
    this.parked = isParked;
    this.attempts = isParked ? this.attempts : 0;
  }
}

/** What the first record of an instance says of it. */
export interface Beginning {
  readonly caller: Instance | undefined;
  readonly resultTags: readonly Tag[];
  readonly notBeforeMs: number;
  readonly retained: boolean;
  readonly readsFromFirst: boolean;
  readonly modeCursor: SeqNum;
}

export class Instances {
  /** In the order of their first records. */
  readonly unfinished = new Map<InstanceId, Instance>();
  /** Done, and nobody will ask for the result. */
  readonly ended = new Map<InstanceId, Instance>();
  /** While a sweep is under way, those that a collection has let join `ended`; no part of the fold. */
  joined: InstanceId[] | null = null;
  /** Done, the result is retained; in the order of DONE. */
  readonly retained: Instance[] = [];
  readonly #readsFrom = new Lowest<Instance>();
  readonly #modesAt = new Lowest<Instance>();

  begin(id: InstanceId, seqnum: SeqNum, beginning: Beginning): Instance {
    const instance = new Instance(id, seqnum, beginning);
    beginning.caller?.children.push(instance);
    this.unfinished.set(id, instance);
    this.changed(instance);
    return instance;
  }

  /** To be called when an unfinished instance may have come to read elsewhere. */
  changed(instance: Instance): void {
    this.#readsFrom.set(instance, instance.readsFrom ?? Number.POSITIVE_INFINITY);
    this.#modesAt.set(instance, instance.modesAt === NO_SEQNUM ? Number.POSITIVE_INFINITY : instance.modesAt);
  }

  end(instance: Instance, seqnum: SeqNum, timeMs: number): void {
    this.unfinished.delete(instance.id);
    this.#readsFrom.set(instance, Number.POSITIVE_INFINITY);
    this.#modesAt.set(instance, Number.POSITIVE_INFINITY);
    instance.done = seqnum;
    instance.doneMs = timeMs;
    instance.holder = undefined;
    if (instance.retained) {
      this.retained.push(instance);
    } else if (instance.caller === undefined) {
      this.ended.set(instance.id, instance);
    }
  }

  /** The caller's stream is gone: nobody will ask for the result of a child any more. */
  orphan(child: Instance): void {
    child.caller = undefined;
    if (child.done !== NO_SEQNUM) {
      this.join(child);
    }
  }

  /** Nobody will ask for the result of an instance that is done any more. */
  join(instance: Instance): void {
    this.ended.set(instance.id, instance);
    this.joined?.push(instance.id);
  }

  /** The lowest position that an unfinished instance may read at; Infinity when none reads. */
  readsFrom(): number {
    return this.#readsFrom.lowest;
  }

  /** The lowest position at which an unfinished instance looks up modes; Infinity when none does. */
  modesAt(): number {
    return this.#modesAt.lowest;
  }
}

/**
 * Whether it may be run: no live session holds it, it is not parked, no caller will run it itself (F16), and its time has come.
 */
export function isClaimable(instance: Instance, nowMs: number): boolean {
  const { caller, holder, parked, notBeforeMs } = instance;
  const joined = caller !== undefined && caller.done === NO_SEQNUM && !caller.parked;
  const held = holder !== undefined && !holder.isOver;
  return !held && !parked && !joined && notBeforeMs <= nowMs;
}

/** The instance whose step stream this is. */
export function instanceOfStepTag(tag: Tag | undefined): InstanceId | undefined {
  return tag?.startsWith(STEP_TAG_PREFIX) ? (tag.slice(STEP_TAG_PREFIX.length) as InstanceId) : undefined;
}

/** The instance whose ATTEMPT, PARKED and RESUMED records this stream has. */
export function instanceOfAttemptTag(tag: Tag | undefined): InstanceId | undefined {
  return tag?.startsWith(ATTEMPT_TAG_PREFIX) ? (tag.slice(ATTEMPT_TAG_PREFIX.length) as InstanceId) : undefined;
}

export function isResultTag(tag: Tag): boolean {
  return RESULT_TAG_PREFIXES.some((prefix) => tag.startsWith(prefix));
}
