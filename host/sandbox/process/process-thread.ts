/** An executor in a thread of a tenant's process, as the main thread of the host sees it. */
import { readdirSync, readFileSync } from "node:fs";
import type { Carrier, CarrierEnd, HostChannel, OutgoingFrame } from "../frames/carrier.ts";
import { type Frame, FrameType } from "../frames/protocol.ts";
import type { SliceView } from "../frames/slice-marks.ts";
import { lowerPriority, scheduledMs } from "../frames/thread-carrier.ts";
import { threadName } from "./hub-thread.ts";
import type { ProcessCarrier } from "./process-carrier.ts";

/** What a process may take to end one of its threads, beyond what the engine takes. */
const END_MAX_MS = 1_000;

export interface ProcessThreadOptions {
  readonly carrier: ProcessCarrier;
  readonly number: number;
  /** Where its slice marks are. */
  readonly slot: number;
  readonly send: (frame: OutgoingFrame) => void;
  readonly sendAttached: (frame: OutgoingFrame, attachment: unknown) => void;
  /** A frame was taken out of the inbox, or all were dropped. */
  readonly onRoom: () => void;
}

export class ProcessThread implements Carrier {
  readonly number: number;
  readonly slot: number;
  readonly channel: HostChannel;
  readonly marks: SliceView;
  readonly sharesMemory = false;
  readonly ready: Promise<void>;
  readonly ended: Promise<CarrierEnd>;
  readonly #options: ProcessThreadOptions;
  readonly #serves: () => void;
  readonly #end: (end: CarrierEnd) => void;
  #inbox: Frame[] = [];
  #wake: (() => void) | undefined;
  #isClosed = false;
  #isEnding = false;
  /** The kernel's id of the thread, where it is known. */
  #threadId: number | undefined;

  constructor(options: ProcessThreadOptions) {
    this.#options = options;
    const { carrier, number, slot, send, sendAttached } = options;
    this.number = number;
    this.slot = slot;
    this.marks = carrier.marksOf(slot);
    const ready = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<CarrierEnd>();
    this.ready = ready.promise;
    this.ended = ended.promise;
    this.#serves = ready.resolve;
    this.#end = ended.resolve;
    this.channel = {
      send: (frame) => {
        if (!this.#isClosed) {
          send({ ...frame, worker: number });
        }
      },
      sendAttached: (frame, attachment) => {
        if (!this.#isClosed) {
          sendAttached({ ...frame, worker: number }, attachment);
        }
      },
      receive: () => this.#receive(),
      sleepAsync: (wake) => {
        if (this.#inbox.length > 0) {
          return false;
        }
        this.#wake = wake;
        return true;
      },
      interrupt: () => send({ type: FrameType.workerInterrupt, worker: number }),
      close: () => this.#close(),
    };
  }

  /** Keeps the frame until it is asked for. Returns how many are kept. */
  take(frame: Frame): number {
    if (frame.type === FrameType.ready) {
      void this.#options.carrier.ready.then(() => {
        this.#threadId = threadOf(this.#options.carrier.processId, this.number);
        this.#serves();
      });
    } else if (!this.#isClosed) {
      this.#inbox.push({ ...frame });
      const wake = this.#wake;
      this.#wake = undefined;
      wake?.();
    }
    return this.#inbox.length;
  }

  hasEnded(end: CarrierEnd): void {
    this.#threadId = undefined;
    this.#end(this.#isEnding ? { message: "the thread was ended", isKilled: true } : end);
  }

  cpuMs(): number | undefined {
    const { processId } = this.#options.carrier;
    return this.#threadId === undefined ? undefined : scheduledMs(`/proc/${processId}/task/${this.#threadId}`);
  }

  renice(): void {
    if (this.#threadId !== undefined) {
      lowerPriority(this.#threadId);
    }
  }

  /** A process that does not end it in time ends itself. */
  async terminate(): Promise<void> {
    const { carrier, send, number } = this.#options;
    if (!this.#isEnding) {
      this.#isEnding = true;
      send({ type: FrameType.workerEnd, worker: number });
      void carrier.ready.then(() => this.#expectEnd());
    }
    await this.ended;
  }

  /** Whoever has broken out of one thread has all of them. */
  breached(): void {
    const { carrier } = this.#options;
    carrier.channel.close();
    carrier.kill("the worker process broke the protocol");
  }

  #expectEnd(): void {
    const { carrier } = this.#options;
    const timer = setTimeout(() => carrier.kill("the worker process did not end a thread"), END_MAX_MS).unref();
    void this.ended.then(() => clearTimeout(timer));
  }

  #receive(): Frame | undefined {
    const frame = this.#inbox.shift();
    if (frame !== undefined) {
      this.#options.onRoom();
    }
    return frame;
  }

  #close(): void {
    this.#isClosed = true;
    this.#inbox = [];
    this.#wake = undefined;
    this.#options.onRoom();
  }
}

/** Undefined where the system does not tell, or the process has renamed it: then its time is taken from outside. */
function threadOf(processId: number | undefined, number: number): number | undefined {
  try {
    const name = threadName(number);
    const folder = `/proc/${processId}/task`;
    const found = readdirSync(folder).findLast((thread) => readFileSync(`${folder}/${thread}/comm`, "latin1").trim() === name);
    return found === undefined ? undefined : Number(found);
  } catch {
    return undefined;
  }
}
