/**
 * A fresh process that opens a shard and says how long that took: `restart-process.ts <folder> <with|without> <tail>`.
 * Prints as JSON the milliseconds from the opening of the journal to the durable EPOCH record, and those of the CPU.
 */
import { openBenchShard } from "./bench-shard.ts";

const [folder = "", checkpoints = "", tail = "0"] = process.argv.slice(2);
const startMs = performance.now();
const before = process.cpuUsage();
const { shard } = await openBenchShard(folder, { checkpoints: checkpoints === "with" });
const openedMs = performance.now() - startMs;
const { user, system } = process.cpuUsage(before);
const found = await shard.book("bench" as Parameters<typeof shard.book>[0]).tail();
if (found <= Number(tail)) {
  throw new Error(`the tail is ${found}, must be after ${tail}`);
}
process.stdout.write(JSON.stringify({ openedMs, cpuMs: (user + system) / 1000 }));
await shard.close();
