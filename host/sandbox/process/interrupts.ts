/**
 * How a guest that computes is asked to give way in a process, which shares no memory with the host and whose thread reads no pipe
 * meanwhile: reads of a pipe of its own are always under way in threads of Node's pool, right into the word that preemptible guests
 * look at. More than one, as a guest that has seen a word may run again before the thread that has read it has come to say so.
 *
 * A process that ends waits for these reads: it says so in the same pipe, and the host closes it.
 */
import { read, writeSync } from "node:fs";
import type { Socket } from "node:net";
import type { ControlWord } from "../control-word.ts";

const ANY = Buffer.of(1);
/** Of the pool's four threads; nothing else in such a process needs one. */
const READS = 3;

/** The process's side. */
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
      // The host has closed it, and the read has ended.
    }
  });
}

/** The host's side. */
export class InterruptPipe {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.once("data", () => this.close());
    // The process has ended, which is told elsewhere.
    socket.on("error", () => {});
  }

  /** Says nothing while an earlier word has not got through: a process that does not listen costs no memory. */
  interrupt(): void {
    if (this.#socket.writable && this.#socket.writableLength === 0) {
      this.#socket.write(ANY);
    }
  }

  close(): void {
    this.#socket.destroy();
  }
}
