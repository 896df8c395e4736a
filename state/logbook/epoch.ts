import type { SeqNum } from "../ids.ts";

/** What an EPOCH record says: an opening of the journal, and where the epoch before it ended (F1). */
export interface Epoch {
  readonly epoch: number;
  readonly previousEnd: SeqNum;
}

export function encodeEpoch({ epoch, previousEnd }: Epoch): Uint8Array {
  const data = Buffer.alloc(16);
  data.writeDoubleLE(epoch, 0);
  data.writeDoubleLE(previousEnd, 8);
  return data;
}

export function decodeEpoch(data: Uint8Array): Epoch {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return { epoch: view.getFloat64(0, true), previousEnd: view.getFloat64(8, true) as SeqNum };
}
