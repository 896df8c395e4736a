/**
 * One run: clients call random programs while processes are killed; at the end every counter equals the model's sum, and so does what was
 * done at another system.
 *
 * V1. The model counts a program when it is sent: it is sent again under its key until it has ended.
 * V2. A run fails when an answer is not what the program says, when a counter differs, or when nothing has ended for too long.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { Mode } from "../../state/logbook/index.ts";
import { upload } from "../support/host-process.ts";
import { type Prng, prng } from "../support/prng.ts";
import { callUntilEnded } from "./client.ts";
import type { Deployment } from "./deployment.ts";
import { addTo, drawProgram, encodeProgram, fails, LAYERS, type Program, type Sums } from "./program.ts";
import type { SideEffects } from "./side-effects.ts";
import { describeStuckCalls, unfinishedCalls } from "./stuck-calls.ts";

const TENANT = "verify";
const KILL_PAUSE_MIN_MS = 300;
const KILL_PAUSE_RANGE_MS = 2_000;
const LOOK_MS = 200;
const READERS = 16;
const LIST_PAGE = 1_000;
const SWITCH_PAUSE_MS = 500;

export interface VerificationOptions {
  readonly seed: number;
  readonly counters: number;
  readonly clients: number;
  readonly protocol: Mode;
  readonly switches: boolean;
  /** No program is sent afterwards. */
  readonly durationMs: number;
  readonly stuckAfterMs: number;
}

export interface Verified {
  readonly calls: number;
  readonly kills: number;
  /** Counters that at least one program has incremented. */
  readonly touched: number;
  readonly sum: number;
  /** Done at the other system. */
  readonly effects: number;
}

export class Verification {
  readonly #deployment: Deployment;
  readonly #effects: SideEffects;
  readonly #options: VerificationOptions;
  readonly #expected: Sums = { counters: new Map(), effects: new Map() };
  #sending = true;
  #ended = 0;
  #kills = 0;
  #lastProgressMs = performance.now();
  #failure: Error | null = null;

  constructor(deployment: Deployment, effects: SideEffects, options: VerificationOptions) {
    this.#deployment = deployment;
    this.#effects = effects;
    this.#options = options;
  }

  /**
   * @param layer  the module of every layer
   * @param onProgress  told now and then how many calls have ended and how often something was killed
   * @throws when something is wrong, with all that is known about it
   */
  async run(layer: Uint8Array, onProgress: (calls: number, kills: number) => void): Promise<Verified> {
    for (let number = 1; number <= LAYERS; number += 1) {
      await upload(this.#url(0), TENANT, `layer-${number}`, layer);
    }
    const { seed, clients, durationMs, protocol } = this.#options;
    await this.#choose("default-protocol", protocol);
    const clientsDone = Promise.all(Array.from({ length: clients }, (_, client) => this.#drive(client)));
    const killing = this.#kill(prng(seed));
    const switching = this.#switch();
    const endMs = performance.now() + durationMs;
    while (performance.now() < endMs && this.#failure === null) {
      await pause(LOOK_MS);
      onProgress(this.#ended, this.#kills);
      await this.#watch();
    }
    this.#sending = false;
    await Promise.all([killing, switching]);
    await this.#untilAllHasEnded(clientsDone);
    return this.#check();
  }

  #url(client: number): string {
    return this.#deployment.url(client);
  }

  async #drive(client: number): Promise<void> {
    const { seed, counters } = this.#options;
    const random = prng(seed + 1 + client);
    const programs = { counters, place: this.#effects.place };
    try {
      for (let n = 0; this.#sending && this.#failure === null; n += 1) {
        const program = drawProgram(random, programs);
        addTo(this.#expected, program);
        await this.#ask(client, `${client}-${n}`, program);
      }
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async #ask(client: number, key: string, program: Program): Promise<void> {
    const input = encodeProgram(program);
    const request = { key, user: TENANT, function: "layer-1", input_data: `1 ${input}` };
    const ended = await callUntilEnded(
      () => this.#url(client),
      () => this.#failure !== null,
      request,
    );
    if (ended === null) {
      return;
    }
    if (ended.ok === fails(program)) {
      throw new Error(`call ${key} was answered ${JSON.stringify(ended.body)}, its program was ${input}`);
    }
    this.#ended += 1;
    this.#lastProgressMs = performance.now();
  }

  async #kill(random: Prng): Promise<void> {
    while (this.#sending && this.#failure === null) {
      await pause(KILL_PAUSE_MIN_MS + random.below(KILL_PAUSE_RANGE_MS));
      if (this.#sending) {
        await this.#deployment.killOne(random);
        this.#kills += 1;
        this.#lastProgressMs = performance.now();
      }
    }
  }

  /** Counters change their protocol as soon as they have got it. */
  async #switch(): Promise<void> {
    for (let turn = 1; this.#options.switches && this.#sending && this.#failure === null; turn += 1) {
      await this.#choose("scopes/counter", turn % 2 === 0 ? "halfmoon-read" : "halfmoon-write").catch(unlessGone);
      await pause(SWITCH_PAUSE_MS);
    }
  }

  /** A switch that is under way goes on. */
  async #choose(what: string, protocol: Mode): Promise<void> {
    const response = await fetch(`${this.#url(0)}/v1/tenants/${TENANT}/${what}?protocol=${protocol}`, { method: "PUT" });
    const answer = await response.text();
    if (!response.ok && response.status !== 409 && response.status !== 503) {
      throw new Error(`choosing ${protocol} for ${what} was answered ${response.status}: ${answer}`);
    }
  }

  async #untilAllHasEnded(clientsDone: Promise<unknown>): Promise<void> {
    let isDone = false;
    void clientsDone.then(() => {
      isDone = true;
    });
    this.#lastProgressMs = performance.now();
    while (this.#failure === null) {
      if (isDone && (await unfinishedCalls(this.#url(0), TENANT)).length === 0) {
        return;
      }
      await this.#watch();
      await pause(LOOK_MS);
    }
    throw this.#failure;
  }

  async #watch(): Promise<void> {
    const { stuckAfterMs } = this.#options;
    if (this.#failure === null && performance.now() - this.#lastProgressMs > stuckAfterMs) {
      const stuck = await describeStuckCalls(this.#url(0), TENANT);
      this.#fail(new Error(`no call has ended for ${stuckAfterMs} ms; ${stuck}`));
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
  }

  async #check(): Promise<Verified> {
    const differing: string[] = [];
    const left = await this.#keys();
    let sum = 0;
    const { counters, effects } = this.#expected;
    const waiting = [...counters];
    const read = async () => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        const [counter, expected] = next;
        const key = `counter/${counter}`;
        left.delete(key);
        const response = await fetch(`${this.#url(0)}/v1/tenants/${TENANT}/objects/${key}`);
        const actual = response.ok ? await response.text() : "absent";
        sum += expected;
        if (actual !== String(expected)) {
          differing.push(`${key} is ${actual}, must be ${expected}`);
        }
      }
    };
    await Promise.all(Array.from({ length: READERS }, read));
    differing.push(...Array.from(left, (key) => `${key} exists, and no program has incremented it`));
    const done = this.#effects.sums;
    for (const effect of new Set([...effects.keys(), ...done.keys()])) {
      if (done.get(effect) !== effects.get(effect)) {
        differing.push(`effect ${effect} was done ${done.get(effect) ?? 0} times, must be ${effects.get(effect) ?? 0}`);
      }
    }
    if (differing.length > 0) {
      throw new Error(`${differing.length} sums differ:\n${differing.slice(0, 20).join("\n")}`);
    }
    const count = effects.values().reduce((total, times) => total + times, 0);
    return { calls: this.#ended, kills: this.#kills, touched: counters.size, sum, effects: count };
  }

  /** The counters that exist. */
  async #keys(): Promise<Set<string>> {
    const keys = new Set<string>();
    for (let after: string | null = ""; after !== null; ) {
      const query: string = new URLSearchParams({ prefix: "counter/", after, limit: String(LIST_PAGE) }).toString();
      const response = await fetch(`${this.#url(0)}/v1/tenants/${TENANT}/objects?${query}`);
      const page = (await response.json()) as { objects: { key: string }[]; next: string | null };
      for (const { key } of page.objects) {
        keys.add(key);
      }
      after = page.next;
    }
    return keys;
  }
}

/** The host was killed meanwhile. */
function unlessGone(error: unknown): void {
  if (!(error instanceof TypeError)) {
    throw error;
  }
}
