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
import { MAX_SEQNUM, NO_SEQNUM, type SeqNum, type Tag } from "../ids.ts";
import { RecordKind } from "../logbook/kinds.ts";
import type { Condition, LogRecord, ReadResult, StreamTail } from "../logbook/logbook.ts";
import { decodeStep, type Fingerprint, fingerprint } from "../logbook/step-record.ts";
import { encodeTrim } from "../logbook/trim.ts";
import { guestTag } from "../tags.ts";
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

export type GuestTail = Omit<StreamTail, "tail"> & { readonly timeMs: number };

const EMPTY = new Uint8Array(0);
const REFUSALS = ["conflict", "closed", "gap"] as const;

/** An answer, and the position of the log that it follows from. */
interface Looked<T> {
  readonly answer: T;
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
    const tag = guestTag(name);
    const readAt = (at: SeqNum) => this.#steps.book.readPrev(tag, max, at);
    return max <= this.#steps.cursor
      ? this.#readAt(tag, this.#steps.cursor, readAt)
      : this.#observe(fingerprint(`prev ${max} ${name}`, 0), tag, () => readAt(MAX_SEQNUM), readAt);
  }

  /** The first record at or after `min`. */
  async readNext(name: string, min: SeqNum): Promise<GuestRead> {
    return this.#next(guestTag(name), min, fingerprint(`next ${min} ${name}`, 0), () =>
      this.#steps.book.readNext(guestTag(name), min),
    );
  }

  /** As readNext, and waits for it. @param signal  ends the wait with its reason */
  async awaitNext(name: string, min: SeqNum, timeoutMs: number, signal: AbortSignal): Promise<GuestRead> {
    return this.#next(guestTag(name), min, fingerprint(`await ${min} ${name}`, timeoutMs), () =>
      this.#steps.book.awaitNext(guestTag(name), min, timeoutMs, signal),
    );
  }

  /** As it is now. */
  async tail(name: string): Promise<GuestTail> {
    const tag = guestTag(name);
    const look = async (at: SeqNum): Promise<Looked<StreamTail>> => {
      const answer = await this.#steps.book.tailOf(tag, at);
      return { answer, at: at < answer.tail ? at : answer.tail };
    };
    const { answer, timeMs } = await this.#observed(fingerprint(`tail ${name}`, 0), () => look(MAX_SEQNUM), look);
    const { length, last, goneUpTo, closed } = answer;
    return { length, last, goneUpTo, closed, timeMs };
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
    const readAt = (at: SeqNum) => this.#steps.book.readNext(tag, min, at);
    const { cursor } = this.#steps;
    if (min <= cursor) {
      const answer = await this.#readAt(tag, cursor, readAt);
      if (answer.kind !== "none") {
        return answer;
      }
    }
    return this.#observe(print, tag, readNow, readAt);
  }

  /** A read at the cursor. */
  async #readAt(tag: Tag, at: SeqNum, read: (at: SeqNum) => Promise<ReadResult>): Promise<GuestRead> {
    this.#steps.touch();
    this.#steps.reads.incomplete();
    const answer = await this.#answerAt(tag, at, read);
    // A trim is at or below the cursor; an absence rests on nothing.
    this.#steps.consulted(answer.kind === "found" ? answer.seqnum : answer.kind === "trimmed" ? at : NO_SEQNUM);
    return answer;
  }

  /** A read beyond the cursor. */
  async #observe(
    print: Fingerprint,
    tag: Tag,
    readNow: () => Promise<ReadResult>,
    read: (at: SeqNum) => Promise<ReadResult>,
  ): Promise<GuestRead> {
    const look = async (at: SeqNum): Promise<Looked<GuestRead>> => ({ answer: await this.#answerAt(tag, at, read), at });
    const { answer, timeMs } = await this.#observed(
      print,
      async () => {
        try {
          const found = await readNow();
          return { answer: toRead(found.record), at: found.tail };
        } catch (error) {
          if (!hasCode(error, "TRIMMED")) {
            throw error;
          }
          return look(await this.#steps.book.tail());
        }
      },
      look,
    );
    return { ...answer, timeMs };
  }

  /** Looks, and logs at which position; a replay looks there again. */
  async #observed<T>(
    print: Fingerprint,
    lookNow: () => Promise<Looked<T>>,
    lookAt: (at: SeqNum) => Promise<Looked<T>>,
  ): Promise<{ answer: T; timeMs: number }> {
    this.#steps.reads.incomplete();
    const looked = this.#steps.replaying ? null : await lookNow();
    const payload = looked === null ? EMPTY : new ByteWriter(8).f64(looked.at).take();
    const { record, theirs } = await this.#steps.step({ kind: RecordKind.observe, fingerprint: print, payload });
    const { timeMs } = record;
    if (looked !== null && theirs === null) {
      return { answer: looked.answer, timeMs };
    }
    const at = theirs === null ? NO_SEQNUM : new ByteReader(decodeStep(theirs.data).payload).f64();
    return { answer: (await lookAt(at as SeqNum)).answer, timeMs };
  }

  async #answerAt(tag: Tag, at: SeqNum, read: (at: SeqNum) => Promise<ReadResult>): Promise<GuestRead> {
    try {
      return toRead((await read(at)).record);
    } catch (error) {
      if (!hasCode(error, "TRIMMED")) {
        throw error;
      }
      // Rejects in turn when `at` is below the floor: an attempt that has logged nothing then begins again.
      const { goneUpTo } = await this.#steps.book.tailOf(tag, at);
      return { kind: "trimmed", upTo: goneUpTo, timeMs: 0 };
    }
  }
}

function toCondition({ tag, by, value }: LogCondition): Condition {
  return by === "length" ? { tag: guestTag(tag), length: value } : { tag: guestTag(tag), last: value as SeqNum };
}

function toRead(record: LogRecord | null): GuestRead {
  if (record === null) {
    return { kind: "none", timeMs: 0 };
  }
  const { seqnum, kind, timeMs, data } = record;
  return { kind: "found", seqnum, bytes: decodeStep(data).payload, closes: kind === RecordKind.close, timeMs };
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
