/** The process: reads arguments and environment, hands the real clock, randomness and disk to a node, and obeys signals. */
import { randomFillSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { cpus, freemem, totalmem } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { NeapError } from "../state/errors.ts";
import { type Clock, noFaults, type Random, type Timers } from "../state/ports.ts";
import { HelpAsked, parseConfig, type ResolvedConfig } from "./config/index.ts";
import { systemNetwork } from "./egress/index.ts";
import { greeting } from "./greeting.ts";
import { type Node, startNode } from "./node.ts";
import { MachineLoadSampler } from "./offload/index.ts";
import { createLog, type Log, Metrics } from "./telemetry/index.ts";

const clock: Clock = { now: () => Date.now(), monotonic: () => performance.now() };

const timers: Timers = {
  after(delayMs, action) {
    if (delayMs === 0) {
      const turn = setImmediate(action).unref();
      return () => clearImmediate(turn);
    }
    const timer = setTimeout(action, delayMs).unref();
    return () => clearTimeout(timer);
  },
};

/** Drawn in blocks, as a draw costs some µs however small it is. No byte is handed out twice. */
function blockwiseRandom(): Random {
  const block = new Uint8Array(8192);
  let used = block.length;
  return {
    bytes(sizeBytes) {
      if (sizeBytes > block.length) {
        return randomFillSync(new Uint8Array(sizeBytes));
      }
      if (used + sizeBytes > block.length) {
        randomFillSync(block);
        used = 0;
      }
      used += sizeBytes;
      return block.slice(used - sizeBytes, used);
    },
  };
}

const random = blockwiseRandom();

function availableMemory(): number {
  try {
    const match = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync("/proc/meminfo", "utf8"));
    return match?.[1] === undefined ? freemem() : Number(match[1]) * 1024;
  } catch {
    return freemem();
  }
}

const counters = {
  cpu() {
    let busy = 0;
    let total = 0;
    for (const { times } of cpus()) {
      const all = times.user + times.nice + times.sys + times.idle + times.irq;
      total += all;
      busy += all - times.idle;
    }
    return { busy, total };
  },
  memory: () => ({ availableBytes: availableMemory(), totalBytes: totalmem() }),
};

/** The machine's, or the limit that the system sets to this process (a container). */
function memoryBytes(): number {
  const limitBytes = process.constrainedMemory();
  return limitBytes > 0 ? Math.min(limitBytes, totalmem()) : totalmem();
}

/** Node has raised it as far as this user may. Infinity where the system does not say. */
function openFilesMax(): number {
  try {
    const limit = /^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return limit === undefined ? Number.POSITIVE_INFINITY : Number(limit);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

async function main(): Promise<void> {
  const config = readConfig();
  const log = createLog({ level: config.logLevel, destination: process.stderr, pretty: process.stderr.isTTY, clock });
  stopOnBug(log);
  const sampler = new MachineLoadSampler(counters, timers);
  // Nothing else keeps a node alive that waits for its storage node.
  const starting = setInterval(() => {}, 1_000);
  const node = await startNode(config, {
    clock,
    timers,
    random,
    faults: noFaults,
    log,
    metrics: new Metrics(),
    machineLoad: () => sampler.load(),
    memoryBytes: memoryBytes(),
    openFilesMax: openFilesMax(),
    network: systemNetwork(),
    onFailure: (error) => {
      log.error("the journal failed; stopping at once so that nothing more is acknowledged", { error });
      process.exit(1);
    },
  });
  clearInterval(starting);
  stopOnSignal(node, log, config.graceMs);
  process.stdout.write(greeting(config, node));
}

function readConfig(): ResolvedConfig {
  try {
    return parseConfig(process.argv.slice(2), process.env);
  } catch (error) {
    if (error instanceof HelpAsked) {
      process.stdout.write(error.text);
      process.exit(0);
    }
    throw error;
  }
}

/** An error that nobody expected means that an invariant does not hold: nothing computed from here on may be trusted. */
function stopOnBug(log: Log): void {
  const stop = (error: unknown) => {
    log.error("an invariant of the host is broken; stopping", { error });
    process.exit(70);
  };
  process.on("uncaughtException", stop);
  process.on("unhandledRejection", stop);
}

function stopOnSignal(node: Node, log: Log, graceMs: number): void {
  const stop = async (signal: string) => {
    log.info(`${signal}: stopping`);
    const late = sleep(graceMs + 1_500, "late", { ref: false });
    const outcome = await Promise.race([node.stop(), late]);
    if (outcome === "late") {
      log.warn("stopped before everything was closed; what is logged goes on at the next start");
    }
    process.exit(0);
  };
  process.once("SIGTERM", () => void stop("SIGTERM"));
  process.once("SIGINT", () => void stop("SIGINT"));
}

main().catch((error: unknown) => {
  if (error instanceof NeapError) {
    process.stderr.write(`neap: ${error.code}: ${error.message}\n`);
    process.exit(1);
  }
  throw error;
});
