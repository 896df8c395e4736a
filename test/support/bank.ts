/** A workload whose sums show every lost and every doubled effect: counters, and transfers between accounts by chained calls. */
import { expect } from "vitest";
import { call, sampleModule, upload } from "./host-process.ts";
import { askUntilAnswered } from "./keyed-call.ts";
import { type Prng, prng } from "./prng.ts";

const TENANT = "bank";
const COUNTERS = 4;
const ACCOUNTS = 5;
const DEPOSIT = 1000;

/** One request under one key: what was asked, and the answer once there is one. */
interface Asked {
  readonly key: string;
  readonly functionName: string;
  readonly input: string;
  answer: string | null;
}

export class Bank {
  readonly #url: (client: number) => string;
  readonly #seed: number;
  readonly #history: Asked[] = [];
  #clients: Promise<void>[] = [];
  #isStopped = false;

  /** @param url  where a client sends its next try */
  constructor(seed: number, url: (client: number) => string) {
    this.#seed = seed;
    this.#url = url;
  }

  /** Requests that were asked so far. */
  get asked(): number {
    return this.#history.length;
  }

  /** Uploads the functions and fills the accounts. */
  async open(): Promise<void> {
    for (const name of ["counter", "transfer", "account"]) {
      await upload(this.#url(0), TENANT, name, sampleModule(name));
    }
    for (let i = 0; i < ACCOUNTS; i += 1) {
      await this.#ask(0, { key: `deposit-${i}`, functionName: "account", input: `account-${i} ${DEPOSIT}`, answer: null });
    }
  }

  /** Starts clients that ask one request after the other, each until it is answered. */
  start(clients: number): void {
    this.#clients = Array.from({ length: clients }, async (_, client) => {
      const random = prng(this.#seed + 1 + client);
      for (let n = 0; !this.#isStopped; n += 1) {
        const asked = draw(random, `client-${client}-${n}`);
        this.#history.push(asked);
        asked.answer = await this.#ask(client, asked);
      }
    });
  }

  /** Resolves when every request is answered. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#clients);
  }

  /** Every sum is exact, every key has the answer it had, and asking again has changed nothing. */
  async check(): Promise<void> {
    await this.#checkSums();
    for (const asked of this.#history) {
      expect(await this.#ask(0, asked), `key ${asked.key}, seed ${this.#seed}`).toBe(asked.answer);
    }
    await this.#checkSums();
  }

  #ask(client: number, asked: Asked): Promise<string> {
    return askUntilAnswered(() => this.#url(client), { tenant: TENANT, ...asked });
  }

  async #checkSums(): Promise<void> {
    const expected = this.#expectedSums();
    const actual = new Map<string, number>();
    for (const name of expected.keys()) {
      const functionName = name.startsWith("count") ? "counter" : "account";
      const { body } = await call(this.#url(0), { user: TENANT, function: functionName, input_data: `${name} 0` });
      actual.set(name, Number(body));
    }
    expect(Object.fromEntries(actual), `seed ${this.#seed}`).toEqual(Object.fromEntries(expected));
  }

  #expectedSums(): Map<string, number> {
    const sums = new Map<string, number>();
    const add = (name: string, amount: number) => sums.set(name, (sums.get(name) ?? 0) + amount);
    for (let i = 0; i < ACCOUNTS; i += 1) {
      add(`account-${i}`, DEPOSIT);
    }
    for (const { functionName, input } of this.#history) {
      const [first = "", second = "", amount = "0"] = input.split(" ");
      if (functionName === "counter") {
        add(first, Number(second));
      } else {
        add(first, -Number(amount));
        add(second, Number(amount));
      }
    }
    return sums;
  }
}

function draw(random: Prng, key: string): Asked {
  if (random.below(2) === 0) {
    return { key, functionName: "counter", input: `count-${random.below(COUNTERS)} ${1 + random.below(3)}`, answer: null };
  }
  const from = random.below(ACCOUNTS);
  const to = (from + 1 + random.below(ACCOUNTS - 1)) % ACCOUNTS;
  return { key, functionName: "transfer", input: `account-${from} account-${to} ${1 + random.below(9)}`, answer: null };
}
