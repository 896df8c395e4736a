import { join } from "node:path";
import type { LogBookId, SeqNum, Tag } from "../../../state/ids.ts";
import { openFileJournal } from "../../../state/journal/index.ts";
import { type LogBook, openLocalShard, RecordKind, type Shard } from "../../../state/logbook/index.ts";
import { openFileBlobs } from "../../../state/objects/index.ts";
import { noFaults } from "../../../state/ports.ts";
import { systemRandom, systemTimers } from "../../support/cluster.ts";
import { prng } from "../../support/prng.ts";
import { atLeast, atMost, type Bench, type BenchCase } from "../bench-case.ts";
import { FlushLoop } from "../support/flush.ts";
import { alternate, type Measurement, median, nth, summarize } from "../support/measurement.ts";

const BOOK = "bench" as LogBookId;
const RECORD = { kind: RecordKind.write, data: new Uint8Array(200) };
const clock = { now: () => Date.now(), monotonic: () => performance.now() };

const ALONE_BAR = atMost(1.3, "1 appender, p50 in flushes");
const RATE_BAR = atLeast(150_000, "64 appenders");
const READ_BAR = atMost(0.6, "readPrev");

export const append: BenchCase = {
  name: "append",
  measures:
    "the state layer alone, in the benchmark's process: conditional appends of 200 B, each awaited until durable; readPrev",
  async run(bench) {
    const { rounds, roundMs, warmUpMs, folder, cleanup } = bench;
    const flushLoop = cleanup.use(new FlushLoop(folder));
    const shard = await openShard(bench);
    const book = shard.book(BOOK);
    const streams = Array.from({ length: 64 }, (_, i): Stream => ({ tag: `bench/${i}` as Tag, length: 0, seqnums: [] }));
    await appendFor(shard, book, streams, warmUpMs / 3);
    const taken = await alternate(rounds, [
      () => flushLoop.measure(roundMs / 2),
      () => appendFor(shard, book, streams.slice(0, 1), roundMs),
      () => appendFor(shard, book, streams, roundMs),
    ]);
    const [flush, alone, many] = [nth(taken, 0), nth(taken, 1), nth(taken, 2)];
    return [
      { what: "one flush, p50", value: flush.p50Ms, unit: "ms" },
      { what: "1 appender, p50", value: alone.p50Ms, unit: "ms" },
      { what: "1 appender, p99", value: alone.p99Ms, unit: "ms" },
      { what: "1 appender, p50 ÷ flush", value: alone.p50Ms / flush.p50Ms, unit: "flushes", bar: ALONE_BAR },
      { what: "64 appenders, p50", value: many.p50Ms, unit: "ms" },
      { what: "64 appenders, p99", value: many.p99Ms, unit: "ms" },
      { what: "64 appenders", value: many.perSecond, unit: "records/s", bar: RATE_BAR },
      { what: "readPrev, record included", value: await readPrevMicroseconds(bench, book, streams), unit: "µs", bar: READ_BAR },
    ];
  },
};

interface Stream {
  readonly tag: Tag;
  length: number;
  readonly seqnums: SeqNum[];
}

async function openShard({ folder, cleanup }: Bench): Promise<Shard> {
  const journal = await openFileJournal({
    directory: join(folder, "journal"),
    thread: true,
    clock,
    timers: systemTimers,
    random: systemRandom,
    faults: noFaults,
    onFailure(error) {
      throw error;
    },
  });
  const blobs = await openFileBlobs({ directory: join(folder, "blobs"), epoch: journal.epoch, random: systemRandom });
  const parts = { journal, blobs, objectSizeBytes: () => 0, clock, timers: systemTimers, faults: noFaults };
  const shard = await openLocalShard(parts);
  cleanup.defer(() => shard.close());
  return shard;
}

/** One appender per stream: appends at the stream's end, waits until that is durable, goes on. */
async function appendFor(shard: Shard, book: LogBook, streams: readonly Stream[], durationMs: number): Promise<Measurement> {
  const latenciesMs: number[] = [];
  const startMs = performance.now();
  await Promise.all(
    streams.map(async (stream) => {
      const { tag } = stream;
      for (let nowMs = startMs; nowMs < startMs + durationMs; ) {
        const beforeMs = nowMs;
        const result = await book.append({ records: [{ ...RECORD, tags: [tag] }], when: [{ tag, length: stream.length }] });
        if (result.kind !== "appended") {
          throw new Error(`an append at the end of a stream was answered ${result.kind}`);
        }
        stream.length += 1;
        stream.seqnums.push(result.seqnum);
        await shard.whenDurable(result.seqnum);
        nowMs = performance.now();
        latenciesMs.push(nowMs - beforeMs);
      }
    }),
  );
  return summarize(latenciesMs, performance.now() - startMs);
}

/** The median over rounds of reads at random places of the newest records, which are in memory. */
async function readPrevMicroseconds(bench: Bench, book: LogBook, streams: readonly Stream[]): Promise<number> {
  const draw = prng(2);
  const reads = bench.size(100_000, 1_000);
  const places = Array.from({ length: reads }, () => {
    const { tag, seqnums } = nth(streams, draw.below(streams.length));
    const newest = Math.min(seqnums.length, 1_000);
    return { tag, max: nth(seqnums, seqnums.length - 1 - draw.below(newest)) };
  });
  const microseconds: number[] = [];
  for (let round = 0; round < 5; round++) {
    const startMs = performance.now();
    for (const { tag, max } of places) {
      const { record } = await book.readPrev(tag, max);
      if (record?.seqnum !== max) {
        throw new Error(`readPrev up to ${max} gave ${record?.seqnum}`);
      }
    }
    microseconds.push(((performance.now() - startMs) * 1000) / reads);
  }
  return median(microseconds);
}
