/** A sandbox pool whose guests are functions of the test, so that a test can stop the world between any two operations. */
import type { SandboxCall, SandboxHandler, SandboxLimits, SandboxPool, SandboxStart } from "../../host/sandbox/index.ts";
import { ThreadArena } from "../../host/sandbox/index.ts";
import type { ArenaMemory } from "../../state/regions/index.ts";
import { type ScriptedFunction, ScriptedGuest } from "./scripted-guest.ts";

export class ScriptedPool implements SandboxPool {
  /** By the hash of the artefact. */
  readonly scripts = new Map<string, ScriptedFunction>();
  /** Guests that have not ended, oldest first. */
  readonly running = new Set<ScriptedGuest>();
  /** Attempts and parts begun so far. */
  started = 0;
  /** Of each of them. */
  readonly limits: SandboxLimits[] = [];
  /** Attempts beyond it wait until another one has ended. */
  sandboxesMax = Number.POSITIVE_INFINITY;
  readonly #queue: ScriptedGuest[] = [];
  /** Stopped in the middle, by what stands for their bytes. */
  readonly #frozen = new Map<string, ScriptedGuest>();
  #named = 0;
  readonly #lost = new Set<ArenaMemory>();

  get load() {
    return { workers: 1, active: this.running.size, computing: 0, queued: 0, idle: 0 };
  }

  start(start: SandboxStart, handler: SandboxHandler): SandboxCall {
    const scripted = this.scripts.get(start.artefact.hash);
    if (scripted === undefined) {
      throw new Error(`no script for module ${start.artefact.hash}`);
    }
    const { frozen } = start;
    const guest = frozen === undefined ? this.#new(scripted, start, handler) : this.#thawed(frozen.bytes, start, handler);
    this.#queue.push(guest);
    this.#dispatch();
    return guest;
  }

  #new(scripted: ScriptedFunction, start: SandboxStart, handler: SandboxHandler): ScriptedGuest {
    this.#named += 1;
    const guest = new ScriptedGuest(`guest ${this.#named}`, scripted, start, handler, (frozen) => {
      this.running.delete(guest);
      if (frozen !== null) {
        this.#frozen.set(frozen, guest);
      }
      this.#dispatch();
    });
    return guest;
  }

  #thawed(bytes: Uint8Array, start: SandboxStart, handler: SandboxHandler): ScriptedGuest {
    const name = Buffer.from(bytes).toString();
    const guest = this.#frozen.get(name);
    if (guest === undefined) {
      throw new Error(`${name} is not there, or has gone on before`);
    }
    this.#frozen.delete(name);
    guest.moveTo(start, handler);
    return guest;
  }

  /** Scripts are always ready. */
  prepare(): void {}

  createArena(_tenant: string, maxPages: number): ArenaMemory {
    return new ThreadArena(maxPages);
  }

  reaches(_tenant: string, arena: ArenaMemory): boolean {
    return !this.#lost.has(arena);
  }

  /** The process ends in which guests reach memory regions, and these with it. */
  loseProcess(): void {
    for (const guest of [...this.running]) {
      if (guest.start.arena !== undefined) {
        this.#lost.add(guest.start.arena);
        guest.displace();
        guest.go();
      }
    }
  }

  /** Scripts reach no memory. */
  forget(): void {}

  #dispatch(): void {
    while (this.running.size < this.sandboxesMax) {
      const next = this.#queue.shift();
      if (next === undefined) {
        return;
      }
      this.started += 1;
      this.limits.push(next.start.limits);
      this.running.add(next);
      next.begin();
    }
  }

  async close(): Promise<void> {
    for (const guest of this.running) {
      guest.kill("closed");
    }
  }
}
