/** Hands frames to the log thread and hears from it, through shared memory only. */
import { Worker } from "node:worker_threads";
import type { Faults } from "../ports.ts";
import type { AllocationState } from "./allocation.ts";
import type { FrameWriter } from "./frame-writer.ts";
import type { LogThreadData } from "./log-thread.ts";
import { Order, SharedSlot, Word } from "./shared-slot.ts";

/** A flush takes so many turns of an idle event loop, some 250 µs; waking it costs 50. See docs/decisions/0013-wake-ups.md. */
const LOOKS_BEFORE_SLEEP = 250;

/** Starts the log thread of a folder. It keeps this process alive only while a write is under way, or a segment waited for. */
export function threadWriter(directory: string, faults: Faults): FrameWriter {
  const slot = new SharedSlot();
  const { words } = slot;
  const thread = new Worker(new URL("./log-thread.ts", import.meta.url), {
    name: "neap-log",
    workerData: { directory, memory: slot.memory } satisfies LogThreadData,
  });
  thread.unref();
  let closing = false;
  const ended = new Promise<void>((resolve) => {
    thread.once("exit", (code) => {
      if (!closing) {
        writer.onFailure(new Error(`the log thread ended with code ${code}`));
      }
      resolve();
    });
  });
  thread.once("error", (error) => writer.onFailure(error));

  let isWriting = false;
  let isAwaited = false;

  /** Waiting for memory does not keep the event loop alive, the thread does. */
  const keepAlive = (): void => {
    if (isWriting || isAwaited) {
      thread.ref();
    } else {
      thread.unref();
    }
  };

  const written = (): void => {
    isWriting = false;
    keepAlive();
    faults.at("flush:after");
    writer.onWritten();
  };

  /** Word.written before the write under way. */
  let before = 0;
  let looksLeft = 0;

  /** Looks for the end of the write, turn by turn of the event loop, and in the end sleeps until it comes. */
  const look = (): void => {
    if (Atomics.load(words, Word.written) !== before) {
      written();
    } else if (looksLeft > 0) {
      looksLeft -= 1;
      setImmediate(look);
    } else {
      sleep();
    }
  };

  const sleep = (): void => {
    const waiting = Atomics.waitAsync(words, Word.written, before);
    if (waiting.async) {
      void waiting.value.then(written);
    } else {
      written();
    }
  };

  const taken = (): void => {
    Atomics.store(words, Word.order, Order.none);
    isAwaited = false;
    keepAlive();
  };

  const writer: FrameWriter = {
    frame: slot.frame,
    onWritten() {},
    onAllocated() {},
    onFailure() {},
    write(segmentNumber, offset, sizeBytes) {
      faults.at("flush:before");
      isWriting = true;
      keepAlive();
      before = Atomics.load(words, Word.written);
      Atomics.store(words, Word.segment, segmentNumber);
      Atomics.store(words, Word.offset, offset);
      Atomics.store(words, Word.sizeBytes, sizeBytes);
      Atomics.add(words, Word.submitted, 1);
      slot.wake();
      looksLeft = LOOKS_BEFORE_SLEEP;
      setImmediate(look);
    },
    allocate(header) {
      slot.header.set(header);
      Atomics.store(words, Word.order, Order.running);
      slot.wake();
      const waiting = Atomics.waitAsync(words, Word.order, Order.running);
      if (waiting.async) {
        void waiting.value.then(() => writer.onAllocated());
      }
    },
    allocation(): AllocationState {
      switch (Atomics.load(words, Word.order)) {
        case Order.running:
          return "running";
        case Order.done:
          taken();
          return "done";
        case Order.full:
          taken();
          return "full";
        default:
          return "none";
      }
    },
    hurry() {
      isAwaited = true;
      keepAlive();
      Atomics.store(words, Word.hurried, 1);
      slot.wake();
    },
    release(before) {
      Atomics.store(words, Word.released, before);
      slot.wake();
    },
    async close() {
      closing = true;
      thread.ref();
      Atomics.store(words, Word.stop, 1);
      slot.wake();
      await ended;
    },
  };
  return writer;
}
