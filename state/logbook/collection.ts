/**
 * The data of a GC record: f64 watermark, f64 time; of a piece also u8 whether it is the first, u32 most, and four lists of names, each
 * u32 count and texts: objects, cells, locks, instances.
 */
import { ByteReader, ByteWriter } from "../bytes.ts";
import type { InstanceId, SeqNum, Tag } from "../ids.ts";

/** What a GC record orders. */
export interface Collection {
  /** Becomes the LogBook's floor. */
  readonly watermark: SeqNum;
  /** Results of instances that were done before are not retained any more. */
  readonly retainSinceMs: number;
  /** Left out: all that can be collected. */
  readonly piece?: Piece;
}

/** What one record collects of a collection: no unit of work is long (H27), and a replay does the same. */
export interface Piece {
  readonly isFirst: boolean;
  /** Records and results that each set lets go of at most; what is named beyond that is left. */
  readonly most: number;
  /** Streams of objects. */
  readonly objects: readonly Tag[];
  readonly cells: readonly string[];
  readonly locks: readonly Tag[];
  readonly instances: readonly InstanceId[];
}

export function encodeCollection({ watermark, retainSinceMs, piece }: Collection): Uint8Array {
  const w = new ByteWriter(16).f64(watermark).f64(retainSinceMs);
  if (piece !== undefined) {
    w.u8(piece.isFirst ? 1 : 0).u32(piece.most);
    for (const names of [piece.objects, piece.cells, piece.locks, piece.instances]) {
      w.u32(names.length);
      for (const name of names) {
        w.text(name);
      }
    }
  }
  return w.take();
}

export function decodeCollection(data: Uint8Array): Collection {
  const r = new ByteReader(data);
  const collection = { watermark: r.f64() as SeqNum, retainSinceMs: r.f64() };
  if (r.remaining === 0) {
    return collection;
  }
  const names = <T extends string>() => Array.from({ length: r.u32() }, () => r.text() as T);
  const piece: Piece = {
    isFirst: r.u8() === 1,
    most: r.u32(),
    objects: names<Tag>(),
    cells: names(),
    locks: names<Tag>(),
    instances: names<InstanceId>(),
  };
  return { ...collection, piece };
}
