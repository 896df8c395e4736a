import { expect, test } from "vitest";
import { NO_SEQNUM, type Tag } from "../../../../state/ids.ts";
import { RecordKind } from "../../../../state/logbook/kinds.ts";
import { RecordStore } from "../../../../state/logbook/record-store.ts";
import { ShardIndex } from "../../../../state/logbook/shard-index.ts";
import { MemoryJournal } from "../../../support/memory-journal.ts";
import { BOOK, none } from "../../../support/open-shard.ts";

test("F39: the tail does not show a record before it is in all its streams", () => {
  const index = new ShardIndex(new RecordStore(new MemoryJournal(), 2 ** 20), 0);
  const book = index.book(BOOK);
  const names = ["o/x", "o/y", "o/z"] as Tag[];
  const seen: { tail: number; streams: number }[] = [];
  // Whoever looks while the record is being applied, one stream after the other.
  const tags = new Proxy(names, {
    get(target, property, receiver) {
      seen.push({ tail: index.tail, streams: names.filter((tag) => book.streams.get(tag)?.length === 1).length });
      return Reflect.get(target, property, receiver) as unknown;
    },
  });
  index.apply(book, { kind: RecordKind.write, tags, data: none }, 1, 0, 0, undefined);
  expect(seen.map(({ streams }) => streams)).toEqual(expect.arrayContaining([0, 1, 2]));
  expect(seen.every(({ tail }) => tail === NO_SEQNUM)).toBe(true);
  expect(index.tail).toBe(1);
  expect(names.map((tag) => book.streams.get(tag)?.last)).toEqual([1, 1, 1]);
});
