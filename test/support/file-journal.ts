/** Journals for tests: small segments, a random source that repeats, frames that become durable when the test says so. */

import { createHash } from "node:crypto";
import { type FileJournalOptions, type Journal, openFileJournal } from "../../state/journal/index.ts";
import { type Clock, noFaults, type Random } from "../../state/ports.ts";
import type { MemoryDisk } from "./memory-disk.ts";
import { systemTimers } from "./system-timers.ts";

export const SMALL_SEGMENT_BYTES = 8192;

/** Another sequence of bytes for each seed, the same for the same one. */
export function seededRandom(seed: string): Random {
  let count = 0;
  return {
    bytes(sizeBytes) {
      const blocks: Buffer[] = [];
      for (let made = 0; made < sizeBytes; made += 32) {
        count += 1;
        blocks.push(createHash("sha256").update(`${seed}/${count}`).digest());
      }
      return Buffer.concat(blocks).subarray(0, sizeBytes);
    },
  };
}

/** A clock that moves only when it is told to. */
export class ManualClock implements Clock {
  ms = 0;
  now(): number {
    return this.ms;
  }
  monotonic(): number {
    return this.ms;
  }
}

let openings = 0;

/** Opens a journal on a memory disk. A failure of the disk fails the test unless `onFailure` is given. */
export function openOn(disk: MemoryDisk, options: Partial<FileJournalOptions> = {}): Promise<Journal> {
  openings += 1;
  return openFileJournal({
    directory: disk.directory,
    disk,
    thread: false,
    segmentBytes: SMALL_SEGMENT_BYTES,
    clock: new ManualClock(),
    timers: systemTimers,
    random: seededRandom(`opening ${openings}`),
    faults: noFaults,
    onFailure(error) {
      throw error;
    },
    ...options,
  });
}

/** Appends and waits until the frame is durable. */
export function appendDurably(journal: Journal, payload: Uint8Array): Promise<number> {
  return new Promise((resolve) => {
    journal.onDurable = () => resolve(address);
    const address = journal.append(payload);
  });
}

/** Copies of the payloads that were there before this opening. */
export function payloadsOf(journal: Journal): string[] {
  return Array.from(journal.frames(), ({ payload }) => Buffer.from(payload).toString("latin1"));
}

/** For `defer`: holds what the journal wants to do until `run`. */
export class Deferred {
  readonly #waiting: (() => void)[] = [];
  #released = false;
  readonly defer = (run: () => void): void => {
    if (this.#released) {
      queueMicrotask(run);
    } else {
      this.#waiting.push(run);
    }
  };
  /** Does what waits and what that brings. */
  run(): void {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      next();
    }
  }
  /** From now on nothing is held. */
  release(): void {
    this.#released = true;
    this.run();
  }
}
