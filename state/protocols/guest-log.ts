/**
 * The streams of a tenant's LogBook that its functions name themselves, as one attempt sees them (F36).
 *
 * L1. Streams of guests are in a namespace of their own and in the tenant's LogBook: no name leads to a stream of the host's, or to
 *     another tenant's.
 * L2. An append is a step that carries the guest's tags: one record. Why it was refused is logged in its place.
 * L3. A read whose answer lies at or below the cursor is log-free. Any other logs the position it looked at, and nothing else: the
 *     answer follows from the log up to there, at the first run as in every replay. Trims count by their own position, and what
 *     they hide is kept while an unfinished instance reads at an earlier one.
 */
import { ByteReader, ByteWriter } from "../bytes.ts";
import { hasCode } from "../errors.ts";
import { MAX_SEQNUM, NO_SEQNUM, type SeqNum, seqNum, type Tag } from "../ids.ts";
import { RecordKind } from "../logbook/kinds.ts";
import type { Condition, LogRecord, ReadResult } from "../logbook/logbook.ts";
import { decodeStep, type Fingerprint, fingerprint } from "../logbook/step-record.ts";
import { encodeTrim } from "../logbook/trim.ts";
import { guestTag } from "../tags.ts";
import { type GuestLook, type GuestRead, type GuestSight, type GuestTail, lookAt, toRead, toTail } from "./guest-look.ts";
import type { StepRefusal } from "./step.ts";
import type { StepStream } from "./step-stream.ts";

export interface LogCondition {
  readonly tag: string;
  /** `length`: of the stream, what is trimmed included; `last`: the seqnum of its last record, 0 for none. */
  readonly by: "length" | "last";
  readonly value: number;
}

export interface LogAppend {
  /** 1 or more, without duplicates. */
  readonly tags: readonly string[];
  readonly when: readonly LogCondition[];
  /** The record is the last of all its streams. */
  readonly closes: boolean;
  readonly bytes: Uint8Array;
  /** CRC-32 of the bytes. */
  readonly crc: number;
}

export type LogAppendOutcome =
  | { readonly kind: "appended"; readonly seqnum: SeqNum; readonly timeMs: number }
  /**
   * `conflict`: a condition failed; `winner` is the record that stood in the way. `closed`: by the record `winner`. `gap`: the stream has
   * only `length` records. `winner` is 0 for a record that is trimmed. `index` says which stream: of the first condition on it, or behind
   * the conditions of its tag.
   */
  | {
      readonly kind: "conflict" | "closed" | "gap";
      readonly index: number;
      readonly winner: SeqNum;
      readonly length: number;
      readonly timeMs: number;
    };

const EMPTY = new Uint8Array(0);
const REFUSALS = ["conflict", "closed", "gap"] as const;

/** What was seen, and at which position of the log it was looked at. */
interface Looked {
  readonly sight: GuestSight;
  readonly at: SeqNum;
}

export class GuestLog {
  readonly #steps: StepStream;

  constructor(steps: StepStream) {
    this.#steps = steps;
  }

  async append({ tags, when, closes, bytes, crc }: LogAppend): Promise<LogAppendOutcome> {
    const streams = tags.map(guestTag);
    const conditions = when.map(toCondition);
    const named = [...conditions.map(({ tag }) => tag), ...streams];
    let own: Uint8Array = EMPTY;
    const { record, theirs } = await this.#steps.step({
      kind: closes ? RecordKind.close : RecordKind.append,
      fingerprint: fingerprint(
        [tags.length, ...tags, ...when.map(({ tag, by, value }) => `${by} ${value} ${tag}`)].join("\n"),
        crc,
      ),
      payload: bytes,
      tags: streams,
      when: conditions,
      refused: (refusal) => {
        own = encodeRefusal(refusal, named.indexOf(refusal.tag));
        return own;
      },
    });
    const { kind, seqnum, timeMs } = record;
    if (kind !== RecordKind.conflict) {
      return { kind: "appended", seqnum, timeMs };
    }
    return decodeRefusal(theirs === null ? own : decodeStep(theirs.data).payload, timeMs);
  }

  /** The last record at or before `max`. */
  readPrev(name: string, max: SeqNum): Promise<GuestRead> {
    const look: GuestLook = { what: "prev", tag: guestTag(name), bound: max };
    return max <= this.#steps.cursor
      ? this.#readAtCursor(look)
      : this.#observeRecord(fingerprint(`prev ${max} ${name}`, 0), look, () => this.#steps.book.readPrev(look.tag, max));
  }

  /** The first record at or after `min`. */
  readNext(name: string, min: SeqNum): Promise<GuestRead> {
    const tag = guestTag(name);
    return this.#next(tag, min, fingerprint(`next ${min} ${name}`, 0), () => this.#steps.book.readNext(tag, min));
  }

  /** As readNext, and waits for it. @param signal  ends the wait with its reason */
  awaitNext(name: string, min: SeqNum, timeoutMs: number, signal: AbortSignal): Promise<GuestRead> {
    const tag = guestTag(name);
    return this.#next(tag, min, fingerprint(`await ${min} ${name}`, timeoutMs), () =>
      this.#steps.book.awaitNext(tag, min, timeoutMs, signal),
    );
  }

  /** As it is now. */
  async tail(name: string): Promise<GuestTail> {
    const look: GuestLook = { what: "tail", tag: guestTag(name), bound: NO_SEQNUM };
    return this.#observe(fingerprint(`tail ${name}`, 0), look, async () => {
      const tail = await this.#steps.book.tailOf(look.tag, MAX_SEQNUM);
      return { sight: toTail(tail), at: tail.tail };
    }) as Promise<GuestTail>;
  }

  /** Nobody whose cursor is at or behind this step finds records up to `upTo` any more. @param name  null: of all streams of guests */
  async trim(name: string | null, upTo: SeqNum): Promise<void> {
    const tag = name === null ? null : guestTag(name);
    await this.#steps.step({
      kind: RecordKind.trim,
      fingerprint: fingerprint(`${upTo} ${name ?? ""}`, name === null ? 0 : 1),
      payload: encodeTrim({ tag, upTo }),
    });
  }

  async #next(tag: Tag, min: SeqNum, print: Fingerprint, readNow: () => Promise<ReadResult>): Promise<GuestRead> {
    const look: GuestLook = { what: "next", tag, bound: min };
    if (min <= this.#steps.cursor) {
      const read = await this.#readAtCursor(look);
      if (read.kind !== "none") {
        return read;
      }
    }
    return this.#observeRecord(print, look, readNow);
  }

  async #readAtCursor(look: GuestLook): Promise<GuestRead> {
    const { cursor } = this.#steps;
    this.#steps.touch();
    const read = (await this.#lookAt(look, cursor)) as GuestRead;
    this.#steps.read({ kind: "look", look }, cursor, sizeOf(read));
    // A trim is at or below the cursor; an absence rests on nothing.
    this.#steps.consulted(read.kind === "found" ? read.seqnum : read.kind === "trimmed" ? cursor : NO_SEQNUM);
    return read;
  }

  #observeRecord(print: Fingerprint, look: GuestLook, readNow: () => Promise<ReadResult>): Promise<GuestRead> {
    return this.#observe(print, look, async () => {
      try {
        const found = await readNow();
        return { sight: toRead(found.record), at: found.tail };
      } catch (error) {
        if (!hasCode(error, "TRIMMED")) {
          throw error;
        }
        const at = await this.#steps.book.tail();
        return { sight: await this.#lookAt(look, at), at };
      }
    }) as Promise<GuestRead>;
  }

  /** Looks beyond the cursor, and logs at which position; a replay looks there again. */
  async #observe(print: Fingerprint, look: GuestLook, lookNow: () => Promise<Looked>): Promise<GuestSight> {
    const looked = this.#steps.replaying ? null : await lookNow();
    const payload = looked === null ? EMPTY : new ByteWriter(8).f64(looked.at).take();
    const { record, theirs } = await this.#steps.step({ kind: RecordKind.observe, fingerprint: print, payload });
    const { sight, at } = theirs === null && looked !== null ? looked : await this.#lookAgain(look, theirs);
    this.#steps.readByStep({ kind: "look", look }, at, sizeOf(sight));
    return { ...sight, timeMs: record.timeMs };
  }

  async #lookAgain(look: GuestLook, logged: LogRecord | null): Promise<Looked> {
    const at = logged === null ? NO_SEQNUM : seqNum(new ByteReader(decodeStep(logged.data).payload).f64());
    return { sight: await this.#lookAt(look, at), at };
  }

  async #lookAt(look: GuestLook, at: SeqNum): Promise<GuestSight> {
    return this.#steps.reads.sight(look, at) ?? (await lookAt(this.#steps.book, look, at));
  }
}

function sizeOf(sight: GuestSight): number {
  return sight.kind === "found" ? sight.bytes.byteLength : 0;
}

function toCondition({ tag, by, value }: LogCondition): Condition {
  return by === "length" ? { tag: guestTag(tag), length: value } : { tag: guestTag(tag), last: value as SeqNum };
}

/** The payload of the CONFLICT: what it was, index of the condition or tag, seqnum of the winner, length of the stream. */
function encodeRefusal(refusal: StepRefusal, index: number): Uint8Array {
  const kind = refusal.kind === "badPosition" ? "gap" : refusal.kind;
  const winner = refusal.kind === "conflict" ? refusal.existing : refusal.kind === "closed" ? refusal.done : null;
  return new ByteWriter(32)
    .u8(REFUSALS.indexOf(kind))
    .u16(index)
    .f64(winner?.seqnum ?? NO_SEQNUM)
    .f64(refusal.kind === "badPosition" ? refusal.length : 0)
    .take();
}

function decodeRefusal(payload: Uint8Array, timeMs: number): LogAppendOutcome {
  const r = new ByteReader(payload);
  const kind = REFUSALS[r.u8()] ?? "conflict";
  return { kind, index: r.u16(), winner: r.f64() as SeqNum, length: r.f64(), timeMs };
}
