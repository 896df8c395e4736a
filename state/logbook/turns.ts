import type { Tag } from "../ids.ts";
import type { Timers } from "../ports.ts";

const TURN_MS = 100;

const NO_TIMER = (): void => {};

/** When a turn may begin: at the head of the queue, at once, or not yet. */
export type Gate = () => "first" | "now" | "wait";

const OPEN: Gate = () => "first";

interface Turned {
  readonly owner: object;
  readonly gate: Gate;
  readonly grant: () => void;
  isGranted: boolean;
  cancelTimer: () => void;
}

/**
 * Queues of those who want to change a stream, first come first served. Only a matter of speed: nobody is kept from appending.
 */
export class Turns {
  readonly #timers: Timers;
  /** The first of each queue has the turn. */
  readonly #queues = new Map<Tag, Turned[]>();

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** How many streams somebody has the turn of. */
  get size(): number {
    return this.#queues.size;
  }

  /**
   * Resolves when the turn has come, to what ends it. `owner` is the session that asks.
   * @param gate  asked when the turn could begin, and again at each `changed`
   */
  take(tag: Tag, owner: object, gate = OPEN): Promise<() => void> {
    const { promise, resolve } = Promise.withResolvers<() => void>();
    const grant = () => resolve(() => this.#leave(tag, turned));
    const turned: Turned = { owner, gate, grant, isGranted: false, cancelTimer: NO_TIMER };
    const queue = this.#queues.get(tag) ?? [];
    if (queue.length === 0) {
      this.#queues.set(tag, queue);
    }
    queue.push(turned);
    consider(turned, queue.length === 1);
    this.#limit(tag, queue);
    return promise;
  }

  /** A record with this tag was applied: the turn that has begun goes to the next. */
  appended(tag: Tag): void {
    const first = this.#queues.get(tag)?.[0];
    if (first?.isGranted === true) {
      this.#leave(tag, first);
    }
  }

  /** What gates look at may have changed: turns that may begin do. */
  changed(tag: Tag): void {
    const queue = this.#queues.get(tag) ?? [];
    for (const turned of queue) {
      consider(turned, turned === queue[0]);
      // Behind it only those whose gate may say "now" need to be asked.
      if (turned.gate === OPEN) {
        break;
      }
    }
    this.#limit(tag, queue);
  }

  /** Ends the turns of a session, also those that have not begun. */
  leaveAll(owner: object): void {
    for (const [tag, queue] of this.#queues) {
      for (const turned of queue.filter((one) => one.owner === owner)) {
        turned.grant();
        this.#leave(tag, turned);
      }
    }
  }

  /** Bounds the first one's turn, from the moment that somebody waits for its end: most turns need no timer. */
  #limit(tag: Tag, queue: readonly Turned[]): void {
    const first = queue[0];
    if (first?.isGranted === true && first.cancelTimer === NO_TIMER && queue.length > 1) {
      first.cancelTimer = this.#timers.after(TURN_MS, () => this.#leave(tag, first));
    }
  }

  #leave(tag: Tag, turned: Turned): void {
    const queue = this.#queues.get(tag);
    const index = queue?.indexOf(turned) ?? -1;
    if (queue === undefined || index < 0) {
      return;
    }
    turned.cancelTimer();
    queue.splice(index, 1);
    if (queue.length === 0) {
      this.#queues.delete(tag);
    } else if (index === 0) {
      this.changed(tag);
    }
  }
}

function consider(turned: Turned, isFirst: boolean): void {
  const gate = turned.isGranted ? "wait" : turned.gate();
  if (gate === "now" || (gate === "first" && isFirst)) {
    turned.isGranted = true;
    turned.grant();
  }
}
