/** A worker thread as the main thread sees it. */
import { setPriority } from "node:os";
import { Worker } from "node:worker_threads";
import type { Clock } from "../../state/ports.ts";
import type { Attempt } from "./attempt.ts";
import { type Channel, createChannel } from "./channel.ts";
import type { ModuleEntry } from "./module-cache.ts";
import { EMPTY, type Frame, FrameType, type LoadedModule, partStart, type SharedStart } from "./protocol.ts";
import type { PartStart } from "./sandbox.ts";
import { isShared } from "./shared-bytes.ts";
import { createSliceMarks, SliceReader } from "./slice-marks.ts";
import type { WorkerData, WorkerReady } from "./worker.ts";

/** JavaScript heap of a worker: wrappers of some thousand sandboxes; guests' memories do not count. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 512, maxYoungGenerationSizeMb: 16 };
/** The main thread goes back to its event loop after so much work on messages. */
const DRAIN_MAX_MS = 1;
/**
 * While a call is in the worker, the main thread looks for its frames in so many turns of the event loop before it sleeps: some 60 µs
 * of an idle loop, and nothing of a busy one. See docs/decisions/0013-wake-ups.md.
 */
const LOOKS_BEFORE_SLEEP = 60;
const LOWEST_PRIORITY = 19;
const I32_MAX = 2 ** 31 - 1;

export interface SandboxWorkerOptions {
  readonly name: string;
  readonly importsUrl: URL;
  readonly sandboxesMax: number;
  readonly idleMaxBytes: number;
  readonly clock: Clock;
  readonly onFrame: (frame: Frame) => void;
  /** The thread has ended, whoever ended it. */
  readonly onExit: (cause: unknown) => void;
}

export class SandboxWorker {
  readonly channel: Channel;
  readonly marks: SliceReader;
  /** Resolves when the worker serves its channel, rejects when it ends before. */
  readonly ready: Promise<void>;
  isReady = false;
  /** Slots in use there, those of attempts that have ended here included. */
  active = 0;
  /** Attempts that began although the worker was full, each deeper than the one before. */
  readonly beyond: Attempt[] = [];
  /** Lowered for good: the kernel does not let it be raised again (H7). */
  niced = false;
  /** The kernel's id of the thread, where it is known. */
  threadId: number | undefined;
  readonly #thread: Worker;
  readonly #options: SandboxWorkerOptions;
  readonly #loaded = new Set<number>();
  #closed = false;
  /** Turns since the last frame. */
  #emptyTurns = 0;

  constructor(options: SandboxWorkerOptions) {
    this.#options = options;
    const { main, workerEnd } = createChannel();
    const marks = createSliceMarks();
    const { importsUrl, sandboxesMax, idleMaxBytes } = options;
    const data: WorkerData = { channel: workerEnd, marks, importsUrl: importsUrl.href, sandboxesMax, idleMaxBytes };
    this.channel = main;
    this.marks = new SliceReader(marks);
    this.#thread = new Worker(new URL("./worker.ts", import.meta.url), {
      name: options.name,
      workerData: data,
      transferList: [workerEnd.port],
      env: {},
      resourceLimits: RESOURCE_LIMITS,
    });
    let cause: unknown;
    this.#thread.on("error", (error) => {
      cause = error;
    });
    this.ready = new Promise((resolve, reject) => {
      this.#thread.once("message", ({ threadId }: WorkerReady) => {
        this.threadId = threadId;
        this.isReady = true;
        this.#thread.unref();
        resolve();
      });
      this.#thread.once("exit", () => {
        this.#close();
        reject(cause ?? new Error("the worker ended before it was ready"));
        options.onExit(cause);
      });
    });
    this.ready.catch(() => {});
    this.#drain();
  }

  /** The greatest depth of an attempt that began although the worker was full; 0 for none. */
  get depthBeyond(): number {
    return this.beyond.at(-1)?.start.depth ?? 0;
  }

  /** The worker has let go of an attempt. */
  released(attempt: Attempt): void {
    this.active -= 1;
    const index = this.beyond.indexOf(attempt);
    if (index >= 0) {
      this.beyond.splice(index, 1);
    }
  }

  /** Sends an attempt to the worker, and its module first if it does not know it. The module must be compiled. */
  begin(attempt: Attempt): void {
    const { start, module, slot, attempt: use } = attempt;
    this.#load(module);
    this.active += 1;
    attempt.worker = this;
    const { pins, limits, input, part } = start;
    const isBeside = isShared(input) || (part !== undefined && isShared(part.state.delta));
    const frame = {
      type: FrameType.start,
      call: slot,
      attempt: use,
      a: module.id,
      code: pins.seed.byteLength,
      b: Math.min(limits.cpuTimeMs, I32_MAX),
      c: Math.min(limits.logMaxBytes, I32_MAX),
      x: pins.timeMs,
      y: limits.outputMaxBytes,
      z: input.byteLength,
      body: pins.seed,
      tail: isBeside ? EMPTY : part === undefined ? input : Buffer.concat([input, partStart.encode(part)]),
    };
    if (isBeside) {
      const beside: SharedStart = { seed: own(pins.seed), input: own(input), part: part === undefined ? null : ownPart(part) };
      this.channel.sendAttached(frame, beside);
    } else {
      this.channel.send(frame);
    }
  }

  /** Sends a module that the worker does not know ahead of its first call, for which the worker makes a sandbox ready. */
  prepare(module: ModuleEntry): void {
    if (this.#load(module)) {
      this.channel.send({ type: FrameType.prepare, a: module.id });
    }
  }

  unload(module: ModuleEntry): void {
    if (this.#loaded.delete(module.id)) {
      this.channel.send({ type: FrameType.unload, a: module.id });
    }
  }

  /** Lowers the thread's priority for good, where the system allows it. */
  renice(): void {
    if (this.niced || this.threadId === undefined) {
      return;
    }
    this.niced = true;
    try {
      setPriority(this.threadId, LOWEST_PRIORITY);
    } catch {
      // Less fair, not less correct: the watchdog still ends what runs too long.
    }
  }

  /** Ends the thread. Nothing it has said or says is heard from now on. */
  async terminate(): Promise<void> {
    this.#close();
    await this.#thread.terminate();
  }

  #close(): void {
    if (!this.#closed) {
      this.#closed = true;
      this.channel.close();
    }
  }

  /** False when the worker has the module. */
  #load(entry: ModuleEntry): boolean {
    if (this.#loaded.has(entry.id) || entry.module === undefined) {
      return false;
    }
    this.#loaded.add(entry.id);
    const { wasm: _, ...artefact } = entry.artefact;
    const loaded: LoadedModule = { ...artefact, module: entry.module };
    this.channel.sendAttached({ type: FrameType.load, a: entry.id }, loaded);
    return true;
  }

  readonly #drain = (): void => {
    let drained = false;
    try {
      drained = this.#takeFrames();
    } finally {
      if (!this.#closed && !(drained && this.#goesToSleep())) {
        setImmediate(this.#drain);
      }
    }
  };

  /** False when there may be more. */
  #takeFrames(): boolean {
    const { clock, onFrame } = this.#options;
    let frame = this.channel.receive();
    if (frame === undefined) {
      this.#emptyTurns += 1;
      return true;
    }
    this.#emptyTurns = 0;
    const untilMs = clock.monotonic() + DRAIN_MAX_MS;
    for (let taken = 1; frame !== undefined; taken++) {
      onFrame(frame);
      if (this.#closed || ((taken & 15) === 0 && clock.monotonic() >= untilMs)) {
        return false;
      }
      frame = this.channel.receive();
    }
    return true;
  }

  /** False when the main thread shall look again in its next turn. */
  #goesToSleep(): boolean {
    const mayHearSoon = this.active > 0 && this.#emptyTurns < LOOKS_BEFORE_SLEEP;
    return !mayHearSoon && this.channel.sleepAsync(this.#drain);
  }
}

/** What can be sent beside a frame: a clone of a view that is not shared would take its whole buffer along. */
function own(bytes: Uint8Array): Uint8Array {
  return isShared(bytes) ? bytes : new Uint8Array(bytes);
}

function ownPart({ tableIndex, state: { delta, hostState } }: PartStart): SharedStart["part"] {
  return { tableIndex, state: { delta: own(delta), hostState: own(hostState) } };
}
