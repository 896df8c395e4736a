import { spawn } from "node:child_process";
import { once } from "node:events";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { importsUrl } from "../../../host/abi/index.ts";
import { ProcessStarter } from "../../../host/processes/index.ts";
import { ProcessReserve, processPool } from "../../../host/sandbox/process/index.ts";
import type { Bench, BenchCase, Row } from "../bench-case.ts";
import { BenchHost, callBody } from "../support/bench-host.ts";
import { benchGuest, sampleGuest } from "../support/guests.ts";
import { alternate, clients, type Measurement, median, nth } from "../support/measurement.ts";

const CONNECTIONS = [1, 64];
const STARTS = 15;
const MIB = 1024 * 1024;
const RESIDENT_BYTES = 256 * MIB;
/** Calls hardly ever meet, as in the case `steps`. */
const PREFIXES = 10_000;

export const isolation: BenchCase = {
  name: "isolation",
  measures: "the same calls with the tenant in threads of the host and in a process of its own; a process's start and memory",
  async run(bench) {
    const { rounds, roundMs, warmUpMs } = bench;
    const hosts: BenchHost[] = [];
    const steps = await benchGuest("steps");
    const bodiesOf = (name: string, input: (at: number) => string) =>
      Array.from({ length: bench.size(PREFIXES, 100) }, (_, at) => callBody(name, input(at)));
    const kinds = [
      { what: "hello", bodies: [callBody("hello", "Neap")], guest: await sampleGuest("hello") },
      ...["write", "update"].map((how) => ({
        what: `10 ${how}s`,
        bodies: bodiesOf("steps", (at) => `${how} 10 p${at}`),
        guest: steps,
      })),
    ];
    for (const choice of ["threads", "process"]) {
      const host = await BenchHost.start(bench, choice, { flags: ["--isolation", choice] });
      for (const { bodies, guest } of kinds) {
        await host.upload(guest === steps ? "steps" : "hello", guest);
        await host.load(16, warmUpMs, bodies);
      }
      hosts.push(host);
    }
    const rows: Row[] = [];
    for (const { what, bodies } of kinds) {
      for (const connections of CONNECTIONS) {
        const taken = await alternate(
          rounds,
          hosts.map((host) => () => host.load(connections, roundMs, bodies)),
        );
        const [threads, processes] = [nth(taken, 0), nth(taken, 1)];
        const many = clients(connections);
        rows.push(...rowsOf(`${what} in a thread, ${many}`, threads), ...rowsOf(`${what} in a process, ${many}`, processes), {
          what: `${what}, process ÷ thread, ${many}`,
          value: processes.perSecond / threads.perSecond,
          unit: "×",
        });
      }
    }
    return [...rows, ...(await starts(bench))];
  },
};

function rowsOf(what: string, { perSecond, p50Ms }: Measurement): Row[] {
  return [
    { what, value: perSecond, unit: "calls/s" },
    { what: `${what}, p50`, value: p50Ms, unit: "ms" },
  ];
}

/** From nothing until a process serves, with its program made; and what it holds then. */
async function starts({ size, cleanup }: Bench): Promise<Row[]> {
  const clock = { now: () => Date.now(), monotonic: () => performance.now() };
  const starter = await ProcessStarter.open();
  const reserve = new ProcessReserve({
    starter,
    importsUrl,
    size: 0,
    sandboxesMax: 4_000,
    idleMaxBytes: 128 * MIB,
    heapMaxMegabytes: 64,
    rssMaxBytes: 1024 * MIB,
    bodyMaxBytes: 256 * MIB,
    threaded: { sharedMaxBytes: 256 * MIB, threadsMax: 128 },
  });
  cleanup.defer(() => starter.close());
  const times: number[] = [];
  const memories: number[] = [];
  const resident = Buffer.alloc(RESIDENT_BYTES, 1);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  // The first one waits for the program.
  for (let start = 0; start <= size(STARTS, 1); start++) {
    const beforeMs = performance.now();
    if (start === 1) {
      delay.enable();
    }
    const pool = processPool(reserve, { clock, workers: 1, sandboxesMax: 1 });
    await pool.ready();
    times.push(performance.now() - beforeMs);
    memories.push(reserve.rssBytes);
    await pool.close();
  }
  delay.disable();
  const ownMs = await startedByItself(size(STARTS, 1));
  return [
    { what: "start of a process, median", value: median(times.slice(1)), unit: "ms" },
    { what: "start of the first one, its program included", value: times[0] ?? Number.NaN, unit: "ms" },
    {
      what: `longest stop of the main thread meanwhile, ${resident.byteLength / MIB} MiB resident`,
      value: delay.max / 1e6,
      unit: "ms",
    },
    { what: "the same where it starts a process itself, median", value: ownMs, unit: "ms" },
    { what: "resident memory of a process without a module, median", value: median(memories.slice(1)) / 1024, unit: "KB" },
  ];
}

/** How long the main thread stands still for a process that it starts itself. */
async function startedByItself(count: number): Promise<number> {
  const times: number[] = [];
  for (let start = 0; start < count; start++) {
    const beforeMs = performance.now();
    const child = spawn(process.execPath, ["--version"], { env: {}, stdio: "ignore" });
    times.push(performance.now() - beforeMs);
    await once(child, "exit");
  }
  return median(times);
}
