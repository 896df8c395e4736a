/** What `lock` and `unlock` records say, after the step header, and what `lockBroken` records say, which have none. */
import { ByteReader, ByteWriter } from "../bytes.ts";
import { type InstanceId, NO_SEQNUM, type SeqNum } from "../ids.ts";
import { decodeStep } from "./step-record.ts";

/** Who holds a lock: the instance that took it, or the one whose transaction it was taken for. */
export interface LockOwner {
  readonly instance: InstanceId;
  /** Released when the instance's transaction ends; else when it unlocks or is done. */
  readonly inTransaction: boolean;
}

export interface LockTaking extends LockOwner {
  /** The instance at the top of the chain of calls: its functions may take the lock again. */
  readonly root: InstanceId;
  /** Of the hold that this one adds to; 0 when it begins one, and its own seqnum is the token. */
  readonly token: SeqNum;
  /** The moment of the transaction that it is taken for; null: it is for none, or the record is of before this was said. */
  readonly snapshot: SeqNum | null;
}

/** So many LOCK_BROKEN records stay for who looks later, and in a GC no more. */
export const LOCK_BREAKS_KEPT = 100;

/** A hold that was broken. */
export interface LockBreak {
  readonly name: string;
  readonly holder: InstanceId;
  readonly root: InstanceId;
  /** Of the hold. */
  readonly token: SeqNum;
  /** Whose act it was, as the host tells it. */
  readonly by: string;
}

export function encodeLockBreak({ name, holder, root, token, by }: LockBreak): Uint8Array {
  return new ByteWriter(128).text(name).text(holder).text(root).f64(token).text(by).view();
}

/** From a `lockBroken` record in the stream of LOCK_BREAKS_TAG. */
export function lockBreakOf(data: Uint8Array): LockBreak {
  const r = new ByteReader(data);
  return { name: r.text(), holder: readInstance(r), root: readInstance(r), token: r.f64() as SeqNum, by: r.text() };
}

export function encodeLock({ instance, inTransaction, root, token, snapshot }: LockTaking): Uint8Array {
  return writeOwner({ instance, inTransaction })
    .text(root)
    .f64(token)
    .f64(snapshot ?? NO_SEQNUM)
    .view();
}

export function encodeUnlock(owner: LockOwner): Uint8Array {
  return writeOwner(owner).view();
}

/** From a `lock` record that has its lock's tag. @throws RangeError when it is malformed */
export function lockOf(data: Uint8Array): LockTaking {
  const r = new ByteReader(decodeStep(data).payload);
  const taking = { ...readOwner(r), root: readInstance(r), token: r.f64() as SeqNum };
  const snapshot = r.remaining > 0 ? r.f64() : NO_SEQNUM;
  return { ...taking, snapshot: snapshot === NO_SEQNUM ? null : (snapshot as SeqNum) };
}

/** From an `unlock` record. @throws RangeError when it is malformed */
export function unlockOf(data: Uint8Array): LockOwner {
  return readOwner(new ByteReader(decodeStep(data).payload));
}

function writeOwner({ instance, inTransaction }: LockOwner): ByteWriter {
  return new ByteWriter(96).u8(inTransaction ? 1 : 0).text(instance);
}

function readOwner(r: ByteReader): LockOwner {
  const inTransaction = r.u8() === 1;
  return { inTransaction, instance: readInstance(r) };
}

function readInstance(r: ByteReader): InstanceId {
  const id = r.text();
  if (id === "") {
    throw new RangeError("an instance id is empty");
  }
  return id as InstanceId;
}
