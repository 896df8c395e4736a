/**
 * The simulated world's time, and what happens in it next.
 *
 * Owns: the queue of what is going to happen, the clock, the trace. Does not own: what happens.
 *
 * D1. Between two events every promise is settled that can be: an event is the only thing that begins anything.
 * D2. Which event is next depends on the seed alone, so two runs of one seed have the same trace.
 * D3. What belongs to a process that has ended never happens; that of a paused one happens when it goes on.
 */
import { type Prng, prng } from "../support/prng.ts";

/** What can end or pause, with everything that was going to happen in it. */
export interface Scope {
  readonly name: string;
  alive: boolean;
  /** Nothing happens in it before this time. */
  pausedUntilMs: number;
}

interface Event {
  dueMs: number;
  /** Decides between events of one time. */
  readonly tie: number;
  readonly order: number;
  readonly scope: Scope;
  readonly label: string;
  readonly run: () => void;
  cancelled: boolean;
}

/** Lines of the trace that a failure shows. */
const LAST_LINES = 60;

export class Scheduler {
  nowMs = 0;
  events = 0;
  /** Of everything that happened so far, in its order. */
  hash = 0x811c9dc5;
  readonly #random: Prng;
  /** A heap by `isBefore`. */
  readonly #queue: Event[] = [];
  readonly #lines: string[] = [];
  #order = 0;

  constructor(seed: number) {
    this.#random = prng(seed ^ 0x5eed);
  }

  /** @returns cancels it */
  at(scope: Scope, delayMs: number, label: string, run: () => void): () => void {
    this.#order += 1;
    const event: Event = {
      dueMs: this.nowMs + Math.max(0, delayMs),
      tie: this.#random.below(2 ** 30),
      order: this.#order,
      scope,
      label,
      run,
      cancelled: false,
    };
    this.#push(event);
    return () => {
      event.cancelled = true;
    };
  }

  /** Adds a line to the trace. */
  note(line: string): void {
    const text = `${this.nowMs.toFixed(2)} ${line}`;
    for (let i = 0; i < text.length; i += 1) {
      this.hash = Math.imul(this.hash ^ text.charCodeAt(i), 0x01000193);
    }
    this.#lines.push(text);
    if (this.#lines.length > 20_000) {
      this.#lines.splice(0, 10_000);
    }
  }

  /** The last lines of the trace, or those that hold a text. */
  lines(part = ""): readonly string[] {
    return this.#lines.filter((line) => line.includes(part)).slice(-LAST_LINES);
  }

  /** Lets events happen until `isOver` holds, there is none, the time has come, or an event too many has happened. */
  async run(isOver: () => boolean, untilMs: number, eventsMax: number): Promise<void> {
    await allSettled();
    while (!isOver() && this.events < eventsMax) {
      const event = this.#pop();
      if (event === undefined) {
        return;
      }
      if (event.cancelled || !event.scope.alive) {
        continue;
      }
      if (event.scope.pausedUntilMs > event.dueMs) {
        event.dueMs = event.scope.pausedUntilMs;
        this.#push(event);
        continue;
      }
      if (event.dueMs > untilMs) {
        this.#push(event);
        this.nowMs = untilMs;
        return;
      }
      this.nowMs = event.dueMs;
      this.events += 1;
      this.note(`${event.scope.name}: ${event.label}`);
      event.run();
      await allSettled();
    }
  }

  #push(event: Event): void {
    const queue = this.#queue;
    let at = queue.push(event) - 1;
    while (at > 0) {
      const above = (at - 1) >>> 1;
      const parent = queue[above] as Event;
      if (!isBefore(event, parent)) {
        break;
      }
      queue[at] = parent;
      at = above;
    }
    queue[at] = event;
  }

  #pop(): Event | undefined {
    const queue = this.#queue;
    const first = queue[0];
    const last = queue.pop();
    if (first === undefined || last === undefined || queue.length === 0) {
      return first;
    }
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      const right = queue[below + 1];
      if (right !== undefined && isBefore(right, queue[below] as Event)) {
        below += 1;
      }
      const child = queue[below];
      if (child === undefined || !isBefore(child, last)) {
        break;
      }
      queue[at] = child;
      at = below;
    }
    queue[at] = last;
    return first;
  }
}

function isBefore(a: Event, b: Event): boolean {
  if (a.dueMs !== b.dueMs) {
    return a.dueMs < b.dueMs;
  }
  return a.tie === b.tie ? a.order < b.order : a.tie < b.tie;
}

/** Runs everything that waits for promises and next ticks only. */
function allSettled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
