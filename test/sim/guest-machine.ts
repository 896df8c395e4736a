import type { Isolation } from "../../state/txn/index.ts";
import type { ScriptedGuest } from "../support/scripted-guest.ts";
import { brief, type LogTail, type Looked, type Machine, type Program } from "./machine.ts";
import type { SimProcess } from "./process.ts";

/** Names in the memory that travels with a part. */
export const PROGRAM = "program";
export const OUTPUT = "output";

/** How often guests are paused before an operation, and how long at most. */
export interface GuestPauses {
  readonly percent: number;
  readonly maxMs: number;
}

/** A program as a guest: before each operation the seed decides how long it takes to get there. */
export class GuestMachine implements Machine {
  readonly looked: Looked[] = [];
  readonly #guest: ScriptedGuest;
  readonly #point: () => Promise<void>;

  /** @param woke  told after each long pause */
  constructor(guest: ScriptedGuest, process: SimProcess, pauses: GuestPauses, woke: () => void) {
    this.#guest = guest;
    this.#point = async () => {
      const isLong = process.random.below(100) < pauses.percent;
      await process.point("guest", isLong ? process.random.below(pauses.maxMs) : 0);
      if (isLong) {
        woke();
      }
    };
  }

  async read(key: string): Promise<string | null> {
    await this.#point();
    const text = await this.#guest.get(key);
    this.looked.push(brief(text));
    return text;
  }

  async put(key: string, text: string): Promise<void> {
    await this.#point();
    this.#guest.put(key, text);
  }

  async delete(key: string): Promise<void> {
    await this.#point();
    this.#guest.delete(key);
  }

  async list(prefix: string): Promise<readonly string[]> {
    await this.#point();
    const keys = await this.#guest.list(prefix);
    this.looked.push(keys);
    return keys;
  }

  async update(key: string, change: (old: string | null) => string): Promise<string | null> {
    for (;;) {
      await this.#point();
      const { text, version } = await this.#guest.readForUpdate(key);
      await this.#point();
      if (await this.#guest.compareAndSet(key, version, change(text))) {
        this.looked.push(brief(text));
        return text;
      }
    }
  }

  async callStart(program: Program, bound = false): Promise<number> {
    await this.#point();
    const input = JSON.stringify(program);
    return bound ? this.#guest.callStartBound(program.functionName, input) : this.#guest.callStart(program.functionName, input);
  }

  async callAwait(handle: number): Promise<{ returnValue: number; text: string }> {
    await this.#point();
    return this.#guest.callAwait(handle);
  }

  async select(handles: readonly number[]): Promise<number> {
    await this.#point();
    return this.#guest.select(...handles);
  }

  async cancel(handle: number): Promise<number> {
    await this.#point();
    return this.#guest.cancelCall(handle);
  }

  async spawn(program: Program, delayMs: number): Promise<string> {
    await this.#point();
    return `${await this.#guest.spawn(program.functionName, JSON.stringify(program), delayMs)}`;
  }

  async part(program: Program): Promise<unknown> {
    await this.#point();
    this.#guest.memory.set(PROGRAM, JSON.stringify(program));
    await this.#guest.part(program.id, 0);
    const [all, looked] = JSON.parse(this.#guest.memory.get(OUTPUT) ?? "") as [unknown, Looked[]];
    this.looked.push(...looked);
    return all;
  }

  async sleep(durationMs: number): Promise<void> {
    await this.#point();
    return this.#guest.sleep(durationMs);
  }

  async outside(what: string): Promise<string> {
    await this.#point();
    return this.#guest.http("POST", `http://outside/${what}`);
  }

  async sync(): Promise<void> {
    await this.#point();
    this.#guest.sync();
  }

  async fence(): Promise<void> {
    await this.#point();
    this.#guest.fence();
  }

  async begin(isolation: Isolation): Promise<void> {
    await this.#point();
    await this.#guest.transaction(isolation);
  }

  async commit(): Promise<string> {
    await this.#point();
    return this.#guest.commit();
  }

  async abort(): Promise<void> {
    await this.#point();
    await this.#guest.abort();
  }

  async lock(name: string): Promise<number> {
    await this.#point();
    return this.#guest.lock(name);
  }

  async tryLock(name: string): Promise<number> {
    await this.#point();
    return this.#guest.tryLock(name);
  }

  async unlock(name: string): Promise<number> {
    await this.#point();
    return this.#guest.unlock(name);
  }

  async append(stream: string, text: string, length?: number): Promise<string> {
    await this.#point();
    return this.#guest.append(stream, text, length === undefined ? [] : [{ tag: stream, by: "length", value: length }]);
  }

  async logPrev(stream: string, max: number): Promise<string> {
    await this.#point();
    return this.#guest.logPrev(stream, max);
  }

  async logNext(stream: string, min: number): Promise<string> {
    await this.#point();
    return this.#guest.logNext(stream, min);
  }

  async logAwait(stream: string, min: number, timeoutMs: number): Promise<string> {
    await this.#point();
    return this.#guest.logAwait(stream, min, timeoutMs);
  }

  async logTail(stream: string): Promise<LogTail> {
    await this.#point();
    return this.#guest.logTail(stream);
  }

  async trim(stream: string, upTo: number): Promise<void> {
    await this.#point();
    this.#guest.trim(stream, upTo);
  }

  now(): number {
    const timeMs = this.#guest.now();
    this.looked.push(`${timeMs}`);
    return timeMs;
  }

  trap(message: string): never {
    return this.#guest.trap(message);
  }
}
