/**
 * An executor in a process of its own.
 *
 * Owns: the process from its start to its end, what it may grow to. Does not own: which tenant's calls run in it.
 *
 * 1. A process serves one tenant at most: whoever takes it out of the reserve keeps it.
 * 2. It ends when this process does, in whatever way: its pipe closes, and its starter kills it.
 * 3. Nothing it says is believed before it is checked (`frames.ts`, `distrust.ts`).
 */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import type { ProcessEnd, ProcessStarter, StartedProcess } from "../../processes/index.ts";
import type { Carrier, CarrierEnd } from "../frames/carrier.ts";
import type { SliceView } from "../frames/slice-marks.ts";
import { lowerPriority, scheduledMs } from "../frames/thread-carrier.ts";
import { HostPipe } from "./pipe-channel.ts";
import { SliceFile } from "./slice-file.ts";

const LOOK_EVERY_MS = 100;
/** The kernel's limit is above ours, as it counts more: pages of files, its own memory. It is for what grows faster than we look. */
const BEYOND_RSS_BYTES = 64 * 1024 * 1024;
/** Threads of the engine, and of what starts it; and what is left for more. */
const TASKS_MAX = 64;
/** How a process ends by its own doing, when it does not exit: everything else somebody has sent it. */
const OWN_SIGNALS: ReadonlySet<string | null> = new Set([null, "SIGABRT", "SIGSEGV", "SIGBUS", "SIGILL", "SIGTRAP", "SIGFPE"]);

export interface ProcessOptions {
  readonly starter: ProcessStarter;
  /** Flags for Node, which reads `source` from its standard input. */
  readonly arguments: readonly string[];
  readonly source: Promise<Uint8Array>;
  readonly rssMaxBytes: number;
  readonly bodyMaxBytes: number;
  /** Threads of guests in it, beside those of the engine. */
  readonly threadsMax: number;
}

export class ProcessCarrier implements Carrier {
  readonly channel: HostPipe;
  readonly marks: SliceView;
  readonly #slices: SliceFile;
  readonly sharesMemory = false;
  readonly ready: Promise<void>;
  readonly ended: Promise<CarrierEnd>;
  readonly #options: ProcessOptions;
  readonly #look: NodeJS.Timeout;
  #started: StartedProcess | undefined;
  /** The kernel's id of the executor, once it serves. */
  #processId: number | undefined;
  /** Why it is killed from here. */
  #verdict: string | undefined;

  /** @throws when the system has no file to give */
  constructor(options: ProcessOptions) {
    this.#options = options;
    const { rssMaxBytes, bodyMaxBytes } = options;
    this.#slices = new SliceFile(`neap-${randomUUID()}`, rssMaxBytes);
    this.marks = this.#slices.slot(0);
    const ready = Promise.withResolvers<void>();
    this.ready = ready.promise;
    this.channel = new HostPipe(
      bodyMaxBytes,
      () => this.#started?.interrupt(),
      () => void this.#serves(ready.resolve),
      (message) => this.kill(`the worker process broke the protocol: ${message}`),
    );
    this.ended = this.#run();
    this.#look = setInterval(() => this.#weigh(), LOOK_EVERY_MS).unref();
  }

  /** The kernel's id of the process, while it serves. */
  get processId(): number | undefined {
    return this.#processId;
  }

  /** Of a further worker in it, see `SliceFile`. */
  marksOf(slot: number): SliceView {
    return this.#slices.slot(slot);
  }

  cpuMs(): number | undefined {
    return this.#processId === undefined ? undefined : scheduledMs(`/proc/${this.#processId}`);
  }

  renice(): void {
    if (this.#processId !== undefined) {
      lowerPriority(this.#processId);
    }
  }

  async terminate(): Promise<void> {
    this.kill("the worker process was ended");
    await this.ended;
  }

  /** Resident bytes; undefined where the system does not tell. */
  rssBytes(): number | undefined {
    if (this.#processId === undefined) {
      return undefined;
    }
    try {
      const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.#processId}/status`, "latin1"))?.[1];
      return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
    } catch {
      return undefined;
    }
  }

  async #run(): Promise<CarrierEnd> {
    try {
      const { starter, source, rssMaxBytes } = this.#options;
      const input = await source;
      if (this.#verdict !== undefined) {
        return { message: this.#verdict, isKilled: true };
      }
      const limits = { memoryMaxBytes: rssMaxBytes + BEYOND_RSS_BYTES, tasksMax: TASKS_MAX + this.#options.threadsMax };
      this.#started = starter.start({ arguments: this.#options.arguments, input, limits, file: this.#slices.path });
      this.#started.socket.then(
        (socket) => this.channel.connect(socket),
        () => {},
      );
      return this.#endOf(await this.#started.ended);
    } catch (cause) {
      return neverStarted(cause);
    } finally {
      clearInterval(this.#look);
      this.#slices.close();
    }
  }

  async #serves(ready: () => void): Promise<void> {
    this.#processId = await this.#started?.processId();
    if (this.#processId !== undefined) {
      ready();
    }
  }

  #weigh(): void {
    const { rssMaxBytes } = this.#options;
    const rssBytes = this.rssBytes() ?? 0;
    if (rssBytes > rssMaxBytes) {
      this.kill(`the worker process held ${rssBytes} bytes of memory, at most ${rssMaxBytes} are allowed`);
    } else if (this.#slices.isOvergrown) {
      this.kill("the worker process wrote too much into the file of its slice marks");
    }
  }

  /** Ends it at once. @param verdict  why, if it has no other reason: a sentence without a full stop */
  kill(verdict: string): void {
    this.#verdict ??= verdict;
    this.#started?.kill();
  }

  #endOf({ code, signal, complaint, failure, heldBytes }: ProcessEnd): CarrierEnd {
    this.#processId = undefined;
    if (this.#verdict !== undefined) {
      return { message: this.#verdict, isKilled: true };
    }
    if (failure !== undefined) {
      return neverStarted(new Error(failure));
    }
    if (heldBytes !== undefined) {
      return { message: `the worker process held ${heldBytes} bytes of memory, far more than are allowed`, isKilled: true };
    }
    const why = complaint === "" ? "" : `: ${complaint}`;
    return {
      message: `the worker process ended with ${signal ?? `code ${code}`}${why}`,
      isKilled: !OWN_SIGNALS.has(signal),
    };
  }
}

/** The end of a process for which the system had no room. */
export function neverStarted(cause: unknown): CarrierEnd {
  const message = cause instanceof Error ? cause.message : `${cause}`;
  return { message: `the worker process could not be started: ${message}`, isKilled: false, cause };
}
