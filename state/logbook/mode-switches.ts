/**
 * Switches scopes from one mode to another while calls go on.
 *
 * Owns: the decision of BEGIN and END, the pace of what is between them. Does not own: what instances do meanwhile (protocols).
 *
 * W1. BEGIN and END are decided and ordered in one tick: two coordinators, or one that comes back after a crash, do no harm. A switch
 *     that a crash has interrupted is between its BEGIN and its END, and goes on at the next opening.
 * W2. END is refused while an instance that began below BEGIN is not done (F18), while BEGIN is not durable, and while an object is
 *     not where the new mode looks for it. Attempts that have logged nothing are refused by the floor that END raises.
 * W3. No call waits for a switch.
 */
import { NeapError } from "../errors.ts";
import { isObjectKey, type LogBookId, NO_SEQNUM, quote, type SeqNum } from "../ids.ts";
import type { Timers } from "../ports.ts";
import { DEFAULT_MODE_TAG, MODES_TAG, modeTag } from "../tags.ts";
import type { BookState } from "./book-state.ts";
import { RecordKind } from "./kinds.ts";
import type { ScopeView } from "./logbook.ts";
import { isMigrated } from "./migration.ts";
import { encodeMode, type Mode, type ModeRecord } from "./modes.ts";
import type { Outbox } from "./outbox.ts";
import type { Scope } from "./scopes.ts";
import type { Sequencer } from "./sequencer.ts";
import type { ShardIndex } from "./shard-index.ts";

/** How often a switch looks whether it can end. */
const LOOK_MS = 20;

/** What a look at a switch has found or done. */
type SwitchProgress = "ended" | "migrating" | "waiting";

export class ModeSwitches {
  readonly #index: ShardIndex;
  readonly #outbox: Outbox;
  readonly #sequencer: Sequencer;
  readonly #timers: Timers;
  #cancel: (() => void) | undefined;
  #isStopped = false;

  constructor(parts: { index: ShardIndex; outbox: Outbox; sequencer: Sequencer; timers: Timers }) {
    this.#index = parts.index;
    this.#outbox = parts.outbox;
    this.#sequencer = parts.sequencer;
    this.#timers = parts.timers;
    this.#drive();
  }

  /** Of scopes that somebody has chosen a mode for, and of those with a load. */
  *names(id: LogBookId): Iterable<string> {
    const book = this.#index.book(id);
    const { byName } = book.scopes;
    yield* byName.keys();
    for (const name of this.#sequencer.load(book).byScope.keys()) {
      if (!byName.has(name)) {
        yield name;
      }
    }
  }

  /** @param waitingFor  unfinished instances that began before its switch */
  view(id: LogBookId, name: string, waitingFor: number, decision: (scope: Scope) => string | null): ScopeView {
    const book = this.#index.book(id);
    const scope = book.scopes.get(name);
    const { reads, writes } = this.#sequencer.load(book).of(name);
    return {
      scope: name,
      mode: scope?.mode ?? null,
      to: scope?.to ?? null,
      automatic: scope?.automatic ?? false,
      begin: scope?.begin ?? NO_SEQNUM,
      waitingFor,
      decision: scope === undefined ? null : decision(scope),
      reads,
      writes,
    };
  }

  /**
   * Begins to switch the scope, or, when it is in that mode, only notes who chooses from now on.
   * @returns the position of what says so
   * @throws SWITCH_UNDER_WAY, BAD_KEY
   */
  begin(id: LogBookId, name: string, to: Mode, automatic: boolean): SeqNum {
    if (name.includes("/") || (name !== "" && !isObjectKey(name))) {
      throw new NeapError(
        "BAD_KEY",
        `scope ${quote(name)} is not what object keys can have before their first "/": at most 1023 bytes of UTF-8 without control characters`,
      );
    }
    const book = this.#index.book(id);
    const { mode = null, to: target = null, automatic: wasAutomatic = null } = book.scopes.get(name) ?? {};
    if (target !== null) {
      throw new NeapError("SWITCH_UNDER_WAY", `scope ${quote(name)} is being switched to ${target}; wait for its end`);
    }
    if (mode === to && wasAutomatic === automatic) {
      return this.#index.tail;
    }
    const seqnum = this.#order(book, name, mode === to ? { mode, to: null, automatic } : { mode, to, automatic });
    this.#drive();
    return seqnum;
  }

  chooseDefault(id: LogBookId, mode: Mode): SeqNum {
    const data = encodeMode({ mode, to: null, automatic: false });
    return this.#sequencer.orderOwn(this.#index.book(id), { kind: RecordKind.mode, tags: [DEFAULT_MODE_TAG, MODES_TAG], data });
  }

  /** Takes a switch one bounded piece further. */
  advance(book: BookState, name: string, scope: Scope): SwitchProgress {
    const { to, begin, automatic } = scope;
    if (to === null) {
      return "ended";
    }
    // Those that have logged no step do not count: their first one is refused `stale` once the floor is at `begin`.
    if (begin > this.#outbox.durable || book.instances.modesAt() < begin) {
      return "waiting";
    }
    if (!isMigrated(scope)) {
      this.#sequencer.orderOwn(book, { kind: RecordKind.migrated, tags: [], data: Buffer.from(name) });
      return "migrating";
    }
    this.#order(book, name, { mode: to, to: null, automatic });
    return "ended";
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  #order(book: BookState, name: string, record: ModeRecord): SeqNum {
    return this.#sequencer.orderOwn(book, { kind: RecordKind.mode, tags: [modeTag(name), MODES_TAG], data: encodeMode(record) });
  }

  /** Looks again and again, as long as there is a switch. */
  #drive(): void {
    if (this.#cancel !== undefined || this.#isStopped) {
      return;
    }
    const delayMs = this.#advanceAll();
    if (delayMs !== null) {
      this.#cancel = this.#timers.after(delayMs, () => {
        this.#cancel = undefined;
        this.#drive();
      });
    }
  }

  /** @returns after how many ms to look again; null when no scope is being switched */
  #advanceAll(): number | null {
    let delayMs: number | null = null;
    for (const book of this.#index.books.values()) {
      for (const [name, scope] of book.scopes.byName) {
        if (scope.to !== null) {
          const again = this.#advanceOne(book, name, scope);
          delayMs = Math.min(delayMs ?? again, again);
        }
      }
    }
    return delayMs;
  }

  #advanceOne(book: BookState, name: string, scope: Scope): number {
    try {
      const progress = this.advance(book, name, scope);
      if (progress === "waiting") {
        void this.#outbox.whenDurable(scope.begin);
      }
      return progress === "migrating" ? 0 : LOOK_MS;
    } catch (error) {
      if (error instanceof NeapError) {
        // No room on the disk: there will be some later.
        return LOOK_MS;
      }
      throw error;
    }
  }
}
