/** Argument and reply layouts of the log operations, as operations.ts has those of the others. */
import { ByteReader, ByteWriter } from "../../state/bytes.ts";
import type { LogAppend, LogCondition } from "../../state/protocols/index.ts";

export type LogAppendArgs = Omit<LogAppend, "crc">;

export const logAppendArgs = {
  encode: ({ tags, when, closes, bytes }: LogAppendArgs) => {
    const w = new ByteWriter(128 + bytes.byteLength).u8(closes ? 1 : 0).u8(tags.length);
    for (const tag of tags) {
      w.text(tag);
    }
    w.u8(when.length);
    for (const { tag, by, value } of when) {
      w.text(tag)
        .u8(by === "length" ? 0 : 1)
        .f64(value);
    }
    return w.raw(bytes).view();
  },
  decode: (bytes: Uint8Array): LogAppendArgs => {
    const r = new ByteReader(bytes);
    const closes = r.u8() === 1;
    const tags = Array.from({ length: r.u8() }, () => r.text());
    const when = Array.from({ length: r.u8() }, (): LogCondition => {
      return { tag: r.text(), by: r.u8() === 0 ? "length" : "last", value: r.f64() };
    });
    return { tags, when, closes, bytes: r.raw(r.remaining) };
  },
};

/** The bytes of a logAppend reply. Code 0: the seqnum; a refusal: the winner's, with the length it found and which stream it was. */
export const logAppendReply = {
  encode: (a: { seqnum: number; length: number; index: number }) =>
    new ByteWriter(24).f64(a.seqnum).f64(a.length).u16(a.index).view(),
  decode: (bytes: Uint8Array) => {
    const r = new ByteReader(bytes);
    return { seqnum: r.f64(), length: r.f64(), index: r.u16() };
  },
};

/** logReadPrev, logReadNext, logAwaitNext; `timeoutMs` counts for the last only. */
export const logReadArgs = {
  encode: (a: { tag: string; seqnum: number; timeoutMs: number }) =>
    new ByteWriter(64).text(a.tag).f64(a.seqnum).f64(a.timeoutMs).view(),
  decode: (bytes: Uint8Array) => {
    const r = new ByteReader(bytes);
    return { tag: r.text(), seqnum: r.f64(), timeoutMs: r.f64() };
  },
};

/** Code 0: the record's seqnum, whether it closed the stream, and its bytes; GuestError.trimmed: the last seqnum that is gone. */
export const logReadReply = {
  encode: (a: { seqnum: number; closes: boolean; bytes: Uint8Array }) =>
    new ByteWriter(16 + a.bytes.byteLength)
      .f64(a.seqnum)
      .u8(a.closes ? 1 : 0)
      .raw(a.bytes)
      .view(),
  decode: (bytes: Uint8Array) => {
    const r = new ByteReader(bytes);
    return { seqnum: r.f64(), closes: r.u8() === 1, bytes: r.raw(r.remaining) };
  },
};

export const logTailArgs = {
  encode: (tag: string) => new ByteWriter(64).text(tag).view(),
  decode: (bytes: Uint8Array) => ({ tag: new ByteReader(bytes).text() }),
};

export const logTailReply = {
  encode: (a: { length: number; last: number; goneUpTo: number; closed: boolean }) =>
    new ByteWriter(32)
      .f64(a.length)
      .f64(a.last)
      .f64(a.goneUpTo)
      .u8(a.closed ? 1 : 0)
      .view(),
  decode: (bytes: Uint8Array) => {
    const r = new ByteReader(bytes);
    return { length: r.f64(), last: r.f64(), goneUpTo: r.f64(), closed: r.u8() === 1 };
  },
};

/** `tag` "" for all streams. */
export const logTrimArgs = {
  encode: (a: { tag: string; upTo: number }) => new ByteWriter(64).text(a.tag).f64(a.upTo).view(),
  decode: (bytes: Uint8Array) => {
    const r = new ByteReader(bytes);
    return { tag: r.text(), upTo: r.f64() };
  },
};
