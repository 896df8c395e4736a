import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MemoryBudget, type MemoryClaim } from "../../../../host/sandbox/pool/memory-budget.ts";

const MAX = 100;

let budget: MemoryBudget;
let told: string[];
let joined: (() => void)[];

beforeEach(() => {
  budget = new MemoryBudget({ maxBytes: MAX, keepAliveMs: 1_000_000, isShort: () => false });
  told = [];
  joined = [];
});

afterEach(() => {
  for (const leave of joined) {
    leave();
  }
});

/** "<name>": of the group that its first letter names. */
function claim(name: string, bytes: number, depth = 0): MemoryClaim {
  return {
    group: name[0] ?? "",
    depth,
    bytes,
    admit: () => told.push(`admit ${name}`),
    end: () => told.push(`end ${name}`),
  };
}

/** What was told since the last time. */
const news = () => told.splice(0).join(", ");

describe("the memory of attempts", () => {
  it("is given up to the limit, and then to whoever waits when somebody leaves", () => {
    const [first, second, third] = [claim("a1", 60), claim("a2", 40), claim("a3", 40)];
    expect([first, second, third].map((one) => budget.enter(one))).toEqual([true, true, false]);
    expect([budget.usedBytes, budget.waiting]).toEqual([100, 1]);
    budget.leave(second);
    expect([news(), budget.usedBytes, budget.waiting]).toEqual(["admit a3", 100, 0]);
    budget.leave(first);
    budget.leave(third);
    budget.leave(third);
    expect(budget.usedBytes).toBe(0);
  });

  it("one that need not wait any more is not admitted", () => {
    const first = claim("a1", 100);
    const second = claim("a2", 100);
    budget.enter(first);
    budget.enter(second);
    budget.leave(second);
    budget.leave(first);
    expect([news(), budget.usedBytes]).toEqual(["", 0]);
  });

  it("is given beyond the limit to one nested attempt for each depth, so that callers do not keep their callees out", () => {
    budget.enter(claim("a1", 100));
    const nested = [claim("a2", 50, 1), claim("a3", 50, 1), claim("a4", 50, 2)];
    expect(nested.map((one) => budget.enter(one))).toEqual([true, false, true]);
    const [second, , fourth] = nested;
    budget.leave(fourth as MemoryClaim);
    expect(news()).toBe("");
    budget.leave(second as MemoryClaim);
    expect(news()).toBe("admit a3");
  });

  it("goes first to nested attempts, then to groups that have little", () => {
    const [large, nested, beyond] = [claim("c1", 60), claim("a3", 40, 1), claim("d1", 10, 1)];
    const waiting = [claim("a2", 40), claim("b2", 40), nested];
    for (const one of [claim("a1", 30), claim("b1", 10), large, beyond, ...waiting]) {
      budget.enter(one);
    }
    news();
    budget.leave(large);
    expect(news()).toBe("admit a3");
    budget.leave(beyond);
    budget.leave(nested);
    expect(news()).toBe("admit b2");
  });

  it("counts as it grows and shrinks, and nothing is done for one that waits", () => {
    const grown = claim("a1", 10);
    const waiting = claim("a2", 100);
    budget.enter(grown);
    budget.enter(waiting);
    budget.resized(grown, 90);
    budget.resized(waiting, 1);
    expect([budget.usedBytes, waiting.bytes, news()]).toEqual([90, 100, ""]);
    budget.resized(grown, 0);
    expect(budget.usedBytes).toBe(0);
  });
});

describe("what attempts leave that have ended, until it is used", () => {
  it("counts as long as that takes, against memories that grow, too: those end", async () => {
    const used = Promise.withResolvers<void>();
    const [ended, grows] = [claim("a1", 10), claim("b1", 10)];
    budget.enter(ended);
    budget.enter(grows);
    const left = budget.leaveAfter(used.promise, ended, 80);
    expect([budget.usedBytes, budget.mayEndWith(grows, 20), budget.mayEndWith(grows, 21)]).toEqual([90, true, false]);
    budget.resized(grows, 30);
    expect(news()).toBe("end b1");
    used.resolve();
    await left;
    expect(budget.usedBytes).toBe(30);
  });

  it("may be as much as they had, and any output of one that was admitted beyond the limit: its callers have all there is", () => {
    const [caller, other, called] = [claim("a1", 60), claim("a2", 40), claim("a3", 50, 1)];
    for (const one of [caller, other, called]) {
      budget.enter(one);
    }
    expect([called, caller, other].map((one) => budget.mayEndWith(one, 60))).toEqual([true, true, false]);
    budget.leave(other);
    expect(budget.mayEndWith(caller, 100)).toBe(true);
    expect(budget.mayEndWith(caller, 101)).toBe(false);
  });
});

describe("a group that takes too much", () => {
  it("loses its largest attempts to one that has less than its part, and no more of them than that one needs", () => {
    const many = [claim("a1", 10), claim("a2", 40), claim("a3", 40), claim("a4", 10)];
    for (const one of many) {
      budget.enter(one);
    }
    expect(budget.enter(claim("b1", 30))).toBe(false);
    expect(news()).toBe("end a3");
    budget.leave(many[2] as MemoryClaim);
    expect(news()).toBe("admit b1");
  });

  it("keeps its part, whatever another one asks for", () => {
    for (const one of [claim("a1", 30), claim("a2", 20), claim("b1", 50)]) {
      budget.enter(one);
    }
    expect(budget.enter(claim("b2", 10))).toBe(false);
    expect(budget.enter(claim("a3", 10))).toBe(false);
    expect(news()).toBe("");
  });

  it("loses the attempts that have grown most when memories have grown beyond the limit, and others lose none", () => {
    const [small, other, bomb] = [claim("a1", 10), claim("b1", 40), claim("a2", 10)];
    for (const one of [small, other, bomb]) {
      budget.enter(one);
    }
    budget.resized(bomb, 1_000);
    expect(news()).toBe("end a2");
    budget.resized(bomb, 2_000);
    expect(news()).toBe("");
    budget.leave(bomb);
    expect(budget.usedBytes).toBe(50);
  });
});

describe("what lies ready", () => {
  const pool = (idleBytes: number) => ({
    idleBytes,
    trim(idleForMs: number, bytes: number) {
      told.push(`trim ${idleForMs} ${bytes}`);
    },
  });

  it("goes when attempts need its room, from each pool in proportion", async () => {
    joined.push(budget.join(pool(60)), budget.join(pool(30)));
    await expect.poll(() => budget.enter(claim("a1", 5)) && news(), { timeout: 10_000 }).not.toBe("");
  });

  it("goes when it has not been used for its time, or when the machine is short of memory", async () => {
    let isShort = true;
    budget = new MemoryBudget({ maxBytes: MAX, keepAliveMs: 1, isShort: () => isShort });
    joined.push(budget.join(pool(1)));
    await expect.poll(news, { timeout: 10_000 }).toBe("trim 0 0");
    isShort = false;
    await expect.poll(news, { timeout: 10_000 }).toBe("trim 1 0");
  });
});
