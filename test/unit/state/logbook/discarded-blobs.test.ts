import { expect, test } from "vitest";
import { type NewRecord, RecordKind } from "../../../../state/logbook/index.ts";
import { BOOK, bytes, none, openTestShard, tagOf } from "../../../support/open-shard.ts";

const x = tagOf("t/x");
const write = (): NewRecord => ({ kind: RecordKind.write, tags: [x], data: none });

test("F6: an append that waits for room while its blob is given up is refused, and nothing is ordered", async () => {
  const { shard, journal, blobs } = await openTestShard({ options: { undurableMaxBytes: 1 } });
  const ref = await blobs.put(bytes("value"));
  journal.automatic = false;
  const book = shard.book(BOOK);
  await book.append({ records: [write()] });
  const waiting = book.append({ records: [{ ...write(), blobs: [ref] }] });
  const refused = expect(waiting).rejects.toMatchObject({ code: "BLOB_MISSING" });
  await new Promise(setImmediate);
  await shard.blobs.discard([ref.name]);
  journal.automatic = true;
  journal.flush();
  await refused;
  expect((await book.readStream(x, 0)).length).toBe(1);
});

test("F6: a blob is named in the tick in which its record is ordered, before that is durable", async () => {
  const { shard, journal, blobs } = await openTestShard();
  const ref = await blobs.put(bytes("value"));
  journal.automatic = false;
  await shard.book(BOOK).append({ records: [{ ...write(), blobs: [ref] }] });
  await shard.blobs.discard([ref.name]);
  expect(blobs.known(ref.name)).toBe(5);
});
