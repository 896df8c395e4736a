/**
 * How a guest that computes is asked to give way in a process, which shares no memory with the host and whose thread reads no pipe
 * meanwhile: reads of a pipe of its own are always under way in threads of Node's pool, right into the word that preemptible guests
 * look at. More than one, as a guest that has seen a word may run again before the thread that has read it has come to say so.
 *
 * A process that ends waits for these reads: it says so in the same pipe, whose other end is closed then.
 */
import { read, writeSync } from "node:fs";
import type { ControlWord } from "../frames/control-word.ts";

const ANY = Buffer.of(1);
/** Of the pool's four threads; nothing else in such a process needs one. */
const READS = 3;

export function hearInterrupts(descriptor: number, control: ControlWord): void {
  const { bytes } = control;
  const listen = (): void => {
    read(descriptor, bytes, 0, bytes.byteLength, null, (error, count) => {
      if (error === null && count > 0) {
        listen();
      }
    });
  };
  for (let reads = 0; reads < READS; reads++) {
    listen();
  }
  process.once("exit", () => {
    try {
      writeSync(descriptor, ANY);
    } catch {
      // The other end is closed, and so are the reads.
    }
  });
}
