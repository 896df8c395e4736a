import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { prepareModule } from "../../../host/modules/index.ts";
import { collectGarbage } from "../../../host/sandbox/executor/collect-garbage.ts";
import { endGuestsSoon } from "../../../host/sandbox/limits.ts";
import { LIMITS } from "../../../host/tenancy/index.ts";
import { leb, moduleOf, nameBytes, section, wat } from "../../support/guest-modules.ts";
import { atMost, type BenchCase, type Row } from "../bench-case.ts";
import { median } from "../support/measurement.ts";

const BAR = atMost(50, "issue: any kill");
const PAGES = LIMITS.memoryMaxPages.preset;
const MEMORY_BYTES = PAGES * 65_536;
/** Just below what an upload may have (host/modules/compile-work.ts). */
const CALLS = 49_000;
const LOCALS = 1_000;
const IFS = 490;
const SEGMENT_BYTES = 8 * 1024 * 1024;

const looping = (body: string) =>
  wat(`(module (memory 1) (func (export "main") (local $at i32) ${GROW} (loop $l ${body} (br $l))))`);
const GROW = `(drop (memory.grow (i32.const ${PAGES - 1})))`;
const half = `(i32.const ${MEMORY_BYTES / 2})`;

/** What the upload made of each is killed at a moment that has nothing to do with it. */
const GUESTS: Readonly<Record<string, () => Uint8Array<ArrayBuffer>>> = {
  "a loop": () => looping(""),
  "touches all its memory": () =>
    looping(`(i32.store (local.get $at) (i32.const 1))
      (local.set $at (i32.and (i32.add (local.get $at) (i32.const 4096)) (i32.const ${MEMORY_BYTES - 1})))`),
  "fills all its memory": () => looping(`(memory.fill (i32.const 0) (i32.const 1) (i32.const ${MEMORY_BYTES}))`),
  "copies half of its memory": () => looping(`(memory.copy (i32.const 0) ${half} ${half})`),
  "copies a data segment of 8 MiB": () =>
    wat(`(module (memory 256) (data $bytes "${"0123456789abcdef".repeat(SEGMENT_BYTES / 16)}") (func (export "main")
      (loop $l (memory.init $bytes (i32.const 0) (i32.const 0) (i32.const ${SEGMENT_BYTES})) (br $l))))`),
  "calls the largest functions for the first time": () => largestFunctions(60, 0, [CALL, 1], CALLS),
  "calls functions of many branches and locals for the first time": () => largestFunctions(400, LOCALS, IF_ELSE, IFS),
};

export const kill: BenchCase = {
  name: "kill",
  measures: "from the decision to end a guest's thread until it is gone, by what the guest does",
  async run(bench) {
    endGuestsSoon();
    const kills = bench.size(21, 2);
    const rows: Row[] = [];
    for (const [what, make] of Object.entries(GUESTS)) {
      const limits = { moduleMaxBytes: 2 ** 26, memoryMaxPages: PAGES, tableMaxElements: 1, uploadTimeoutMs: 60_000 };
      const { wasm } = prepareModule(make(), new Map(), limits);
      const killed: Killed[] = [];
      for (let index = 0; index < kills; index++) {
        killed.push(await killAfter(wasm, 20 + 37 * (index % 8)));
      }
      const times = killed.map(({ wallMs }) => wallMs);
      rows.push({ what: `${what}: median`, value: median(times), unit: "ms" });
      rows.push({ what: `${what}: longest of ${kills}`, value: Math.max(...times), unit: "ms" });
      const cpuMs = Math.max(...killed.map((each) => each.cpuMs));
      rows.push({ what: `${what}: most CPU time of ${kills}`, value: cpuMs, unit: "ms", bar: BAR });
    }
    return rows;
  },
};

interface Killed {
  readonly wallMs: number;
  /** Of all threads of the process, of which no other does anything: what a machine with nothing else to do takes. */
  readonly cpuMs: number;
}

async function killAfter(wasm: Uint8Array, afterMs: number): Promise<Killed> {
  const thread = new Worker(new URL("../support/guest-thread.ts", import.meta.url), { workerData: wasm });
  await once(thread, "message");
  // Of what earlier kills have left: it is no part of this one.
  collectGarbage();
  await sleep(afterMs);
  const startMs = performance.now();
  const start = process.cpuUsage();
  await thread.terminate();
  const { user, system } = process.cpuUsage(start);
  return { wallMs: performance.now() - startMs, cpuMs: (user + system) / 1000 };
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
