import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Artefact } from "../../../../host/modules/index.ts";
import { Executor } from "../../../../host/sandbox/executor/executor.ts";
import { threadClock } from "../../../../host/sandbox/executor/thread-clock.ts";
import type { ExecutorChannel } from "../../../../host/sandbox/frames/carrier.ts";
import { type Channel, createChannel, openWorkerEnd } from "../../../../host/sandbox/frames/channel.ts";
import { ENTRY, FrameType } from "../../../../host/sandbox/frames/protocol.ts";
import { createSliceMarks, SliceMarker } from "../../../../host/sandbox/frames/slice-marks.ts";
import { ByteWriter } from "../../../../state/bytes.ts";
import { createImports } from "../../../support/test-imports.ts";
import { artefactOf } from "../../../support/wasm.ts";

const CALLS = 40;
/** So many begin in a turn when nobody grows. */
const AT_ONCE = 8;
const EMPTY = new Uint8Array(0);

let main: Channel;
let executor: Executor;
beforeEach(() => {
  const { main: hostEnd, workerEnd } = createChannel();
  const end = openWorkerEnd(workerEnd);
  // It would block this thread, which is also the host's.
  const sleepless = new Proxy<ExecutorChannel>(end, {
    get: (_, name) => (name === "sleep" ? () => true : bound(end, name)),
  });
  main = hostEnd;
  executor = new Executor({
    channel: sleepless,
    marker: new SliceMarker(createSliceMarks()),
    createImports,
    clock: threadClock(),
    sandboxesMax: 100,
    idleMaxBytes: 0,
  });
});
afterEach(() => main.close());

function bound(target: object, name: string | symbol): unknown {
  const value: unknown = Reflect.get(target, name, target);
  return typeof value === "function" ? value.bind(target) : value;
}

/** Sends the function, and so many calls of it. */
function start(artefact: Artefact): void {
  main.sendAttached({ type: FrameType.load, a: 1 }, artefact);
  const body = new ByteWriter(16).bytes(EMPTY).bytes(EMPTY).u32(ENTRY).take();
  for (let call = 0; call < CALLS; call += 1) {
    main.send({ type: FrameType.start, call, attempt: 7, a: 1, b: 1_000, c: 0, y: 1_000, body });
  }
}

/** What it has said since, by call. */
function heard(): { operations: number[]; ends: number[] } {
  const operations: number[] = [];
  const ends: number[] = [];
  for (let frame = main.receive(); frame !== undefined; frame = main.receive()) {
    (frame.type === FrameType.end ? ends : operations).push(frame.call);
  }
  return { operations, ends };
}

const GROWS = artefactOf(`(module (import "t" "ask" (func $ask (param i32) (result i32))) (memory (export "$memory") 1 4096)
  (func (export "run") (result i32) (drop (memory.grow (i32.const 255))) (call $ask (i32.const 1))))`);

describe("calls that were sent together, and grow", () => {
  test("do not begin when they were cancelled since, and end all the same", async () => {
    start(GROWS);
    for (let call = 1; call < CALLS; call += 1) {
      main.send({ type: FrameType.cancel, call, attempt: 7 });
    }
    executor.run();
    const ends: number[] = [];
    let begun = 0;
    while (ends.length < CALLS - 1) {
      await setImmediate();
      const turn = heard();
      begun += turn.operations.length;
      ends.push(...turn.ends);
    }
    expect(begun).toBe(AT_ONCE);
    expect(ends.toSorted((a, b) => a - b)).toEqual(Array.from({ length: CALLS - 1 }, (_, index) => index + 1));
  });

  test("begin a few at a time: their host can say in between that no more shall", async () => {
    start(GROWS);
    executor.run();
    const turns: number[] = [];
    for (let begun = 0; begun < CALLS; begun += turns.at(-1) ?? 0) {
      await setImmediate();
      turns.push(heard().operations.length);
    }
    // Two turns.
    expect(turns[0]).toBe(AT_ONCE + AT_ONCE / 2);
    expect(Math.max(...turns.slice(1))).toBe(AT_ONCE / 2);
  });
});
