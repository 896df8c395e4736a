/** What an administrator sees of locks, and does to them. */
import { NeapError } from "../../state/errors.ts";
import { type LogBookId, objectKey, quote } from "../../state/ids.ts";
import { type HeldLock, RecordKind, type Shard } from "../../state/logbook/index.ts";
import { holdTag, lockTag } from "../../state/tags.ts";

/** In the order of their names; durable. */
export async function heldLocks(shard: Shard, tenant: LogBookId): Promise<readonly HeldLock[]> {
  const { locks, tail } = await shard.book(tenant).locks();
  await shard.whenDurable(tail);
  return [...locks].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * Takes a lock from whoever holds it now. The record is in the lock's hold stream, so that a commit of a holder before fails from now
 * on; durable when it resolves.
 * @throws BAD_KEY when `name` is none
 * @throws UNKNOWN_LOCK when nobody holds it
 */
export async function breakLock(shard: Shard, tenant: LogBookId, name: string): Promise<void> {
  const book = shard.book(tenant);
  objectKey(name);
  for (;;) {
    const { held, last, tail } = await book.lock(name);
    if (held === null) {
      await shard.whenDurable(tail);
      throw new NeapError("UNKNOWN_LOCK", `nobody holds a lock ${quote(name)}`);
    }
    const tags = [lockTag(name), holdTag(name)];
    const data = Buffer.from(`taken from ${held.holder}`);
    const result = await book.append({
      records: [{ kind: RecordKind.lockBroken, tags, data }],
      when: [{ tag: lockTag(name), last }],
    });
    if (result.kind === "appended") {
      await shard.whenDurable(result.seqnum);
      return;
    }
  }
}
