import { setTimeout as pause } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import {
  call,
  type RunningHost,
  removeFolder,
  sampleModule,
  startHost,
  temporaryFolder,
  upload,
} from "../support/host-process.ts";
import { askUntilAnswered } from "../support/keyed-call.ts";
import { type Prng, prng } from "../support/prng.ts";

const KILLS = 20;
const CLIENTS = 6;
const COUNTERS = 4;
const ACCOUNTS = 5;
const DEPOSIT = 1000;
const seed = Number(process.env.KILL_SEED ?? Date.now() % 1_000_000);

/** One request under one key: what was asked, and the answer once there is one. */
interface Asked {
  readonly key: string;
  readonly functionName: string;
  readonly input: string;
  answer: string | null;
}

let host: RunningHost | null = null;
let folder = "";

afterEach(async () => {
  await host?.kill();
  removeFolder(folder);
});

async function ask(url: () => string, asked: Asked): Promise<string> {
  return askUntilAnswered(url, { tenant: "bank", ...asked });
}

function draw(random: Prng, client: number, n: number): Asked {
  const key = `client-${client}-${n}`;
  if (random.below(2) === 0) {
    return { key, functionName: "counter", input: `count-${random.below(COUNTERS)} ${1 + random.below(3)}`, answer: null };
  }
  const from = random.below(ACCOUNTS);
  const to = (from + 1 + random.below(ACCOUNTS - 1)) % ACCOUNTS;
  return { key, functionName: "transfer", input: `account-${from} account-${to} ${1 + random.below(9)}`, answer: null };
}

describe("a host that is killed again and again", () => {
  it(`loses nothing it acknowledged and doubles nothing, over ${KILLS} SIGKILLs`, { timeout: 240_000 }, async () => {
    folder = temporaryFolder("kill");
    const start = () => startHost({ dataDirectory: folder, port: host === null ? 0 : Number(new URL(host.url).port) });
    host = await start();
    const { url } = host;
    for (const name of ["counter", "transfer", "account"]) {
      await upload(url, "bank", name, sampleModule(name));
    }
    const random = prng(seed);
    const history: Asked[] = [];
    for (let i = 0; i < ACCOUNTS; i += 1) {
      const deposit = { key: `deposit-${i}`, functionName: "account", input: `account-${i} ${DEPOSIT}`, answer: null };
      await ask(() => url, deposit);
    }

    let stop = false;
    const client = async (id: number) => {
      const own = prng(seed + 1 + id);
      for (let n = 0; !stop; n += 1) {
        const asked = draw(own, id, n);
        history.push(asked);
        asked.answer = await ask(() => url, asked);
      }
    };
    const clients = Array.from({ length: CLIENTS }, (_, id) => client(id));
    for (let kills = 0; kills < KILLS; kills += 1) {
      await pause(50 + random.below(250));
      await host.kill();
      host = await start();
    }
    stop = true;
    await Promise.all(clients);

    expect(history.length, `seed ${seed}`).toBeGreaterThan(KILLS);
    await checkSums(url, history);
    for (const asked of history) {
      expect(await ask(() => url, asked), `key ${asked.key}, seed ${seed}`).toBe(asked.answer);
    }
    await checkSums(url, history);
    expect(await host.stop()).toBe(0);
  });
});

async function checkSums(url: string, history: readonly Asked[]): Promise<void> {
  const expected = new Map<string, number>();
  const add = (name: string, amount: number) => expected.set(name, (expected.get(name) ?? 0) + amount);
  for (let i = 0; i < ACCOUNTS; i += 1) {
    add(`account-${i}`, DEPOSIT);
  }
  for (const { functionName, input } of history) {
    const [first = "", second = "", amount = "0"] = input.split(" ");
    if (functionName === "counter") {
      add(first, Number(second));
    } else {
      add(first, -Number(amount));
      add(second, Number(amount));
    }
  }
  const actual = new Map<string, number>();
  for (const name of expected.keys()) {
    const functionName = name.startsWith("count") ? "counter" : "account";
    const { body } = await call(url, { user: "bank", function: functionName, input_data: `${name} 0` });
    actual.set(name, Number(body));
  }
  expect(Object.fromEntries(actual), `seed ${seed}`).toEqual(Object.fromEntries(expected));
}
