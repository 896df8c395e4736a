/**
 * Tells when a thread runs nothing any more. Its memory is given back after that, which takes the kernel 0.1 ms for each MiB: who waits for
 * what the thread does to memory that others share need not wait so long.
 */
import { MessageChannel, type MessagePort } from "node:worker_threads";

export class ThreadLife {
  /** For the thread, in its `workerData`, which keeps it: Node closes it when the thread's last code has run. */
  readonly port: MessagePort;
  /** Resolves when the thread runs nothing any more. */
  readonly over: Promise<void>;

  constructor() {
    const { port1, port2 } = new MessageChannel();
    this.port = port2;
    this.over = new Promise((resolve) => port1.once("close", resolve));
    port1.unref();
  }
}
