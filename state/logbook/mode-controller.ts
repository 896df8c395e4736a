/**
 * Chooses the modes of scopes that may choose by themselves.
 *
 * Owns: what was seen of a scope's load, and the decision. Does not own: the switch itself (mode-switches).
 *
 * Halfmoon-read appends once per write, Halfmoon-write once per read: the one with fewer appends is the cheaper one, and they are equal at
 * a read share of one half (Halfmoon, SOSP '23, section on choosing a protocol, with one append per write).
 *
 * C1. A scope is not switched back and forth: only when the read share is beyond the crossover by a margin, the saving is worth it by
 *     the measured time of an append, and the last change is long enough ago.
 * C2. A scope that somebody has pinned, or that is in another mode than these two, is left alone.
 */
import { NeapError } from "../errors.ts";
import type { Clock, Timers } from "../ports.ts";
import type { BookState } from "./book-state.ts";
import type { ModeSwitches } from "./mode-switches.ts";
import type { Mode } from "./modes.ts";
import type { Outbox } from "./outbox.ts";
import type { Load } from "./scope-load.ts";
import type { Scope } from "./scopes.ts";
import type { Sequencer } from "./sequencer.ts";
import type { ShardIndex } from "./shard-index.ts";

export interface ControllerOptions {
  /** False leaves every scope in its mode. */
  readonly enabled: boolean;
  /** How often the load is looked at. */
  readonly windowMs: number;
  /** A mode is kept at least that long. */
  readonly dwellMs: number;
  /** The share of reads at which both modes append equally often. */
  readonly crossover: number;
  /** So far beyond the crossover the share must be. */
  readonly margin: number;
  /** A window with fewer operations says nothing. */
  readonly operationsMin: number;
  /** Time of appends per second that a switch must save. */
  readonly savingMinMs: number;
}

export const DEFAULT_CONTROLLER_OPTIONS: ControllerOptions = {
  enabled: true,
  windowMs: 1_000,
  dwellMs: 30_000,
  crossover: 0.5,
  margin: 0.1,
  operationsMin: 100,
  savingMinMs: 1,
};

/** Of the newest sample in the measured time. */
const SAMPLE_WEIGHT = 0.2;

export class ModeController {
  readonly #index: ShardIndex;
  readonly #outbox: Outbox;
  readonly #sequencer: Sequencer;
  readonly #switches: ModeSwitches;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #options: ControllerOptions;
  /** The load at the end of the window before. */
  readonly #before = new WeakMap<Scope, Load>();
  readonly #decisions = new WeakMap<Scope, string>();
  /** What it takes until what was ordered is durable; undefined before the first sample. */
  #appendMs: number | undefined;
  #cancel: () => void = () => {};

  constructor(parts: {
    index: ShardIndex;
    outbox: Outbox;
    sequencer: Sequencer;
    switches: ModeSwitches;
    clock: Clock;
    timers: Timers;
    options: ControllerOptions;
  }) {
    this.#index = parts.index;
    this.#outbox = parts.outbox;
    this.#sequencer = parts.sequencer;
    this.#switches = parts.switches;
    this.#clock = parts.clock;
    this.#timers = parts.timers;
    this.#options = parts.options;
    if (parts.options.enabled) {
      this.#again();
    }
  }

  /** What the last look at a scope has come to; null when there was none. */
  decision(scope: Scope): string | null {
    return this.#decisions.get(scope) ?? null;
  }

  stop(): void {
    this.#cancel();
  }

  #again(): void {
    this.#cancel = this.#timers.after(this.#options.windowMs, () => {
      this.#look();
      this.#again();
    });
  }

  #look(): void {
    let isWatched = false;
    for (const book of this.#index.books.values()) {
      for (const [name, scope] of book.scopes.byName) {
        if (scope.automatic) {
          isWatched = true;
          this.#decisions.set(scope, this.#decide(book, name, scope));
        }
      }
    }
    if (isWatched) {
      void this.#measure();
    }
  }

  /** @returns what was decided, and why */
  #decide(book: BookState, name: string, scope: Scope): string {
    const load = this.#sequencer.load(book).of(name);
    const before = this.#before.get(scope) ?? { reads: 0, writes: 0 };
    this.#before.set(scope, { ...load });
    const { windowMs, dwellMs, crossover, margin, operationsMin, savingMinMs } = this.#options;
    const reads = load.reads - before.reads;
    const writes = load.writes - before.writes;
    const { mode } = scope;
    if (scope.to !== null) {
      return `is being switched to ${scope.to}`;
    }
    if (mode !== "halfmoon-read" && mode !== "halfmoon-write") {
      return `stays ${mode}: only the two Halfmoon protocols are chosen between`;
    }
    if (reads + writes < operationsMin) {
      return `stays ${mode}: ${reads + writes} operations in ${windowMs} ms, ${operationsMin} are needed`;
    }
    const share = reads / (reads + writes);
    const seen = `${(share * 100).toFixed(0)} % reads`;
    const wanted = wantedMode(share, crossover, margin);
    if (wanted === null || wanted === mode) {
      return `stays ${mode}: ${seen}`;
    }
    const savingMs = (Math.abs(reads - writes) * (this.#appendMs ?? 0) * 1_000) / windowMs;
    const cost = `${savingMs.toFixed(1)} ms of appends per second to save`;
    if (savingMs < savingMinMs) {
      return `stays ${mode}: ${seen}, ${cost}, ${savingMinMs} are needed`;
    }
    const restMs = scope.changedMs + dwellMs - this.#sequencer.timeMs();
    if (restMs > 0) {
      return `stays ${mode} for another ${Math.ceil(restMs / 1_000)} s: ${seen}, ${cost}`;
    }
    try {
      this.#switches.begin(book.id, name, wanted, true);
    } catch (error) {
      if (error instanceof NeapError) {
        // No room on the disk: there will be some later.
        return `stays ${mode}: ${seen}, ${cost}, but ${error.message}`;
      }
      throw error;
    }
    return `switched to ${wanted}: ${seen}, ${cost}`;
  }

  /** Nobody waits for a flush on account of this: there is one sample per window, and only if something was ordered. */
  async #measure(): Promise<void> {
    const { tail } = this.#index;
    if (tail <= this.#outbox.durable) {
      return;
    }
    const startMs = this.#clock.monotonic();
    await this.#outbox.whenDurable(tail);
    const sample = this.#clock.monotonic() - startMs;
    this.#appendMs = this.#appendMs === undefined ? sample : this.#appendMs + (sample - this.#appendMs) * SAMPLE_WEIGHT;
  }
}

/** Null between the margins. */
function wantedMode(share: number, crossover: number, margin: number): Mode | null {
  if (share >= crossover + margin) {
    return "halfmoon-read";
  }
  return share <= crossover - margin ? "halfmoon-write" : null;
}
