/** The yardstick of everything durable: what this disk takes to flush 4 KiB. */
import { closeSync, fdatasyncSync, fsyncSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type Measurement, summarize } from "./measurement.ts";

const FILE_BYTES = 16 * 1024 * 1024;
const WRITE_BYTES = 4096;

/**
 * Writes 4 KiB and flushes, over and over, blocking the caller's thread: `write` then `fdatasync` into a file whose blocks are
 * allocated, one write after the other through the file, as a journal does.
 */
export class FlushLoop implements Disposable {
  readonly #file: number;
  readonly #block = Buffer.alloc(WRITE_BYTES, 0x5a);
  #offset = 0;

  constructor(folder: string) {
    this.#file = openSync(join(folder, "flush-loop"), "w");
    for (let offset = 0; offset < FILE_BYTES; offset += 1024 * 1024) {
      writeSync(this.#file, Buffer.alloc(1024 * 1024), 0, 1024 * 1024, offset);
    }
    fsyncSync(this.#file);
  }

  measure(durationMs: number): Measurement {
    const latenciesMs: number[] = [];
    const startMs = performance.now();
    let nowMs = startMs;
    do {
      const beforeMs = nowMs;
      writeSync(this.#file, this.#block, 0, WRITE_BYTES, this.#offset);
      fdatasyncSync(this.#file);
      this.#offset = (this.#offset + WRITE_BYTES) % FILE_BYTES;
      nowMs = performance.now();
      latenciesMs.push(nowMs - beforeMs);
    } while (nowMs < startMs + durationMs);
    return summarize(latenciesMs, nowMs - startMs);
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }
}
