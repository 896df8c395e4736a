/** Transactions as the records that begin and end a called function carry them. */
import { ByteReader, ByteWriter } from "../bytes.ts";
import type { InstanceId, SeqNum } from "../ids.ts";
import type { BlobRefLike } from "../logbook/logbook.ts";
import { readValue, writeValue } from "../objects/object-record.ts";
import type { BufferedWrite, InheritedTransaction, Isolation, TransactionEffects } from "./transaction.ts";

export const ISOLATIONS: readonly Isolation[] = ["serializable", "snapshot", "readAtomic"];

export function encodeInherited({ snapshot, isolation, beginner, writes }: InheritedTransaction): Uint8Array {
  const w = new ByteWriter(256).f64(snapshot).u8(ISOLATIONS.indexOf(isolation)).text(beginner);
  writeWrites(w, writes);
  return w.take();
}

export function decodeInherited(bytes: Uint8Array): InheritedTransaction {
  const r = new ByteReader(bytes);
  const snapshot = r.f64() as SeqNum;
  const isolation = ISOLATIONS[r.u8()] ?? "serializable";
  return { snapshot, isolation, beginner: r.text() as InstanceId, writes: readWrites(r) };
}

/** Written before effects told what there was too much of. */
const OVERFLOWN = 1;
const UNAWAITED = 2;
const LOST = 4;
const EXCESS = 8;

export function encodeEffects(effects: TransactionEffects): Uint8Array {
  const { snapshot, reads, hasListed, writes, locks, excess, unawaited, lost } = effects;
  const w = new ByteWriter(256)
    .f64(snapshot)
    .u8((excess !== null ? EXCESS : 0) | (unawaited ? UNAWAITED : 0) | (lost ? LOST : 0))
    .u8(hasListed ? 1 : 0);
  writeSeqNums(w, reads);
  writeSeqNums(w, locks);
  writeWrites(w, writes);
  return (excess === null ? w : w.text(excess)).take();
}

export function decodeEffects(bytes: Uint8Array): TransactionEffects {
  const r = new ByteReader(bytes);
  const snapshot = r.f64() as SeqNum;
  const flags = r.u8();
  const hasListed = r.u8() === 1;
  const reads = readSeqNums(r);
  const locks = readSeqNums(r);
  const has = (flag: number) => (flags & flag) !== 0;
  const writes = readWrites(r);
  const excess = has(EXCESS) ? r.text() : has(OVERFLOWN) ? "more was read or written in it than may be" : null;
  return { snapshot, hasListed, reads, locks, writes, excess, unawaited: has(UNAWAITED), lost: has(LOST) };
}

/** What the record that carries the writes must name (F6). */
export function blobsOf(writes: ReadonlyMap<string, BufferedWrite> = new Map()): BlobRefLike[] {
  return [...writes.values()].flatMap(({ value }) => (value?.kind === "blob" ? [value.ref] : []));
}

function writeSeqNums(w: ByteWriter, seqnums: ReadonlyMap<string, SeqNum>): void {
  w.u32(seqnums.size);
  for (const [name, seqnum] of seqnums) {
    w.text(name).f64(seqnum);
  }
}

function readSeqNums(r: ByteReader): Map<string, SeqNum> {
  const seqnums = new Map<string, SeqNum>();
  for (let left = r.u32(); left > 0; left--) {
    seqnums.set(r.text(), r.f64() as SeqNum);
  }
  return seqnums;
}

function writeWrites(w: ByteWriter, writes: ReadonlyMap<string, BufferedWrite>): void {
  w.u32(writes.size);
  for (const [key, { value, crc }] of writes) {
    w.text(key).u32(crc);
    writeValue(w, value);
  }
}

function readWrites(r: ByteReader): Map<string, BufferedWrite> {
  const writes = new Map<string, BufferedWrite>();
  for (let left = r.u32(); left > 0; left--) {
    const key = r.text();
    writes.set(key, { crc: r.u32(), value: readValue(r) });
  }
  return writes;
}
