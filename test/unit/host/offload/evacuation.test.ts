import { describe, expect, test } from "vitest";
import { type CallTaker, Evacuation, type NodeLoad, type OtherNode } from "../../../../host/offload/index.ts";
import { ManualTime } from "../../../support/manual-time.ts";

const AFTER_MS = 400;
const QUEUE_MAX = 4;
/** As often as it looks. */
const LOOK_MS = 100;

const takerCalled = (name: string): CallTaker => ({ name, take: async () => ({ kind: "refused", reason: "" }) });
const node = (name: string, queue: number, workers = 2): OtherNode => ({ taker: takerCalled(name), queue, workers });

/** A node with two workers, whose calls leave it when they are told. */
class Loaded {
  readonly time = new ManualTime();
  readonly left: string[] = [];
  readonly evacuation: Evacuation;
  queue = 0;
  others: readonly OtherNode[] = [];
  mayLeave = Number.POSITIVE_INFINITY;
  asked = 0;

  constructor(queueMax = QUEUE_MAX) {
    this.evacuation = new Evacuation({
      queueMax,
      afterMs: AFTER_MS,
      timers: this.time,
      clock: this.time,
      load: (): NodeLoad => ({ queue: this.queue, workers: 2 }),
      others: async () => {
        this.asked += 1;
        return this.others;
      },
      leave: (count, [taker]) => {
        const leaving = Math.min(count, this.mayLeave);
        this.queue -= leaving;
        this.left.push(`${leaving} to ${taker?.name}`);
        return leaving;
      },
    });
  }

  async pass(durationMs: number): Promise<void> {
    for (let passed = 0; passed < durationMs; passed += LOOK_MS) {
      this.time.advance(LOOK_MS);
      // Everybody has answered.
      await new Promise(setImmediate);
    }
  }
}

describe("a node that has too much to do", () => {
  test("lets calls go when that has lasted, and as many as the idle node has workers without a call", async () => {
    const loaded = new Loaded();
    loaded.queue = 9;
    loaded.others = [node("idle", 0)];
    await loaded.pass(AFTER_MS);
    expect(loaded.left).toEqual([]);
    await loaded.pass(LOOK_MS);
    expect(loaded.left).toEqual(["2 to idle"]);
  });

  test("lets no more go than half of what it has more than the idle node", async () => {
    const loaded = new Loaded();
    loaded.queue = 9;
    loaded.others = [node("large", 0, 8)];
    await loaded.pass(AFTER_MS + LOOK_MS);
    expect(loaded.left).toEqual(["4 to large"]);
  });

  test("lets none go when it had less to do in between", async () => {
    const loaded = new Loaded();
    loaded.others = [node("idle", 0)];
    for (let i = 0; i < 10; i += 1) {
      loaded.queue = 9;
      await loaded.pass(AFTER_MS - LOOK_MS);
      loaded.queue = 2 * QUEUE_MAX;
      await loaded.pass(LOOK_MS);
    }
    expect(loaded.left).toEqual([]);
    expect(loaded.asked).toBe(0);
  });

  test("waits as long again before it lets the next go", async () => {
    const loaded = new Loaded();
    loaded.queue = 20;
    loaded.others = [node("idle", 0)];
    await loaded.pass(AFTER_MS + LOOK_MS);
    await loaded.pass(AFTER_MS - LOOK_MS);
    expect(loaded.left).toHaveLength(1);
    await loaded.pass(LOOK_MS);
    expect(loaded.left).toHaveLength(2);
  });

  test("asks the idlest node first, and none that is not idle", async () => {
    const loaded = new Loaded();
    loaded.queue = 9;
    loaded.others = [node("busy", 2), node("half", 1), node("idle", 0)];
    await loaded.pass(AFTER_MS + LOOK_MS);
    expect(loaded.left).toEqual(["2 to idle"]);
    const full = new Loaded();
    full.queue = 9;
    full.others = [node("busy", 2), node("busier", 8)];
    await full.pass(4 * AFTER_MS);
    expect(full.left).toEqual([]);
    expect(full.asked).toBeGreaterThan(1);
  });

  test("goes on asking while none of its calls can leave", async () => {
    const loaded = new Loaded();
    loaded.queue = 9;
    loaded.mayLeave = 0;
    loaded.others = [node("idle", 0)];
    await loaded.pass(AFTER_MS + 2 * LOOK_MS);
    expect(loaded.left).toEqual(["0 to idle", "0 to idle"]);
  });

  test("does nothing where that is turned off, nor after it has stopped", async () => {
    const off = new Loaded(0);
    const stopped = new Loaded();
    for (const loaded of [off, stopped]) {
      loaded.queue = 9;
      loaded.others = [node("idle", 0)];
    }
    await stopped.pass(AFTER_MS);
    stopped.evacuation.stop();
    await Promise.all([off.pass(4 * AFTER_MS), stopped.pass(4 * AFTER_MS)]);
    expect([...off.left, ...stopped.left]).toEqual([]);
  });
});

test("two nodes never send calls to each other and back, whatever they have to do", async () => {
  for (let first = 0; first <= 24; first += 1) {
    for (let second = 0; second <= 24; second += 4) {
      const [a, b] = [new Loaded(), new Loaded()];
      [a.queue, b.queue] = [first, second];
      let moves = 0;
      for (let round = 0; round < 40; round += 1) {
        const [aLeft, bLeft] = [a.left.length, b.left.length];
        const before = [a.queue, b.queue] as const;
        a.others = [node("b", b.queue)];
        b.others = [node("a", a.queue)];
        await a.pass(LOOK_MS);
        b.queue += before[0] - a.queue;
        b.others = [node("a", a.queue)];
        const between = b.queue;
        await b.pass(LOOK_MS);
        a.queue += between - b.queue;
        moves += a.left.length - aLeft + b.left.length - bLeft;
      }
      expect(a.left.length === 0 || b.left.length === 0, `${first} and ${second}`).toBe(true);
      expect(a.queue + b.queue).toBe(first + second);
      expect(moves).toBeLessThanOrEqual(1);
    }
  }
});
