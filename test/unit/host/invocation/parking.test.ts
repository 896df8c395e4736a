import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compileFunction } from "../../../../functions/build.ts";
import { Attempt } from "../../../../host/invocation/attempt.ts";
import { Parking } from "../../../../host/invocation/parking.ts";
import type { Artefact } from "../../../../host/modules/artefact.ts";
import type { CallTaker, MoveReply, OtherNodes } from "../../../../host/offload/index.ts";
import { ProcessStarter } from "../../../../host/processes/index.ts";
import type { SandboxCall, SandboxHandler, SandboxPool, SandboxStart } from "../../../../host/sandbox/index.ts";
import { type Log, silentLog } from "../../../../host/telemetry/index.ts";
import type { InstanceId, LogBookId } from "../../../../state/ids.ts";
import { ObjectStore } from "../../../../state/objects/index.ts";
import { eventually } from "../../../support/eventually.ts";
import { copyRemains, type Remains, testPool, World } from "../../../support/world.ts";

const TENANT = "demo" as LogBookId;
const LOOPER = fileURLToPath(new URL("../../../migration/assembly/looper.ts", import.meta.url));
const SPINNER = fileURLToPath(new URL("../../../migration/assembly/spinner.ts", import.meta.url));
const NAPPER = fileURLToPath(new URL("../../../migration/assembly/napper.ts", import.meta.url));
/** Long enough that a busy machine has stopped the guest before, in ms. */
const NAP = "2000";
const FAR_MS = 3_600_000;

let pool: SandboxPool;
let prepared: Remains;

async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

beforeAll(async () => {
  pool = await testPool();
  const wasm = await compileFunction(NAPPER, ["--runtime", "minimal"]);
  const spins = await compileFunction(SPINNER, ["--runtime", "minimal"]);
  // It goes on for as long as a test does: nothing it allocates may stay.
  const loops = await compileFunction(LOOPER, ["--runtime", "incremental"]);
  prepared = await World.prepare(pool, TENANT, []);
  const starter = await ProcessStarter.open();
  const world = await World.open(pool, prepared, () => null, undefined, { starter });
  await world.functions.upload(TENANT, "moves", oneChunk(wasm), { migratable: true });
  await world.functions.upload(TENANT, "stays", oneChunk(wasm));
  await world.functions.upload(TENANT, "spins", oneChunk(spins), { migratable: true, preemptible: true });
  await world.functions.upload(TENANT, "loops", oneChunk(loops), { migratable: true });
  await world.close();
  await starter.close();
}, 120_000);
afterAll(() => pool.close());

/** A world in which waits of more than 50 ms are long, and what its guests print. */
async function openWorld(parkedMaxBytes = 2 ** 24): Promise<{ world: World; remains: Remains; began: () => number }> {
  let begun = 0;
  const info = (text: string) => {
    begun += text === "began" ? 1 : 0;
  };
  const log: Log = { ...silentLog, info };
  const remains = copyRemains(prepared);
  const world = await World.open(pool, remains, () => null, undefined, { log, suspendAfterMs: 50, parkedMaxBytes });
  return { world, remains, began: () => begun };
}

const call = async (world: World, functionName: string, input: string) => {
  const answer = await world.call({ tenant: TENANT, functionName, input, key: `${functionName} ${input}` });
  const text = answer.kind === "completed" && answer.result.output instanceof Uint8Array ? Buffer.from(answer.result.output) : "";
  return { kind: answer.kind, text: text.toString(), answer };
};

const onlyTo =
  (taker: CallTaker): OtherNodes =>
  async () => [{ taker, queue: 0, workers: 1 }];

const parked = (world: World, calls = 1) => eventually(`${calls} parked`, () => world.invocations.parked.calls === calls);

const put = (world: World, key: string, text: string) =>
  new ObjectStore(world.shard, 1_000).put(TENANT, key, oneChunk(Buffer.from(text)), 1_000);

async function theUnfinished(world: World): Promise<InstanceId> {
  const [one] = await world.invocations.unfinished(TENANT);
  if (one === undefined) {
    throw new Error("nothing is unfinished");
  }
  return one.instance;
}

const kinds = async (world: World, instance: InstanceId) =>
  (await world.invocations.timeline(instance, TENANT)).map(({ kind }) => kind);

describe("a migratable function that waits for long", () => {
  it("is bytes meanwhile, and goes on without being run again", async () => {
    const { world, began } = await openWorld();
    const answer = call(world, "moves", NAP);
    await parked(world);
    await eventually("no sandbox is in use", () => pool.load.active === 0);
    expect(world.invocations.parked.sizeBytes).toBeGreaterThan(100);
    expect((await answer).text).toBe("count 1 signal none ");
    expect(began()).toBe(1);
    expect(world.invocations.parked).toEqual({ calls: 0, sizeBytes: 0 });
    await world.close();
  });

  it("reads on at the moment of waking, as a function does that is run again (F25)", async () => {
    const texts: string[] = [];
    for (const name of ["moves", "stays"]) {
      const { world, began } = await openWorld();
      const answer = call(world, name, NAP);
      await eventually("no sandbox is in use", () => pool.load.active === 0);
      const instance = await theUnfinished(world);
      await eventually("the reads are pinned", async () => (await kinds(world, instance)).includes("pin"));
      await put(world, "signal", "now");
      texts.push((await answer).text);
      expect(await kinds(world, instance)).toEqual(["init", "write", "sleep", "pin", "resume", "write", "done"]);
      expect(began()).toBe(name === "moves" ? 1 : 2);
      await world.close();
    }
    expect(texts).toEqual(["count 1 signal now ", "count 1 signal now "]);
  });

  it("is run again from its log when its host dies meanwhile, with the same result", async () => {
    const { world, remains } = await openWorld();
    void call(world, "moves", NAP).catch(() => {});
    await parked(world);
    const after = await World.open(pool, copyRemains(remains), () => null, undefined, {
      suspendAfterMs: 50,
      parkedMaxBytes: 2 ** 24,
    });
    expect((await call(after, "moves", NAP)).text).toBe("count 1 signal none ");
    await after.close();
    await world.close();
  });

  it("is run again when there is no room for its bytes", async () => {
    const { world, began } = await openWorld(10);
    expect((await call(world, "moves", "300")).text).toBe("count 1 signal none ");
    expect(began()).toBe(2);
    await world.close();
  });

  it("waits so for a call, which may wait so itself", async () => {
    const { world, began } = await openWorld();
    const answer = call(world, "moves", `call moves ${NAP}`);
    await parked(world, 2);
    expect((await answer).text).toBe("count 1 signal none count 2 signal none ");
    expect(began()).toBe(2);
    await world.close();
  });

  it("waits so for a lock, and keeps what it has read before", async () => {
    const { world, began } = await openWorld();
    await put(world, "signal", "before");
    void call(world, "moves", `hold ${FAR_MS}`);
    await parked(world);
    const answer = call(world, "moves", "lock");
    await parked(world, 2);
    const instance = (await world.invocations.unfinished(TENANT)).map((one) => one.instance).at(-1) as InstanceId;
    await put(world, "signal", "meanwhile");
    await world.invocations.breakLock("gate", TENANT, "administrator");
    expect((await answer).text).toBe("count 2 signal meanwhile before");
    // What it had read since its last step keeps it from reading on at another moment.
    expect(await kinds(world, instance)).not.toContain("resume");
    expect(began()).toBe(2);
    await world.close();
  });

  it("ends when it is cancelled meanwhile, and leaves its room", async () => {
    const { world } = await openWorld();
    const answer = call(world, "moves", String(FAR_MS));
    await parked(world);
    await world.invocations.cancel(await theUnfinished(world), TENANT);
    expect((await answer).answer).toMatchObject({ kind: "completed", result: { trap: "cancelled" } });
    expect(world.invocations.parked.calls).toBe(0);
    await world.close();
  });

  it("is left to the next start when its host stops", async () => {
    const { world } = await openWorld();
    const answer = call(world, "moves", String(FAR_MS));
    await parked(world);
    await world.invocations.drain(0);
    expect((await answer).answer).toMatchObject({ kind: "pending", parked: false });
    expect(world.invocations.parked.calls).toBe(0);
    await world.close();
  });
});

describe("a migratable function whose host stops while another one is there", () => {
  /** Tells the first to stop once the call is parked there. */
  async function drained(world: World): Promise<void> {
    await parked(world);
    void world.invocations.drain(60_000, onlyTo(world.elsewhere.ofOthers));
    await eventually("it waits elsewhere", () => world.elsewhere.parked.calls > 0 && world.invocations.parked.calls === 0);
  }

  it("goes on there from where it was, and its client gets the answer here", async () => {
    const { world, began } = await openWorld();
    const answer = call(world, "moves", NAP);
    await parked(world);
    const instance = await theUnfinished(world);
    await eventually("the reads are pinned", async () => (await kinds(world, instance)).includes("pin"));
    await put(world, "signal", "meanwhile");
    await drained(world);
    // Until its outcome has come it might have to go on here.
    expect(world.invocations.parked.sizeBytes).toBeGreaterThan(100);
    const { text, answer: told } = await answer;
    expect(world.invocations.parked.sizeBytes).toBe(0);
    expect(text).toBe("count 1 signal meanwhile ");
    expect(told).toMatchObject({ kind: "completed", trace: { executedAt: ["compute", "elsewhere"] } });
    expect(await world.versions(TENANT, "count")).toEqual(["1"]);
    expect(await kinds(world, instance)).toEqual(
      // It waits here, goes on there, waits there, and goes on.
      ["init", "write", "sleep", "pin", "resume", "pin", "resume", "write", "done"],
    );
    expect(began()).toBe(1);
    await world.close();
  });

  it("still knows there what it has called", async () => {
    const { world } = await openWorld();
    const answer = call(world, "moves", `call stays ${NAP}`);
    await drained(world);
    expect((await answer).text).toBe("count 1 signal none count 2 signal none ");
    expect(await world.versions(TENANT, "count")).toEqual(["1", "2"]);
    await world.close();
  });

  it("is not run again when no other node takes it", async () => {
    const { world, began } = await openWorld();
    const answer = call(world, "moves", NAP);
    await parked(world);
    const asked: string[] = [];
    const refuses = (name: string): CallTaker => ({
      name,
      take: async () => {
        asked.push(name);
        return { kind: "refused", reason: "no room" };
      },
    });
    const nodes: OtherNodes = async () =>
      ["full", "idle"].map((name) => ({ taker: refuses(name), queue: name.length, workers: 1 }));
    const drained = world.invocations.drain(60_000, nodes);
    const { text, answer: told } = await answer;
    expect(text).toBe("count 1 signal none ");
    expect(told).toMatchObject({ trace: { executedAt: ["compute"], moves: [] } });
    expect(asked.sort()).toEqual(["full", "idle"]);
    expect(began()).toBe(1);
    await drained;
    await world.close();
  });

  it("has no more CPU time there than it had left", async () => {
    const { world, began } = await openWorld();
    const answer = call(world, "moves", NAP);
    await parked(world);
    let tookMs = 0;
    const taker: CallTaker = {
      name: "elsewhere",
      take: (moved) => {
        tookMs = moved.cpuMs;
        return world.elsewhere.ofOthers.take({ ...moved, cpuMs: 1e9 });
      },
    };
    const drained = world.invocations.drain(60_000, onlyTo(taker));
    expect((await answer).kind).toBe("completed");
    expect(tookMs).toBeGreaterThan(0);
    // Its attempt there was ended at once, and the next one begins anew, with all the time that an attempt has.
    expect(began()).toBe(2);
    await drained;
    await world.close();
  });

  it("has the CPU time of its run before the move in its result, however it is asked for", async () => {
    const { world } = await openWorld();
    const answer = call(world, "moves", NAP);
    await parked(world);
    let beforeMs = 0;
    const taker: CallTaker = {
      name: "elsewhere",
      take: (moved) => {
        beforeMs = moved.runCpuMs;
        return world.elsewhere.ofOthers.take({ ...moved, runCpuMs: beforeMs + 1e6 });
      },
    };
    const drained = world.invocations.drain(60_000, onlyTo(taker));
    const { answer: told } = await answer;
    expect(beforeMs).toBeGreaterThan(0);
    const cpuMs = told.kind === "completed" ? (told.trace.cpuMs ?? 0) : 0;
    expect(cpuMs).toBeGreaterThan(beforeMs + 1e6);
    expect(await world.invocations.statusOfInstance(told.instance, TENANT)).toMatchObject({ call: { cpuMs } });
    await drained;
    await world.close();
  });

  it("may write no more there than it has left", async () => {
    const { world } = await openWorld();
    const answer = call(world, "moves", NAP);
    await parked(world);
    let writtenBytes = 0;
    const taker: CallTaker = {
      name: "elsewhere",
      take: (moved) => {
        writtenBytes = moved.writtenBytes;
        return world.elsewhere.ofOthers.take({ ...moved, writtenBytes: 2 ** 40 });
      },
    };
    const drained = world.invocations.drain(60_000, onlyTo(taker));
    const { answer: told } = await answer;
    expect(writtenBytes).toBe("1".length);
    expect(told).toMatchObject({ result: { trap: expect.stringContaining("STATE_LIMIT") } });
    await drained;
    await world.close();
  });

  it("is turned away where its bytes are too many", async () => {
    const { world, began } = await openWorld(2 ** 16);
    const answer = call(world, "moves", NAP);
    await parked(world);
    let reply: MoveReply | null = null;
    const taker: CallTaker = {
      name: "elsewhere",
      take: async (moved) => (reply = await world.elsewhere.ofOthers.take({ ...moved, guest: new Uint8Array(2 ** 16 + 1) })),
    };
    const drained = world.invocations.drain(60_000, onlyTo(taker));
    expect((await answer).text).toBe("count 1 signal none ");
    expect(reply).toMatchObject({ kind: "refused", reason: expect.stringContaining("65537 more are too many") });
    expect(began()).toBe(1);
    await drained;
    expect(world.invocations.parked).toEqual({ calls: 0, sizeBytes: 0 });
    await world.close();
  });

  it("goes on at the next node when the first one refuses", async () => {
    const { world, began } = await openWorld();
    const answer = call(world, "moves", NAP);
    await parked(world);
    const refuses: CallTaker = { name: "full", take: async () => ({ kind: "refused", reason: "no room" }) };
    const nodes: OtherNodes = async () => [
      { taker: world.elsewhere.ofOthers, queue: 1, workers: 1 },
      { taker: refuses, queue: 0, workers: 1 },
    ];
    const drained = world.invocations.drain(60_000, nodes);
    expect((await answer).answer).toMatchObject({ kind: "completed", trace: { moves: [{ from: "compute", to: "elsewhere" }] } });
    expect(began()).toBe(1);
    await drained;
    await world.close();
  });

  it("stays while it holds a lock, and is left to the next start", async () => {
    const { world } = await openWorld();
    const answer = call(world, "moves", `hold ${FAR_MS}`);
    await parked(world);
    await world.invocations.drain(200, onlyTo(world.elsewhere.ofOthers));
    expect((await answer).kind).toBe("pending");
    expect(world.elsewhere.parked.calls).toBe(0);
    await world.close();
  });

  it("is left to the next start when nobody takes it, or to the node that took it when that is not done in time", async () => {
    for (const takes of [false, true]) {
      const { world } = await openWorld();
      const answer = call(world, "moves", String(FAR_MS));
      await parked(world);
      if (!takes) {
        await world.elsewhere.drain(0);
      }
      await world.invocations.drain(takes ? 1_000 : 200, onlyTo(world.elsewhere.ofOthers));
      const { kind, answer: told } = await answer;
      expect(kind).toBe("pending");
      expect(told).toMatchObject({ reason: expect.stringContaining(takes ? "goes on at elsewhere" : "at its next start") });
      expect(world.elsewhere.parked.calls).toBe(takes ? 1 : 0);
      await world.close();
    }
  });
});

it("a loaded node gives no more calls away when those it has given fill the room", async () => {
  const { world } = await openWorld(10);
  const { invocations: here } = world;
  const outcome = Promise.withResolvers<MoveReply>();
  let asked = 0;
  const taker: CallTaker = {
    name: "elsewhere",
    take: () => {
      asked += 1;
      return outcome.promise;
    },
  };
  const answers = ["turns", "others"].map((input) => call(world, "loops", input));
  await eventually("one leaves", () => here.evacuate(1, [taker]) === 1);
  await eventually("it is elsewhere", () => asked === 1);
  const untilMs = performance.now() + 1_500;
  await eventually("the other one has been here long enough to leave", () => performance.now() > untilMs);
  expect(here.evacuate(1, [taker])).toBe(0);
  outcome.resolve({ kind: "refused", reason: "no room" });
  await eventually("the first one is back", () => here.parked.sizeBytes === 0);
  expect(here.evacuate(1, [taker])).toBe(1);
  await put(world, "go", "now");
  for (const { kind } of await Promise.all(answers)) {
    expect(kind).toBe("completed");
  }
  await world.close();
});

it("a call that computes for long ends alike whether there is room to go on from its bytes in the background or not", async () => {
  const texts = new Set<string>();
  for (const roomBytes of [2 ** 24, 10]) {
    const { world } = await openWorld(roomBytes);
    for (const { kind, text } of await Promise.all(["1500", "1500 b"].map((input) => call(world, "spins", input)))) {
      expect(kind).toBe("completed");
      texts.add(text);
    }
    expect(world.invocations.parked).toEqual({ calls: 0, sizeBytes: 0 });
    await world.close();
  }
  expect([...texts]).toEqual([expect.stringMatching(/^\d+ \d/)]);
});

it("a stopped guest that goes on counts as parked until it has a sandbox, and is displaced when there is no room for it", async () => {
  const parking = new Parking(100);
  const asked: { start: SandboxStart; handler: SandboxHandler }[] = [];
  const nobody: SandboxCall = { reply: () => {}, acknowledge: () => {}, cancel: () => {}, freeze: () => {} };
  const queue = {
    start: (start: SandboxStart, handler: SandboxHandler) => {
      asked.push({ start, handler });
      return nobody;
    },
  };
  const attempt = new Attempt({
    ...{ pool: queue as unknown as SandboxPool, tenant: TENANT, parking, artefact: {} as Artefact },
    ...{ input: new Uint8Array(0), commandLine: new Uint8Array(0), depth: 0, sandboxesMax: 1 },
    pins: { timeMs: 0, seed: new Uint8Array(32) },
    limits: { wallTimeMs: 1_000, cpuTimeMs: 1_000, outputMaxBytes: 0, logMaxBytes: 0 },
    ...{ perform: () => Promise.reject(new Error("it asks nobody")), onStop: () => {}, onLog: () => {} },
  });
  const stopped = (sizeBytes: number) => ({ kind: "frozen", bytes: new Uint8Array(sizeBytes), awaits: false, cpuMs: 1 }) as const;
  asked.at(-1)?.handler.onEnd(stopped(60));
  expect([asked.length, asked.at(-1)?.start.frozen?.bytes.byteLength, parking.usedBytes]).toEqual([2, 60, 60]);
  asked.at(-1)?.handler.onBegun?.();
  expect(parking.usedBytes).toBe(0);
  asked.at(-1)?.handler.onEnd(stopped(101));
  expect(await attempt.ended).toEqual({ kind: "displaced" });
  expect([asked.length, parking.usedBytes, parking.calls]).toEqual([2, 0, 0]);
});

it("a call that has gone from a node with too much to do does not come back to where its outcome is waited for", async () => {
  const { world, began } = await openWorld();
  const answer = call(world, "loops", "turns");
  const { invocations: here, elsewhere: there } = world;
  await eventually("it has left", () => here.evacuate(1, [there.ofOthers]) === 1);
  let refused: MoveReply | null = null;
  const back: CallTaker = { name: "here", take: async (moved) => (refused = await here.ofOthers.take(moved)) };
  await eventually("it was to come back", () => there.evacuate(1, [back]) === 1 || refused !== null);
  await eventually("it has been refused", () => refused !== null);
  expect(refused).toMatchObject({ kind: "refused" });
  await put(world, "go", "now");
  const { text, answer: told } = await answer;
  expect(told).toMatchObject({ kind: "completed", trace: { executedAt: ["compute", "elsewhere"] } });
  expect(text).toBe((await world.versions(TENANT, "turns")).at(-1));
  expect(began()).toBe(1);
  await world.close();
});

it("a parking takes what it has room for and no more", () => {
  const parking = new Parking(100);
  expect([parking.take(60), parking.take(41), parking.take(40)]).toEqual([true, false, true]);
  expect([parking.calls, parking.usedBytes]).toEqual([2, 100]);
  parking.give(60);
  expect([parking.take(61), parking.take(60)]).toEqual([false, true]);
});
