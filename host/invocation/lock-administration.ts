/** What an administrator sees of locks, and does to them. */
import { hasCode, NeapError } from "../../state/errors.ts";
import { type LogBookId, NO_SEQNUM, objectKey, quote } from "../../state/ids.ts";
import {
  encodeLockBreak,
  type HeldLock,
  LOCK_BREAKS_KEPT,
  type LogBook,
  type LogRecord,
  lockBreakOf,
  RecordKind,
  type Shard,
} from "../../state/logbook/index.ts";
import { holdTag, LOCK_BREAKS_TAG, lockTag } from "../../state/tags.ts";
import type { BrokenLock, LockBreaker } from "./invocation.ts";

/** In the order of their names; durable. */
export async function heldLocks(shard: Shard, tenant: LogBookId): Promise<readonly HeldLock[]> {
  const { locks, tail } = await shard.book(tenant).locks();
  await shard.whenDurable(tail);
  return [...locks].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The last locks that were broken, newest first; durable. */
export async function brokenLocks(shard: Shard, tenant: LogBookId): Promise<readonly BrokenLock[]> {
  const records = await breaksOf(shard.book(tenant));
  await shard.whenDurable(records.at(-1)?.seqnum ?? NO_SEQNUM);
  const broken = records.map(({ seqnum, timeMs, data }) => ({ ...lockBreakOf(data), brokenMs: timeMs, seqnum }));
  return broken.reverse();
}

async function breaksOf(book: LogBook): Promise<readonly LogRecord[]> {
  for (;;) {
    const { length } = await book.tailOf(LOCK_BREAKS_TAG);
    try {
      return (await book.readStream(LOCK_BREAKS_TAG, Math.max(0, length - LOCK_BREAKS_KEPT))).records;
    } catch (error) {
      if (!hasCode(error, "TRIMMED")) {
        throw error;
      }
      // Another one was broken meanwhile, and a collection has let go of the first.
    }
  }
}

/**
 * Takes a lock from whoever holds it now. The record is in the lock's hold stream, so that a commit of a holder before fails from now
 * on, and in that of all that were broken; durable when it resolves with what was held.
 * @throws BAD_KEY when `name` is none
 * @throws UNKNOWN_LOCK when nobody holds it
 */
export async function breakLock(shard: Shard, tenant: LogBookId, name: string, by: LockBreaker): Promise<HeldLock> {
  const book = shard.book(tenant);
  objectKey(name);
  for (;;) {
    const { held, last, tail } = await book.lock(name);
    if (held === null) {
      await shard.whenDurable(tail);
      throw new NeapError("UNKNOWN_LOCK", `nobody holds a lock ${quote(name)}`);
    }
    const { holder, root, token } = held;
    const tags = [lockTag(name), holdTag(name), LOCK_BREAKS_TAG];
    const data = encodeLockBreak({ name, holder, root, token, by });
    const result = await book.append({
      records: [{ kind: RecordKind.lockBroken, tags, data }],
      when: [{ tag: lockTag(name), last }],
    });
    if (result.kind === "appended") {
      await shard.whenDurable(result.seqnum);
      return held;
    }
  }
}
