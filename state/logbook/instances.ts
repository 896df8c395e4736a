/**
 * The instances of one LogBook: a fold over init, invoke, done, attempt, parked and resumed records, and who runs which.
 *
 * I1. Everything but `holder` follows from the log alone, so that replay finds the same.
 * I2. An instance is here from its first record until its step stream is collected; `unfinished` until its DONE.
 * I3. Leases (`holder`) are a matter of liveness only: safety is in the conditions of the appends.
 */
import { type InstanceId, NO_SEQNUM, type SeqNum, type Tag } from "../ids.ts";
import { STEP_TAG_PREFIX } from "../tags.ts";

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
  /** While the caller's step stream is there. */
  caller: Instance | undefined;
  /** Whose initial cursor decides about the modes: its own, or of a synchronous child that of its root (F18). */
  readonly modeOwner: Instance;
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

  constructor(id: InstanceId, first: SeqNum, caller: Instance | undefined, resultTags: readonly Tag[]) {
    this.id = id;
    this.first = first;
    this.caller = caller;
    this.modeOwner = caller?.modeOwner ?? this;
    this.resultTags = resultTags;
  }

  /** Reads of its attempts are at or after this. */
  get readsFrom(): SeqNum {
    return this.initialCursor === NO_SEQNUM ? this.first : this.initialCursor;
  }

  /** Somebody may ask for its result for as long as results are retained. */
  get retained(): boolean {
    return this.resultTags.length > 0;
  }
}

export class Instances {
  /** In the order of their first records. */
  readonly unfinished = new Map<InstanceId, Instance>();
  /** Done, and nobody will ask for the result. */
  ended: Instance[] = [];
  /** Done, the result is retained; in the order of DONE. */
  readonly retained: Instance[] = [];

  begin(id: InstanceId, seqnum: SeqNum, caller: Instance | undefined, tags: readonly Tag[]): Instance {
    const instance = new Instance(id, seqnum, caller, tags.filter(isResultTag));
    caller?.children.push(instance);
    this.unfinished.set(id, instance);
    return instance;
  }

  end(instance: Instance, seqnum: SeqNum, timeMs: number): void {
    this.unfinished.delete(instance.id);
    instance.done = seqnum;
    instance.doneMs = timeMs;
    instance.holder = undefined;
    if (instance.retained) {
      this.retained.push(instance);
    } else if (instance.caller === undefined) {
      this.ended.push(instance);
    }
  }

  /** The caller's stream is gone: nobody will ask for the result of a child any more. */
  orphan(child: Instance): void {
    child.caller = undefined;
    if (child.done !== NO_SEQNUM) {
      this.ended.push(child);
    }
  }

  /** The lowest position that an unfinished instance may read at; Infinity when there is none. */
  readsFrom(): number {
    let lowest = Number.POSITIVE_INFINITY;
    for (const instance of this.unfinished.values()) {
      lowest = Math.min(lowest, instance.readsFrom);
    }
    return lowest;
  }

  /** Those that may be run again: no live session holds them, they are not parked, and no caller will run them itself (F16). */
  *claimable(): Iterable<Instance> {
    for (const instance of this.unfinished.values()) {
      const { caller } = instance;
      const joined = caller !== undefined && caller.done === NO_SEQNUM && !caller.parked;
      const held = instance.holder !== undefined && !instance.holder.isOver;
      if (!held && !instance.parked && !joined) {
        yield instance;
      }
    }
  }
}

/** The instance whose step stream this is. */
export function instanceOfStepTag(tag: Tag | undefined): InstanceId | undefined {
  return tag?.startsWith(STEP_TAG_PREFIX) ? (tag.slice(STEP_TAG_PREFIX.length) as InstanceId) : undefined;
}

/** The instance whose ATTEMPT, PARKED and RESUMED records this stream has. */
export function instanceOfAttemptTag(tag: Tag | undefined): InstanceId | undefined {
  return tag?.startsWith(ATTEMPT_TAG_PREFIX) ? (tag.slice(ATTEMPT_TAG_PREFIX.length) as InstanceId) : undefined;
}

function isResultTag(tag: Tag): boolean {
  return RESULT_TAG_PREFIXES.some((prefix) => tag.startsWith(prefix));
}
