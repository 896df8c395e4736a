/**
 * The log thread: writes and flushes frames with blocking calls and, between frames, makes the next segment and takes away released
 * ones. A failure of the disk is not caught: it ends the thread, which the journal sees (J4).
 */
import { workerData } from "node:worker_threads";
import { ALLOCATION_STEP_BYTES, Allocation } from "./allocation.ts";
import { type Disk, realDisk } from "./disk.ts";
import { OpenSegment } from "./frame-writer.ts";
import { releaseOldest } from "./release.ts";
import { Order, SharedSlot, Word } from "./shared-slot.ts";

export interface LogThreadData {
  readonly directory: string;
  readonly memory: SharedArrayBuffer;
}

/** Without a frame for so long the thread takes the next step of an allocation; at once when somebody waits for it. */
const PAUSE_MS = 1;

/**
 * About 20 µs: whoever waited for a frame often has the next one that soon, and being woken takes longer. See
 * docs/decisions/0013-wake-ups.md.
 */
const LOOKS_BEFORE_SLEEP = 500;

/** Under load a step is taken whenever this many bytes of frames were written: a segment is ready when half of one is used up. */
const FRAME_BYTES_PER_STEP = ALLOCATION_STEP_BYTES / 2;

const { directory, memory } = workerData as LogThreadData;
run(realDisk(directory), new SharedSlot(memory));

function run(disk: Disk, slot: SharedSlot): void {
  const { words, frame } = slot;
  const segment = new OpenSegment(disk);
  let allocation: Allocation | undefined;
  let bytesSinceStep = 0;
  let releasedBefore = 0;

  for (;;) {
    const seen = Atomics.load(words, Word.wake);
    const submitted = Atomics.load(words, Word.submitted);
    if (submitted !== Atomics.load(words, Word.written)) {
      const sizeBytes = Atomics.load(words, Word.sizeBytes);
      const bytes = frame.subarray(0, sizeBytes);
      segment.write(Atomics.load(words, Word.segment), Atomics.load(words, Word.offset), bytes).flush();
      Atomics.store(words, Word.written, submitted);
      Atomics.notify(words, Word.written);
      bytesSinceStep += sizeBytes;
      lookFor(submitted);
    } else if (Atomics.load(words, Word.released) !== releasedBefore) {
      const before = Atomics.load(words, Word.released);
      if (!releaseOldest(disk, before)) {
        releasedBefore = before;
      }
    } else if (Atomics.load(words, Word.stop) === 1) {
      segment.close();
      return;
    } else if (Atomics.load(words, Word.order) !== Order.running) {
      Atomics.wait(words, Word.wake, seen);
    } else if (
      bytesSinceStep >= FRAME_BYTES_PER_STEP ||
      Atomics.load(words, Word.hurried) === 1 ||
      Atomics.wait(words, Word.wake, seen, PAUSE_MS) === "timed-out"
    ) {
      bytesSinceStep = 0;
      allocation ??= new Allocation(disk, Buffer.from(slot.header));
      const outcome = allocation.step();
      if (outcome !== "more") {
        allocation = undefined;
        Atomics.store(words, Word.hurried, 0);
        Atomics.store(words, Word.order, outcome === "done" ? Order.done : Order.full);
        Atomics.notify(words, Word.order);
      }
    }
  }

  /** Returns when a frame after number `submitted` is there, or soon. */
  function lookFor(submitted: number): void {
    for (let looks = LOOKS_BEFORE_SLEEP; looks > 0 && Atomics.load(words, Word.submitted) === submitted; looks -= 1) {
      Atomics.pause();
    }
  }
}
