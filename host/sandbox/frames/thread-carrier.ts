/** An executor in a worker thread of this process. */
import { readFileSync } from "node:fs";
import { setPriority } from "node:os";
import { Worker } from "node:worker_threads";
import { THREAD_ENVIRONMENT } from "../../processes/index.ts";
import type { WorkerData, WorkerReady } from "../executor/worker.ts";
import type { Carrier, CarrierEnd } from "./carrier.ts";
import { type Channel, createChannel } from "./channel.ts";
import { createSliceMarks, SliceReader } from "./slice-marks.ts";
import { ThreadLife } from "./thread-life.ts";

/** JavaScript heap of a worker: wrappers of some thousand sandboxes; guests' memories do not count. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 512, maxYoungGenerationSizeMb: 16 };
const LOWEST_PRIORITY = 19;

export interface ThreadOptions {
  readonly name: string;
  readonly importsUrl: URL;
  readonly sandboxesMax: number;
  readonly idleMaxBytes: number;
}

export class ThreadCarrier implements Carrier {
  readonly channel: Channel;
  readonly marks: SliceReader;
  readonly sharesMemory = true;
  readonly ready: Promise<void>;
  readonly ended: Promise<CarrierEnd>;
  readonly #thread: Worker;
  readonly #life = new ThreadLife();
  /** The kernel's id of the thread, where it is known. */
  #threadId: number | undefined;

  constructor({ name, importsUrl, sandboxesMax, idleMaxBytes }: ThreadOptions) {
    const { main, workerEnd } = createChannel();
    const marks = createSliceMarks();
    const life = this.#life.port;
    const data: WorkerData = { channel: workerEnd, life, marks, importsUrl: importsUrl.href, sandboxesMax, idleMaxBytes };
    this.channel = main;
    this.marks = new SliceReader(marks);
    this.#thread = new Worker(new URL("../executor/worker.ts", import.meta.url), {
      name,
      workerData: data,
      transferList: [workerEnd.port, life],
      env: THREAD_ENVIRONMENT,
      resourceLimits: RESOURCE_LIMITS,
    });
    let cause: unknown;
    this.#thread.on("error", (error) => {
      cause = error;
    });
    this.ready = new Promise((resolve) => {
      this.#thread.once("message", ({ threadId }: WorkerReady) => {
        this.#threadId = threadId;
        this.#thread.unref();
        resolve();
      });
    });
    this.ended = new Promise((resolve) => {
      this.#thread.once("exit", () => {
        const message = `the worker thread ended: ${cause instanceof Error ? cause.message : "it exited"}`;
        resolve({ message, isKilled: false, cause });
      });
    });
  }

  cpuMs(): number | undefined {
    return this.#threadId === undefined ? undefined : scheduledMs(`/proc/self/task/${this.#threadId}`);
  }

  renice(): void {
    if (this.#threadId !== undefined) {
      lowerPriority(this.#threadId);
    }
  }

  async terminate(): Promise<void> {
    await Promise.race([this.#thread.terminate(), this.#life.over]);
  }
}

/** CPU time of a thread, by its folder in /proc. */
export function scheduledMs(folder: string): number | undefined {
  try {
    const [cpuNs] = readFileSync(`${folder}/schedstat`, "latin1").split(" ");
    return Number(cpuNs) / 1e6;
  } catch {
    return undefined;
  }
}

export function lowerPriority(threadId: number): void {
  try {
    setPriority(threadId, LOWEST_PRIORITY);
  } catch {
    // Less fair, not less correct: the watchdog still ends what runs too long.
  }
}
