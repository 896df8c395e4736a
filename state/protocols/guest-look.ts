/** A look at a stream of a tenant's log, at one position of the log: the same whenever it is repeated, until what it saw is collected. */
import type { ByteReader, ByteWriter } from "../bytes.ts";
import { hasCode } from "../errors.ts";
import { type SeqNum, seqNum, type Tag, tag } from "../ids.ts";
import { RecordKind } from "../logbook/kinds.ts";
import type { LogBook, LogRecord, StreamTail } from "../logbook/logbook.ts";
import { decodeStep } from "../logbook/step-record.ts";

export type GuestRead =
  | {
      readonly kind: "found";
      readonly seqnum: SeqNum;
      readonly bytes: Uint8Array;
      /** It is the record that closed the stream. */
      readonly closes: boolean;
      readonly timeMs: number;
    }
  | { readonly kind: "none"; readonly timeMs: number }
  /** The records asked for are gone, up to this seqnum. */
  | { readonly kind: "trimmed"; readonly upTo: SeqNum; readonly timeMs: number };

export type GuestTail = Omit<StreamTail, "tail"> & { readonly kind: "tail"; readonly timeMs: number };

/** `prev`: the last record at or before `bound`. `next`: the first at or after it. `tail`: the stream as a whole, `bound` is 0. */
export interface GuestLook {
  readonly what: "prev" | "next" | "tail";
  readonly tag: Tag;
  readonly bound: SeqNum;
}

export type GuestSight = GuestRead | GuestTail;

/** @throws TRIMMED  `at` is below the floor */
export async function lookAt(book: LogBook, { what, tag, bound }: GuestLook, at: SeqNum): Promise<GuestSight> {
  if (what === "tail") {
    return toTail(await book.tailOf(tag, at));
  }
  try {
    return toRead((await (what === "prev" ? book.readPrev(tag, bound, at) : book.readNext(tag, bound, at))).record);
  } catch (error) {
    if (!hasCode(error, "TRIMMED")) {
      throw error;
    }
    // Rejects in turn when `at` is below the floor: an attempt that has logged nothing then begins again.
    const { goneUpTo } = await book.tailOf(tag, at);
    return { kind: "trimmed", upTo: goneUpTo, timeMs: 0 };
  }
}

export function toRead(record: LogRecord | null): GuestRead {
  if (record === null) {
    return { kind: "none", timeMs: 0 };
  }
  const { seqnum, kind, timeMs, data } = record;
  return { kind: "found", seqnum, bytes: decodeStep(data).payload, closes: kind === RecordKind.close, timeMs };
}

export function toTail({ length, last, goneUpTo, closed }: StreamTail): GuestTail {
  return { kind: "tail", length, last, goneUpTo, closed, timeMs: 0 };
}

const WHATS = ["prev", "next", "tail"] as const;
const FOUND = 1;
const NONE = 2;
const TRIMMED = 3;
const TAIL = 4;

export function writeLook(w: ByteWriter, { what, tag, bound }: GuestLook): void {
  w.u8(WHATS.indexOf(what)).text(tag).f64(bound);
}

/** @throws RangeError  a kind of look that there is not */
export function readLook(r: ByteReader): GuestLook {
  const what = WHATS[r.u8()];
  if (what === undefined) {
    throw new RangeError("a look of no known kind");
  }
  return { what, tag: tag(r.text()), bound: r.f64() as SeqNum };
}

export function writeSight(w: ByteWriter, sight: GuestSight): void {
  switch (sight.kind) {
    case "found":
      w.u8(FOUND)
        .f64(sight.seqnum)
        .f64(sight.timeMs)
        .u8(sight.closes ? 1 : 0)
        .bytes(sight.bytes);
      break;
    case "none":
      w.u8(NONE);
      break;
    case "trimmed":
      w.u8(TRIMMED).f64(sight.upTo);
      break;
    case "tail":
      w.u8(TAIL)
        .f64(sight.length)
        .f64(sight.last)
        .f64(sight.goneUpTo)
        .u8(sight.closed ? 1 : 0);
      break;
  }
}

/** @throws RangeError  a kind of sight that there is not */
export function readSight(r: ByteReader): GuestSight {
  const kind = r.u8();
  switch (kind) {
    case FOUND: {
      const [seqnum, timeMs, closes] = [seqNum(r.f64()), r.f64(), r.u8() === 1];
      return { kind: "found", seqnum, timeMs, closes, bytes: r.bytes() };
    }
    case NONE:
      return { kind: "none", timeMs: 0 };
    case TRIMMED:
      return { kind: "trimmed", upTo: seqNum(r.f64()), timeMs: 0 };
    case TAIL: {
      const [length, last, goneUpTo, closed] = [r.f64(), seqNum(r.f64()), seqNum(r.f64()), r.u8() === 1];
      return { kind: "tail", length, last, goneUpTo, closed, timeMs: 0 };
    }
    default:
      throw new RangeError(`a sight of kind ${kind}`);
  }
}
