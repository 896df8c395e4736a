import type { SeqNum } from "../ids.ts";

/** What a GC record orders. */
export interface Collection {
  /** Becomes the LogBook's floor. */
  readonly watermark: SeqNum;
  /** Results of instances that were done before are not retained any more. */
  readonly retainSinceMs: number;
}

export function encodeCollection(collection: Collection): Uint8Array {
  const data = Buffer.alloc(16);
  data.writeDoubleLE(collection.watermark, 0);
  data.writeDoubleLE(collection.retainSinceMs, 8);
  return data;
}

export function decodeCollection(data: Uint8Array): Collection {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return { watermark: view.getFloat64(0, true) as SeqNum, retainSinceMs: view.getFloat64(8, true) };
}
