import type { LogBookId } from "../../state/ids.ts";
import type { LogBook, Shard } from "../../state/logbook/index.ts";
import { FlushedLogBook } from "../../state/protocols/index.ts";

/** The LogBook that an instance's steps go to. Without run-ahead each of them is answered when it is durable. */
export function stepBook(shard: Shard, tenant: LogBookId, runAhead: boolean): LogBook {
  const book = shard.book(tenant);
  return runAhead ? book : new FlushedLogBook(book, shard);
}
