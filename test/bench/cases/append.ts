import type { LogBookId, SeqNum, Tag } from "../../../state/ids.ts";
import { BookState } from "../../../state/logbook/book-state.ts";
import { type LogBook, RecordKind, type Shard } from "../../../state/logbook/index.ts";
import { prng } from "../../support/prng.ts";
import { atLeast, atMost, type Bench, type BenchCase, type Row } from "../bench-case.ts";
import { openBenchShard } from "../support/bench-shard.ts";
import { FlushLoop } from "../support/flush.ts";
import { alternate, type Measurement, median, nth, summarize } from "../support/measurement.ts";

const BOOK = "bench" as LogBookId;
const RECORD = { kind: RecordKind.write, data: new Uint8Array(200) };

const APPENDERS = [1, 16, 64, 256];
const KINDS = [
  { named: "plain", isConditional: false },
  { named: "conditional", isConditional: true },
] as const;

const ALONE_BAR = atMost(1.3, "1 appender, p50 in flushes");
const RATE_BAR = atLeast(150_000, "64 appenders");
/** The rate's bar × 0.145 ms, the flush of the disk where it was set. */
const PER_FLUSH_BAR = atLeast(21.75, "64 appenders, in the time of one flush");
const READ_BAR = atMost(600, "readPrev, the tag index alone");

export const append: BenchCase = {
  name: "append",
  measures:
    "the state layer alone, in the benchmark's process: appends of 200 B, plain and conditional, each awaited until durable; readPrev",
  async run(bench) {
    const { rounds, roundMs, warmUpMs, folder, cleanup } = bench;
    const flushLoop = cleanup.use(new FlushLoop(folder));
    const { shard } = await openBenchShard(folder, { checkpoints: false });
    cleanup.defer(() => shard.close());
    const book = shard.book(BOOK);
    const streams = Array.from({ length: Math.max(...APPENDERS) }, (_, i): Stream => ({ tag: `bench/${i}` as Tag, seqnums: [] }));
    await appendFor(shard, book, streams.slice(0, 64), true, warmUpMs / 3);
    const rows: Row[] = [];
    for (const appenders of APPENDERS) {
      const some = streams.slice(0, appenders);
      const [flush, ...taken] = await alternate(rounds, [
        () => flushLoop.measure(roundMs / 2),
        ...KINDS.map(
          ({ isConditional }) =>
            () =>
              appendFor(shard, book, some, isConditional, roundMs),
        ),
      ]);
      if (flush === undefined) {
        throw new Error("the flush was not measured");
      }
      rows.push({ what: `one flush beside ${appenders}, p50`, value: flush.p50Ms, unit: "ms" });
      for (const [index, { named }] of KINDS.entries()) {
        const { p50Ms, p99Ms, perSecond } = nth(taken, index);
        const what = `${appenders} ${appenders === 1 ? "appender" : "appenders"}, ${named}`;
        rows.push({ what: `${what}, p50`, value: p50Ms, unit: "ms" });
        rows.push({ what: `${what}, p99`, value: p99Ms, unit: "ms" });
        rows.push({ what, value: perSecond, unit: "records/s", ...(appenders === 64 ? { bar: RATE_BAR } : {}) });
        if (appenders === 64) {
          const perFlush = (perSecond * flush.p50Ms) / 1000;
          rows.push({ what: `${what}, in the time of one flush`, value: perFlush, unit: "records", bar: PER_FLUSH_BAR });
        }
        if (appenders === 1) {
          rows.push({ what: `${what}, p50 ÷ flush`, value: p50Ms / flush.p50Ms, unit: "flushes", bar: ALONE_BAR });
        }
      }
    }
    return [
      ...rows,
      { what: "readPrev, index alone", value: indexNanoseconds(bench, streams), unit: "ns", bar: READ_BAR },
      { what: "readPrev, record included", value: await readPrevNanoseconds(bench, book, streams), unit: "ns" },
    ];
  },
};

interface Stream {
  readonly tag: Tag;
  readonly seqnums: SeqNum[];
}

/** One appender per stream: appends at the stream's end, waits until that is durable, goes on. */
async function appendFor(
  shard: Shard,
  book: LogBook,
  streams: readonly Stream[],
  isConditional: boolean,
  durationMs: number,
): Promise<Measurement> {
  const latenciesMs: number[] = [];
  const startMs = performance.now();
  await Promise.all(
    streams.map(async (stream) => {
      const { tag, seqnums } = stream;
      for (let nowMs = startMs; nowMs < startMs + durationMs; ) {
        const beforeMs = nowMs;
        const records = [{ ...RECORD, tags: [tag] }];
        const result = await book.append(isConditional ? { records, when: [{ tag, length: seqnums.length }] } : { records });
        if (result.kind !== "appended") {
          throw new Error(`an append at the end of a stream was answered ${result.kind}`);
        }
        seqnums.push(result.seqnum);
        await shard.whenDurable(result.seqnum);
        nowMs = performance.now();
        latenciesMs.push(nowMs - beforeMs);
      }
    }),
  );
  return summarize(latenciesMs, performance.now() - startMs);
}

const READ_ROUNDS = 5;

/** What the LogBook asks its index: which record it is. The index is made of the same streams. */
function indexNanoseconds(bench: Bench, streams: readonly Stream[]): number {
  const index = new BookState(BOOK, { kindOf: () => RECORD.kind, drop() {}, hold() {} });
  for (const { tag, seqnums } of streams) {
    for (const seqnum of seqnums) {
      index.apply(seqnum, { ...RECORD, tags: [tag] }, 0, undefined);
    }
  }
  const places = newestPlaces(bench, streams);
  return median(
    Array.from({ length: READ_ROUNDS }, () => {
      const startMs = performance.now();
      for (const { tag, max } of places) {
        const seqnum = index.streams.get(tag)?.atOrBefore(max);
        if (seqnum !== max) {
          throw new Error(`the index up to ${max} gave ${seqnum}`);
        }
      }
      return ((performance.now() - startMs) * 1e6) / places.length;
    }),
  );
}

/** The record itself, with its promise, of records that are in memory. */
async function readPrevNanoseconds(bench: Bench, book: LogBook, streams: readonly Stream[]): Promise<number> {
  const places = newestPlaces(bench, streams);
  const nanoseconds: number[] = [];
  for (let round = 0; round < READ_ROUNDS; round++) {
    const startMs = performance.now();
    for (const { tag, max } of places) {
      const { record } = await book.readPrev(tag, max);
      if (record?.seqnum !== max) {
        throw new Error(`readPrev up to ${max} gave ${record?.seqnum}`);
      }
    }
    nanoseconds.push(((performance.now() - startMs) * 1e6) / places.length);
  }
  return median(nanoseconds);
}

/** Random places among the newest records. */
function newestPlaces(bench: Bench, streams: readonly Stream[]): readonly { readonly tag: Tag; readonly max: SeqNum }[] {
  const draw = prng(2);
  return Array.from({ length: bench.size(100_000, 1_000) }, () => {
    const { tag, seqnums } = nth(streams, draw.below(streams.length));
    const newest = Math.min(seqnums.length, 1_000);
    return { tag, max: nth(seqnums, seqnums.length - 1 - draw.below(newest)) };
  });
}
