import { execFile } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { LogBookId, Tag } from "../../../state/ids.ts";
import { type LogBook, RecordKind, type Shard } from "../../../state/logbook/index.ts";
import { atMost, type BenchCase } from "../bench-case.ts";
import { openBenchShard } from "../support/bench-shard.ts";
import { median } from "../support/measurement.ts";

const BOOK = "bench" as LogBookId;
const DATA = new Uint8Array(100);
/** Records of one request. */
const BATCH = 100;
/** A million of these records are 168 MB of journal; the preset of --checkpoint-bytes is a fifth of that. */
const SAVED_SHARE = 0.8;
const RESTART_BAR = atMost(1.5, "restart after 1e6 records over 1e5 streams");

export const restart: BenchCase = {
  name: "restart",
  measures:
    "a fresh process opens a shard of 1e6 records with two tags over 1e5 streams; the checkpoint holds the first 80 %: it is as far behind as --checkpoint-bytes lets it fall",
  async run(bench) {
    const records = bench.size(1_000_000, 5_000);
    const streams = records / 10;
    const { folder, rounds } = bench;
    const { shard } = await openBenchShard(folder, { checkpoints: true });
    const book = shard.book(BOOK);
    await fill(shard, book, 0, records * SAVED_SHARE, streams);
    const startMs = performance.now();
    let longestMs = 0;
    let lastMs = startMs;
    const watch = setInterval(() => {
      const nowMs = performance.now();
      longestMs = Math.max(longestMs, nowMs - lastMs);
      lastMs = nowMs;
    }, 1);
    await shard.checkpoint();
    clearInterval(watch);
    const checkpointMs = performance.now() - startMs;
    await fill(shard, book, records * SAVED_SHARE, records, streams);
    await shard.close();
    const withOne: Opening[] = [];
    const without: Opening[] = [];
    for (let round = 0; round < rounds; round++) {
      withOne.push(await open(folder, "with", records));
      without.push(await open(folder, "without", records));
    }
    const seconds = (openings: readonly Opening[], what: keyof Opening): number =>
      median(openings.map((one) => one[what])) / 1000;
    const checkpointBytes = statSync(join(folder, "checkpoint/data.mdb")).size;
    return [
      { what: "restart with a checkpoint", value: seconds(withOne, "openedMs"), unit: "s", bar: RESTART_BAR },
      { what: "restart with a checkpoint, CPU time", value: seconds(withOne, "cpuMs"), unit: "s" },
      { what: "restart without, from the journal alone", value: seconds(without, "openedMs"), unit: "s" },
      { what: "restart without, CPU time", value: seconds(without, "cpuMs"), unit: "s" },
      { what: "making the checkpoint, by a thread", value: checkpointMs / 1000, unit: "s" },
      { what: "longest pause of the owner meanwhile", value: longestMs, unit: "ms" },
      { what: "size of the checkpoint", value: checkpointBytes / 1024, unit: "KB" },
    ];
  },
};

interface Opening {
  readonly openedMs: number;
  readonly cpuMs: number;
}

/** Each record is in two streams, each of which gets one record in so many. */
async function fill(shard: Shard, book: LogBook, from: number, to: number, streams: number): Promise<void> {
  const half = streams / 2;
  for (let first = from; first < to; first += BATCH) {
    const records = Array.from({ length: BATCH }, (_, i) => ({
      kind: RecordKind.write,
      tags: [
        `t/${String((first + i) % half).padStart(18, "0")}`,
        `o/${String(((first + i) * 7_919) % half).padStart(18, "0")}`,
      ] as Tag[],
      data: DATA,
    }));
    const result = await book.append({ records });
    if (result.kind !== "appended") {
      throw new Error(`an append was answered ${result.kind}`);
    }
    if (first % (BATCH * 50) === 0) {
      await shard.whenDurable(result.seqnum);
    }
  }
  await shard.whenDurable(await book.tail());
}

async function open(folder: string, checkpoints: "with" | "without", tail: number): Promise<Opening> {
  const script = join(import.meta.dirname, "../support/restart-process.ts");
  const { stdout } = await promisify(execFile)(process.execPath, [script, folder, checkpoints, String(tail)]);
  return JSON.parse(stdout) as Opening;
}
