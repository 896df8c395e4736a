/** Listed objects in a record: u32 count, then for each its key, f64 size in bytes, f64 seqnum. */
import type { ByteReader, ByteWriter } from "../bytes.ts";
import { seqNum } from "../ids.ts";
import type { Home, ListedObject } from "../logbook/logbook.ts";

export function writeListed(w: ByteWriter, objects: readonly ListedObject[]): void {
  w.u32(objects.length);
  for (const { key, sizeBytes, seqnum } of objects) {
    w.text(key).f64(sizeBytes).f64(seqnum);
  }
}

/** @param home  where all of them are: that is not written */
export function readListed(r: ByteReader, home: Home): ListedObject[] {
  return Array.from({ length: r.u32() }, () => ({ key: r.text(), sizeBytes: r.f64(), seqnum: seqNum(r.f64()), home }));
}
