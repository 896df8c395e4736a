import { NeapError } from "../errors.ts";
import type { Tag } from "../ids.ts";
import type { Timers } from "../ports.ts";
import type { BookState } from "./book-state.ts";
import { RecordKind } from "./kinds.ts";
import type { NewRecord, ReadResult } from "./logbook.ts";
import { decodeTrim } from "./trim.ts";

/** What one session may wait for at a time: half of what a connection has room for, so that its other requests get through. */
export const WAITS_MAX = 8_192;
export const WAIT_MAX_MS = 2 ** 31 - 1;

/** @throws BAD_TIMEOUT unless it is a whole number from 0 to WAIT_MAX_MS */
export function checkTimeout(timeoutMs: number): void {
  if (!Number.isInteger(timeoutMs) || timeoutMs < 0 || timeoutMs > WAIT_MAX_MS) {
    throw new NeapError("BAD_TIMEOUT", `timeoutMs is ${timeoutMs}, must be a whole number from 0 to ${WAIT_MAX_MS}`);
  }
}

export interface WaitFor {
  readonly book: BookState;
  readonly tag: Tag;
  /** The session that asks. */
  readonly owner: object;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** Reads now. @throws TRIMMED */
  readonly look: () => ReadResult;
  /** Whether there is something, or nothing can come any more. */
  readonly isEnough: (found: ReadResult) => boolean;
}

interface Wait {
  readonly owner: object;
  /** Looks, and ends the wait when that is enough, or when its time is over. */
  readonly look: (isTimeOver: boolean) => void;
  readonly fail: (reason: unknown) => void;
}

/**
 * Reads that wait for a record to come.
 *
 * W1. A wait is over once, and then nothing of it is left: by its record, its time, its caller, or the end of its session.
 * W2. What it answers was so in the tick in which it is answered.
 */
export class Waits {
  readonly #timers: Timers;
  readonly #byBook = new Map<BookState, Map<Tag, Set<Wait>>>();
  readonly #counts = new Map<object, number>();

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** In how many LogBooks somebody waits. */
  get size(): number {
    return this.#byBook.size;
  }

  /**
   * Resolves to what `look` finds as soon as that is enough, or when the time is over; rejects with the signal's reason.
   * @throws TOO_MANY_WAITS
   */
  wait({ book, tag, owner, timeoutMs, signal, look, isEnough }: WaitFor): Promise<ReadResult> {
    const { promise, resolve, reject } = Promise.withResolvers<ReadResult>();
    const end = () => {
      cancelTimer();
      signal?.removeEventListener("abort", abort);
      this.#remove(book, tag, wait);
    };
    const fail = (reason: unknown) => {
      end();
      reject(reason);
    };
    const abort = () => fail(signal?.reason);
    const wait: Wait = {
      owner,
      look: (isTimeOver) => {
        try {
          const found = look();
          if (isTimeOver || isEnough(found)) {
            end();
            resolve(found);
          }
        } catch (error) {
          fail(error);
        }
      },
      fail,
    };
    this.#add(book, tag, wait);
    const cancelTimer = this.#timers.after(timeoutMs, () => wait.look(true));
    signal?.addEventListener("abort", abort);
    return promise;
  }

  /** These records were applied. */
  applied(book: BookState, records: readonly NewRecord[]): void {
    const byTag = this.#byBook.get(book);
    if (byTag === undefined) {
      return;
    }
    for (const { kind, tags, data } of records) {
      for (const tag of tags) {
        lookAll(byTag.get(tag));
      }
      if (kind === RecordKind.trim) {
        const { tag } = decodeTrim(data);
        for (const waits of tag === null ? [...byTag.values()] : [byTag.get(tag)]) {
          lookAll(waits);
        }
      }
    }
  }

  /** Ends the waits of a session: they reject with OWNER_UNAVAILABLE. */
  leaveAll(owner: object): void {
    for (const byTag of [...this.#byBook.values()]) {
      for (const wait of [...byTag.values()].flatMap((waits) => [...waits])) {
        if (wait.owner === owner) {
          wait.fail(new NeapError("OWNER_UNAVAILABLE", "the session with the owner of the LogBook has ended"));
        }
      }
    }
  }

  #add(book: BookState, tag: Tag, wait: Wait): void {
    const count = this.#counts.get(wait.owner) ?? 0;
    if (count >= WAITS_MAX) {
      throw new NeapError("TOO_MANY_WAITS", `${count} reads of this node wait for records, at most ${WAITS_MAX} may`);
    }
    this.#counts.set(wait.owner, count + 1);
    const byTag = this.#byBook.get(book) ?? new Map<Tag, Set<Wait>>();
    this.#byBook.set(book, byTag.set(tag, (byTag.get(tag) ?? new Set()).add(wait)));
  }

  #remove(book: BookState, tag: Tag, wait: Wait): void {
    const byTag = this.#byBook.get(book);
    const waits = byTag?.get(tag);
    if (byTag === undefined || waits?.delete(wait) !== true) {
      return;
    }
    if (waits.size === 0) {
      byTag.delete(tag);
    }
    if (byTag.size === 0) {
      this.#byBook.delete(book);
    }
    const left = (this.#counts.get(wait.owner) ?? 0) - 1;
    if (left > 0) {
      this.#counts.set(wait.owner, left);
    } else {
      this.#counts.delete(wait.owner);
    }
  }
}

function lookAll(waits: ReadonlySet<Wait> | undefined): void {
  for (const wait of waits === undefined ? [] : [...waits]) {
    wait.look(false);
  }
}
