/** A thread of a tenant's process, as the one sees it that started it. */
import { type MessagePort, Worker } from "node:worker_threads";
import type { ThreadProgram } from "../../processes/program-text.ts";
import { type Channel, createChannel } from "../frames/channel.ts";
import type { Frame } from "../frames/protocol.ts";
import { ThreadLife } from "../frames/thread-life.ts";
import type { ProcessData } from "./process-worker.ts";
import type { ThreadData } from "./thread-worker.ts";

/** Frames passed on before other threads' are. */
const FRAMES_PER_TURN = 64;
const YOUNG_MEGABYTES = 16;

export interface HubThreadOptions extends ProcessData {
  readonly number: number;
  readonly slot: number;
  readonly program: ThreadProgram;
  /** Names of the modules that the thread runs and that makes imports. */
  readonly entry: string;
  readonly imports: string;
  /** Of Node: what confines the thread. */
  readonly flags: readonly string[];
  /** JavaScript's, of each thread. */
  readonly heapMaxMegabytes: number;
  /** The frame is the receiver's until this returns. */
  readonly onFrame: (frame: Frame) => void;
  readonly onServes: () => void;
  /** Told once: it runs nothing any more. */
  readonly onEnd: (message: string) => void;
}

export class HubThread {
  readonly #channel: Channel;
  readonly #thread: Worker;
  readonly #life = new ThreadLife();
  readonly #onEnd: (message: string) => void;
  readonly #onFrame: (frame: Frame) => void;
  #isEnded = false;
  #isDraining = false;

  constructor(options: HubThreadOptions) {
    const { number, slot, program, entry, imports, sandboxesMax, idleMaxBytes, flags, heapMaxMegabytes } = options;
    const { onFrame, onServes, onEnd } = options;
    const { main, workerEnd } = createChannel();
    this.#channel = main;
    this.#onFrame = onFrame;
    this.#onEnd = onEnd;
    const life = this.#life.port;
    const data: ThreadData = { channel: workerEnd, life, slot, imports, sandboxesMax, idleMaxBytes };
    const { sources, packages, loads } = program;
    const text = `(${loads})(require("node:worker_threads").workerData.program); import(${JSON.stringify(entry)})`;
    this.#thread = new Worker(text, {
      eval: true,
      // By it the host finds the thread among those of the process.
      name: threadName(number),
      workerData: { ...data, program: { sources, packages } },
      transferList: [workerEnd.port, life],
      env: {},
      // Given none, a thread has all permissions.
      execArgv: [...flags],
      resourceLimits: { maxOldGenerationSizeMb: heapMaxMegabytes, maxYoungGenerationSizeMb: YOUNG_MEGABYTES },
    });
    let why = "it exited";
    this.#thread.on("error", (error) => {
      why = error instanceof Error ? error.message : `${error}`;
    });
    this.#thread.once("message", onServes);
    this.#thread.once("exit", () => this.#hasEnded(why));
    this.#drain();
  }

  send(frame: Frame, attachment: unknown): void {
    if (attachment === undefined) {
      this.#channel.send(frame);
    } else {
      this.#channel.sendAttached(frame, attachment);
    }
  }

  sendPort(frame: Frame, port: MessagePort): void {
    this.#channel.sendPort(frame, port);
  }

  interrupt(): void {
    this.#channel.interrupt();
  }

  end(): void {
    void this.#thread.terminate();
    void this.#life.over.then(() => this.#hasEnded("it was ended"));
  }

  /** Passes on what it has said so far. */
  hear(): void {
    while (!this.#isDraining && !this.#isEnded && !this.#takeFrames()) {}
  }

  #hasEnded(why: string): void {
    if (!this.#isEnded) {
      this.#isEnded = true;
      this.#channel.close();
      this.#onEnd(why);
    }
  }

  readonly #drain = (): void => {
    const isEmpty = this.#takeFrames();
    if (!this.#isEnded && !(isEmpty && this.#channel.sleepAsync(this.#drain))) {
      setImmediate(this.#drain);
    }
  };

  /** False when there may be more. */
  #takeFrames(): boolean {
    this.#isDraining = true;
    let frame = this.#channel.receive();
    for (let taken = 1; frame !== undefined; taken++) {
      this.#onFrame(frame);
      if (taken === FRAMES_PER_TURN || this.#isEnded) {
        break;
      }
      frame = this.#channel.receive();
    }
    this.#isDraining = false;
    return frame === undefined;
  }
}

/** At most 15 characters: the kernel keeps no more. */
export function threadName(number: number): string {
  return `neap-${number % 1e9}`;
}
