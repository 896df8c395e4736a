import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { ThreadLife } from "../../../../host/sandbox/frames/thread-life.ts";
import { endGuestsSoon } from "../../../../host/sandbox/limits.ts";
import { wat } from "../../../support/guest-modules.ts";

/** A turn may touch a page that the kernel has to give first: 3 µs on a virtual machine. */
const TURNS_MAX = 6_000;
const KILLS = 24;

/** Counts its turns in memory that others see. */
const COUNTS = wat(`(module (import "t" "memory" (memory 1 1 shared))
  (func (export "main") (loop $l (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1))) (br $l))))`);
const RUNS = `
  const { parentPort, workerData } = require("node:worker_threads");
  const { main } = new WebAssembly.Instance(new WebAssembly.Module(workerData.wasm), { t: { memory: workerData.memory } }).exports;
  parentPort.postMessage("begins");
  main();`;

test("a loop whose thread is being ended goes on for a few thousand turns at most", async () => {
  endGuestsSoon();
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const turns = new Uint32Array(memory.buffer, 0, 1);
  let most = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const thread = new Worker(RUNS, { eval: true, workerData: { wasm: COUNTS, memory } });
    await once(thread, "message");
    const before = Atomics.load(turns, 0);
    while (Atomics.load(turns, 0) - before < 1_000 * kill) {}
    const gone = thread.terminate();
    const asked = Atomics.load(turns, 0);
    await gone;
    most = Math.max(most, Atomics.load(turns, 0) - asked);
  }
  expect(most).toBeLessThan(TURNS_MAX);
});

/** What the kernel takes back takes it far longer than it takes the thread to tell. */
const TOUCHED_BYTES = 192 * 1024 * 1024;
const TOUCHES = `new Uint8Array(new WebAssembly.Memory({ initial: ${TOUCHED_BYTES / 65_536} }).buffer).fill(1);`;

test("a thread whose life is over writes nothing any more, and tells so before its memory is given back", async () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const turns = new Uint32Array(memory.buffer, 0, 1);
  let early = 0;
  for (let kill = 0; kill < KILLS && early < 3; kill++) {
    const life = new ThreadLife();
    const workerData = { wasm: COUNTS, memory, life: life.port };
    const thread = new Worker(TOUCHES + RUNS, { eval: true, workerData, transferList: [life.port] });
    let isGone = false;
    const gone = once(thread, "exit").then(() => {
      isGone = true;
    });
    await once(thread, "message");
    const before = Atomics.load(turns, 0);
    while (Atomics.load(turns, 0) - before < 1_000) {}
    void thread.terminate();
    await life.over;
    early += isGone ? 0 : 1;
    const last = Atomics.load(turns, 0);
    await gone;
    expect(Atomics.load(turns, 0)).toBe(last);
  }
  expect(early).toBeGreaterThan(0);
});
