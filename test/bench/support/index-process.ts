/**
 * A fresh process that fills an index and says what it costs: `index-process.ts <records> <streams>`. Every record is in two streams.
 * Prints as JSON: bytes of heap and buffers per record, the streams' share included, and per stream that has one record.
 */
import type { LogBookId, SeqNum, Tag } from "../../../state/ids.ts";
import { RecordKind } from "../../../state/logbook/index.ts";
import { RecordStore } from "../../../state/logbook/record-store.ts";
import { ShardIndex } from "../../../state/logbook/shard-index.ts";

const DATA = new Uint8Array(0);
const [records = 0, streams = 0] = process.argv.slice(2).map(Number);
const journal = {
  start: 0,
  read(): never {
    throw new Error("nothing is read");
  },
};

/** The index, and what it costs; the caller keeps it alive. */
function fill(count: number, tagsOf: (i: number) => Tag[]): { index: ShardIndex; sizeBytes: number } {
  const before = used();
  const index = new ShardIndex(new RecordStore(journal, 0), 0);
  const book = index.book("bench" as LogBookId);
  for (let i = 0; i < count; i++) {
    index.apply(book, { kind: RecordKind.write, tags: tagsOf(i), data: DATA }, i, i * 100, 100, undefined);
  }
  return { index, sizeBytes: used() - before };
}

function used(): number {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** As long as the tags of steps are. */
const tag = (prefix: string, number: number): Tag => `${prefix}/${String(number).padStart(18, "0")}` as Tag;

const half = streams / 2;
const warm = fill(1_000, (i) => [tag("w", i)]);
const many = fill(records, (i) => [tag("t", i % half), tag("o", (i * 7_919) % half)]);
const single = fill(streams, (i) => [tag("t", i)]);
const ends = [warm, many, single].map(({ index }): SeqNum => index.tail);
process.stdout.write(JSON.stringify({ ends, perRecord: many.sizeBytes / records, perStream: single.sizeBytes / streams }));
