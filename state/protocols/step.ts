/** What a step is, and what comes of it: the words in which protocols and step stream speak. */
import type { SeqNum, Tag } from "../ids.ts";
import type { RecordKind } from "../logbook/kinds.ts";
import type { AppendResult, BlobRefLike, Condition, LogRecord, NewRecord } from "../logbook/logbook.ts";
import type { Fingerprint, Pins } from "../logbook/step-record.ts";
import type { Found } from "./slice.ts";

/** How the first record of the instance comes into the log. */
export type Origin =
  /** Not logged yet: `init` is appended together with the first step (lazy INIT). */
  | { readonly kind: "unlogged"; readonly pins: Pins; readonly init: () => NewRecord }
  /** INIT is logged and no step is, as far as this attempt knows: the first step carries `pins`. */
  | { readonly kind: "initialised"; readonly pins: Pins }
  /** A step is logged, or the pins follow from the first record itself (a child's Invoke). */
  | {
      readonly kind: "pinned";
      readonly pins: Pins;
      /** The first record is its caller's step as well, so that log-free writes of both may have one cursor. */
      readonly isChild?: boolean;
    };

export interface Step {
  readonly kind: RecordKind;
  readonly fingerprint: Fingerprint;
  readonly payload: Uint8Array;
  /** Besides the instance's own stream. */
  readonly tags?: readonly Tag[];
  /** Besides the own position. */
  readonly when?: readonly Condition[];
  /** Whether another attempt may have met a condition here that failed; preset: whether this one has conditions or `refused`. */
  readonly mayConflict?: boolean;
  readonly blobs?: readonly BlobRefLike[] | undefined;
  /**
   * Given when the guest is told why the step was refused, also that a tag is closed or shorter than a condition says: the payload
   * of the CONFLICT. Then an attempt that has logged nothing logs it too; without, it starts again with a fresh cursor.
   */
  readonly refused?: (refusal: StepRefusal) => Uint8Array;
  /** Ordered with the step and before it, or not at all: records that are no steps. */
  readonly before?: readonly NewRecord[];
  /** The key of the cell whose latest value the step's record becomes. */
  readonly cell?: string;
}

/** Why a step that was otherwise at the right position was not appended: `tag` is one of its conditions or tags. */
export type StepRefusal = Extract<AppendResult, { kind: "conflict" | "closed" | "badPosition" }>;

export interface StepDone {
  readonly record: { readonly kind: RecordKind; readonly seqnum: SeqNum; readonly timeMs: number };
  /** The winning record's data when it is not this attempt's own. */
  readonly theirs: LogRecord | null;
  /** The stream whose condition failed, when the record is a CONFLICT. Not for steps with `refused`, whose payload says it. */
  readonly failed: Tag | null;
}

/** A read of a value slice by slice, up to `end`. */
export interface Reading {
  readonly key: string;
  readonly end: number;
  readonly found: Found;
}

/** What travels with a storage part, both ways (F21, H15), and with a call that moves (F22). */
export interface StepStreamState {
  readonly origin: "unlogged" | "initialised" | "pinned";
  readonly pins: Pins;
  readonly position: number;
  readonly cursor: SeqNum;
  readonly dependency: SeqNum;
  readonly touched: boolean;
  readonly isChild: boolean;
  /** What the versions of log-free writes begin with. */
  readonly base: SeqNum;
  /** Log-free writes since `base` has moved. */
  readonly writes: number;
  /** The initial cursor, or the last RESUME. */
  readonly readsFrom: SeqNum;
  readonly reading: Reading | null;
}
