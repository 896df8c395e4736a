import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CallAnswer } from "../../host/invocation/index.ts";
import type { SandboxPool } from "../../host/sandbox/index.ts";
import { logBookId } from "../../state/ids.ts";
import type { FaultPoint } from "../../state/ports.ts";
import { textOf } from "../support/call-bytes.ts";
import { prng } from "../support/prng.ts";
import { type Crash, copyRemains, type Remains, testPool, World } from "../support/world.ts";

const BANK = logBookId("bank");
const NAMES = ["ada", "bob", "eve", "dan"];
const DEPOSIT = 100;

let pool: SandboxPool;
let prepared: Remains;

beforeAll(async () => {
  pool = await testPool();
  prepared = await World.prepare(pool, BANK, ["bank"]);
});

afterAll(() => pool.close());

/** A world that is opened again after each crash. */
class Worlds {
  readonly #onFault: (point: FaultPoint) => Crash | null;
  #current: Promise<World>;

  constructor(onFault: (point: FaultPoint) => Crash | null) {
    this.#onFault = onFault;
    this.#current = this.#open(copyRemains(prepared));
  }

  /** Asks until there is an answer. */
  async ask(input: string, key: string): Promise<string> {
    for (;;) {
      const world = await this.#current;
      const asked = world.call({ tenant: BANK, functionName: "bank", input, key });
      const answer = await Promise.race([asked, world.crashed.then(() => null)]);
      if (answer !== null && answer.kind !== "failed") {
        return tellOf(answer);
      }
    }
  }

  async balances(): Promise<number[]> {
    const world = await this.#current;
    return Promise.all(NAMES.map(async (name) => Number(await world.object(BANK, `bank/${name}`))));
  }

  async close(): Promise<void> {
    await (await this.#current).close();
  }

  async #open(remains: Remains): Promise<World> {
    const world = await World.open(pool, remains, this.#onFault);
    void world.crashed.then((left) => {
      this.#current = this.#open(left);
    });
    return world;
  }
}

function tellOf(answer: CallAnswer): string {
  expect(answer.kind, JSON.stringify(answer)).toBe("completed");
  return answer.kind === "completed" ? `${answer.result.returnValue} ${textOf(answer.result.output)}` : "";
}

const sum = (balances: readonly number[]) => balances.reduce((a, b) => a + b, 0);

async function openAccounts(worlds: Worlds): Promise<void> {
  for (const name of NAMES) {
    expect(await worlds.ask(`open ${name} ${DEPOSIT}`, `open-${name}`)).toBe(`0 ${name} ${DEPOSIT}`);
  }
}

describe("[56] transactions under crashes", () => {
  it("a crash at every fault point of a commit leaves all of it or nothing, and in the end all of it", {
    timeout: 300_000,
  }, async () => {
    const requests = ["open ada 100", "open bob 0", "move ada bob 30", "move bob ada 100", "total"];
    const expected = ["0 ada 100", "0 bob 0", "0 ada 70, bob 30", "1 bob has 30", "0 100"];
    const points = { passed: 0 };
    const run = async (crashAt: number, crash: Crash) => {
      points.passed = 0;
      const worlds = new Worlds(() => {
        points.passed += 1;
        return points.passed === crashAt ? crash : null;
      });
      const answers: string[] = [];
      for (const [index, request] of requests.entries()) {
        answers.push(await worlds.ask(request, `request-${index}`));
      }
      const balances = await worlds.balances();
      await worlds.close();
      return { answers, balances: balances.slice(0, 2) };
    };
    expect(await run(0, "kill")).toEqual({ answers: expected, balances: [70, 30] });
    const calm = points.passed;
    expect(calm).toBeGreaterThan(20);
    for (let crashAt = 1; crashAt <= calm; crashAt += 1) {
      for (const crash of ["kill", "powerCut"] as const) {
        expect(await run(crashAt, crash), `${crash} at ${crashAt}`).toEqual({ answers: expected, balances: [70, 30] });
      }
    }
  });

  it("concurrent transfers keep the sum, whatever crashes, and no total has seen half of one", { timeout: 300_000 }, async () => {
    const seed = Date.now() % 1_000_000;
    const random = prng(seed);
    let crashes = 0;
    let isOpen = false;
    const worlds = new Worlds(() => {
      // As many crashes as attempts park an instance.
      const crash = isOpen && crashes < 9 && random.below(60) === 0;
      crashes += crash ? 1 : 0;
      return crash ? (random.below(2) === 0 ? "kill" : "powerCut") : null;
    });
    await openAccounts(worlds);
    isOpen = true;
    const given = new Map<string, { input: string; answer: string }>();
    const client = async (number: number) => {
      const own = prng(seed + number);
      for (let i = 0; i < 25; i += 1) {
        const from = NAMES[own.below(NAMES.length)];
        const to = NAMES[own.below(NAMES.length)];
        const input = own.below(5) === 0 ? "total" : `move ${from} ${to} ${1 + own.below(40)}`;
        const key = `client-${number}-${i}`;
        const answer = await worlds.ask(input, key);
        given.set(key, { input, answer });
        if (input === "total") {
          expect(answer, `seed ${seed}`).toBe(`0 ${DEPOSIT * NAMES.length}`);
        }
      }
    };
    await Promise.all([1, 2, 3, 4].map(client));
    const balances = await worlds.balances();
    expect(sum(balances), `seed ${seed}`).toBe(DEPOSIT * NAMES.length);
    expect(Math.min(...balances)).toBeGreaterThanOrEqual(0);
    isOpen = false;
    for (const [key, { input, answer }] of given) {
      expect(await worlds.ask(input, key), `${key}, seed ${seed}`).toBe(answer);
    }
    expect(await worlds.balances()).toEqual(balances);
    expect(crashes).toBeGreaterThan(0);
    await worlds.close();
  });
});
