/** What ranks of a world say to each other. The main thread passes it on unopened. */
import { ByteReader, type ByteWriter } from "../../../state/bytes.ts";

/**
 * `eager`: a whole message, which its sender has forgotten. `offer`: one that waits at its sender for room. `grant`: there is room for what
 * lies before `upTo`. `data`: a piece of it. `credit`: so many bytes of eager messages have been received.
 */
export type Frame =
  | { readonly kind: "eager"; readonly context: number; readonly tag: number; readonly bytes: Uint8Array }
  | {
      readonly kind: "offer";
      readonly context: number;
      readonly tag: number;
      readonly sender: number;
      readonly sizeBytes: number;
    }
  | { readonly kind: "grant"; readonly sender: number; readonly receiver: number; readonly upTo: number }
  | { readonly kind: "data"; readonly receiver: number; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: "credit"; readonly sizeBytes: number };

const Kind = { eager: 1, offer: 2, grant: 3, data: 4, credit: 5 } as const;
/** More than any frame has beside its bytes. */
export const FRAME_OVERHEAD_BYTES = 32;

export function encodeFrame(frame: Frame, w: ByteWriter): ByteWriter {
  w.u8(Kind[frame.kind]);
  switch (frame.kind) {
    case "eager":
      return w.u32(frame.context).i32(frame.tag).raw(frame.bytes);
    case "offer":
      return w.u32(frame.context).i32(frame.tag).u32(frame.sender).u32(frame.sizeBytes);
    case "grant":
      return w.u32(frame.sender).u32(frame.receiver).u32(frame.upTo);
    case "data":
      return w.u32(frame.receiver).u32(frame.offset).raw(frame.bytes);
    case "credit":
      return w.u32(frame.sizeBytes);
  }
}

/** Views of `bytes`. @throws RangeError */
export function decodeFrame(bytes: Uint8Array): Frame {
  const r = new ByteReader(bytes);
  const kind = r.u8();
  switch (kind) {
    case Kind.eager:
      return { kind: "eager", context: r.u32(), tag: r.i32(), bytes: r.raw(r.remaining) };
    case Kind.offer:
      return { kind: "offer", context: r.u32(), tag: r.i32(), sender: r.u32(), sizeBytes: r.u32() };
    case Kind.grant:
      return { kind: "grant", sender: r.u32(), receiver: r.u32(), upTo: r.u32() };
    case Kind.data:
      return { kind: "data", receiver: r.u32(), offset: r.u32(), bytes: r.raw(r.remaining) };
    case Kind.credit:
      return { kind: "credit", sizeBytes: r.u32() };
    default:
      throw new RangeError(`a frame between ranks has kind ${kind}`);
  }
}
