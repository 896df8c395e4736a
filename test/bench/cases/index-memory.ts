import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { atMost, type BenchCase } from "../bench-case.ts";

const RECORD_BAR = atMost(60, "tag index, per record with 2 tags");

export const indexMemory: BenchCase = {
  name: "index",
  measures: "memory of the index in a process of its own: 1e6 records with two tags over 1e5 streams, after a collection",
  async run(bench) {
    const records = bench.size(1_000_000, 20_000);
    const script = join(import.meta.dirname, "../support/index-process.ts");
    const args = ["--expose-gc", script, String(records), String(records / 10)];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    const { ends, perRecord, perStream } = JSON.parse(stdout) as { ends: number[]; perRecord: number; perStream: number };
    if (ends[1] !== records) {
      throw new Error(`the index holds ${ends[1]} records instead of ${records}`);
    }
    return [
      { what: "per record, its share of the streams included", value: perRecord, unit: "bytes", bar: RECORD_BAR },
      { what: "per stream with one record, that record included", value: perStream, unit: "bytes" },
    ];
  },
};
