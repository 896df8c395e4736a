import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { prepareModule } from "../../../host/modules/index.ts";
import { collectGarbage } from "../../../host/sandbox/executor/collect-garbage.ts";
import { ThreadLife } from "../../../host/sandbox/frames/thread-life.ts";
import { endGuestsSoon } from "../../../host/sandbox/limits.ts";
import { LIMITS } from "../../../host/tenancy/index.ts";
import { leb, moduleOf, nameBytes, section, wat } from "../../support/guest-modules.ts";
import { atMost, type BenchCase, type Row } from "../bench-case.ts";
import type { GuestData } from "../support/guest-thread.ts";
import { median } from "../support/measurement.ts";

const BAR = atMost(50, "issue: any kill");
const PAGES = LIMITS.memoryMaxPages.preset;
const MEMORY_BYTES = PAGES * 65_536;
/** Just below what an upload may have (host/modules/compile-work.ts). */
const CALLS = 49_000;
const LOCALS = 1_000;
const IFS = 490;
const SEGMENT_BYTES = 8 * 1024 * 1024;

/** What an operator may give. */
const LARGE_PAGES = 16_384;

const looping = (body: string, pages = PAGES) =>
  wat(`(module (memory 1) (func (export "main") (local $at i32) (drop (memory.grow (i32.const ${pages - 1})))
    (loop $l ${body} (br $l))))`);
const touching = (pages: number) =>
  looping(
    `(i32.store (local.get $at) (i32.const 1))
     (local.set $at (i32.and (i32.add (local.get $at) (i32.const 4096)) (i32.const ${pages * 65_536 - 1})))`,
    pages,
  );
const half = `(i32.const ${MEMORY_BYTES / 2})`;

/** What the upload made of each is killed at a moment that has nothing to do with it. */
const GUESTS: Readonly<Record<string, () => Uint8Array<ArrayBuffer>>> = {
  "a loop": () => looping(""),
  "touches all its memory": () => touching(PAGES),
  "fills all its memory": () => looping(`(memory.fill (i32.const 0) (i32.const 1) (i32.const ${MEMORY_BYTES}))`),
  "copies half of its memory": () => looping(`(memory.copy (i32.const 0) ${half} ${half})`),
  "copies a data segment of 8 MiB": () =>
    wat(`(module (memory 256) (data $bytes "${"0123456789abcdef".repeat(SEGMENT_BYTES / 16)}") (func (export "main")
      (loop $l (memory.init $bytes (i32.const 0) (i32.const 0) (i32.const ${SEGMENT_BYTES})) (br $l))))`),
  "calls the largest functions for the first time": () => largestFunctions(60, 0, [CALL, 1], CALLS),
  "calls functions of many branches and locals for the first time": () => largestFunctions(400, LOCALS, IF_ELSE, IFS),
};

const LARGE = "touches 1 GiB, more than the default";

export const kill: BenchCase = {
  name: "kill",
  measures: "from the decision to end a guest's thread until it runs nothing more, and until it is gone, by what the guest does",
  async run(bench) {
    endGuestsSoon();
    const kills = bench.size(21, 2);
    const rows: Row[] = [];
    for (const [what, make] of Object.entries({ ...GUESTS, [LARGE]: () => touching(LARGE_PAGES) })) {
      const isLarge = what === LARGE;
      const limits = { moduleMaxBytes: 2 ** 26, memoryMaxPages: LARGE_PAGES, tableMaxElements: 1, uploadTimeoutMs: 60_000 };
      const { wasm } = prepareModule(make(), new Map(), limits);
      const killed: Killed[] = [];
      for (let index = 0; index < kills; index++) {
        killed.push(await killAfter(wasm, (isLarge ? 1500 : 20) + 37 * (index % 8)));
      }
      const times = killed.map(({ wallMs }) => wallMs);
      rows.push({ what: `${what}: median`, value: median(times), unit: "ms" });
      rows.push({ what: `${what}: longest of ${kills}`, value: Math.max(...times), unit: "ms" });
      const most = (value: (each: Killed) => number) => Math.max(...killed.map(value));
      const stopped = most(({ stoppedCpuMs }) => stoppedCpuMs);
      rows.push({ what: `${what}: most CPU time until it runs nothing more`, value: stopped, unit: "ms", bar: BAR });
      const gone: Row = { what: `${what}: most CPU time of ${kills}`, value: most(({ cpuMs }) => cpuMs), unit: "ms" };
      rows.push(isLarge ? gone : { ...gone, bar: BAR });
    }
    return rows;
  },
};

/** CPU time is that of all threads of the process, of which no other does anything: what a machine with nothing else to do takes. */
interface Killed {
  readonly stoppedCpuMs: number;
  readonly wallMs: number;
  readonly cpuMs: number;
}

async function killAfter(wasm: Uint8Array, afterMs: number): Promise<Killed> {
  const life = new ThreadLife();
  const workerData = { wasm: Uint8Array.from(wasm), life: life.port } satisfies GuestData;
  const transferList = [life.port];
  const thread = new Worker(new URL("../support/guest-thread.ts", import.meta.url), { workerData, transferList });
  await once(thread, "message");
  // Of what earlier kills have left: it is no part of this one.
  collectGarbage();
  await sleep(afterMs);
  const startMs = performance.now();
  const start = process.cpuUsage();
  const cpuMs = () => {
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1000;
  };
  const gone = thread.terminate();
  await life.over;
  const stoppedCpuMs = cpuMs();
  await gone;
  return { stoppedCpuMs, wallMs: performance.now() - startMs, cpuMs: cpuMs() };
}

const I32 = 0x7f;
const CALL = 0x10;
const VOID = 0x40;
const IF_ELSE = [0x41, 0, 0x04, VOID, 0x05, 0x0b];

/** Functions that take as long to compile as one may; main runs one after the other. All they do is not done. */
function largestFunctions(count: number, locals: number, unit: readonly number[], times: number): Uint8Array<ArrayBuffer> {
  const body = [1, ...leb(locals), I32, ...[0x41, 0, 0x04, VOID], ...Array(times).fill(unit).flat(), 0x0b, 0x0b];
  const large = Buffer.from([...leb(body.length), ...body]);
  const main = [0, ...Array.from({ length: count }, (_, index) => [CALL, ...leb(index + 2)]).flat(), 0x0b];
  const code = Buffer.concat([
    Buffer.from([...leb(count + 2), ...leb(main.length), ...main, 2, 0, 0x0b]),
    ...Array(count).fill(large),
  ]);
  const head = moduleOf(
    section(1, 1, 0x60, 0, 0),
    section(3, ...leb(count + 2), ...Array(count + 2).fill(0)),
    section(5, 1, 0, 1),
    section(7, 1, ...nameBytes("main"), 0, 0),
  );
  return Uint8Array.from(Buffer.concat([head, Buffer.from([10, ...leb(code.byteLength)]), code]));
}
