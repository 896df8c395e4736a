/** A worker, thread or process, as the main thread sees it. */

import type { MessagePort } from "node:worker_threads";
import { ByteWriter } from "../../../state/bytes.ts";
import { invariant } from "../../../state/errors.ts";
import type { Clock } from "../../../state/ports.ts";
import { ProcessArena, ThreadArena } from "../arenas/index.ts";
import type { Carrier, CarrierEnd, HostChannel } from "../frames/carrier.ts";
import { EMPTY, ENTRY, type Frame, FrameType, type LoadedModule, partStart, type SharedStart } from "../frames/protocol.ts";
import { isShared } from "../frames/shared-bytes.ts";
import type { SliceView } from "../frames/slice-marks.ts";
import type { FrozenStart, PartStart } from "../sandbox.ts";
import type { Attempt } from "./attempt.ts";
import type { ModuleEntry } from "./module-cache.ts";

/** The main thread goes back to its event loop after so much work on messages. */
const DRAIN_MAX_MS = 1;
/**
 * While a call is in the worker, the main thread looks for its frames in so many turns of the event loop before it sleeps: some 60 µs
 * of an idle loop, and nothing of a busy one. See docs/decisions/0013-wake-ups.md.
 */
const LOOKS_BEFORE_SLEEP = 60;
const I32_MAX = 2 ** 31 - 1;

export interface SandboxWorkerOptions {
  readonly carrier: Carrier;
  readonly clock: Clock;
  readonly onFrame: (worker: SandboxWorker, frame: Frame) => void;
  /** The thread or process has ended, whoever ended it. */
  readonly onExit: (worker: SandboxWorker, end: CarrierEnd) => void;
}

export class SandboxWorker {
  /** Resolves when the worker serves its channel, rejects when it ends before. */
  readonly ready: Promise<void>;
  isReady = false;
  /** Attempts in it, those that have ended here and not there included; in the order of their beginning. */
  readonly attempts = new Set<Attempt>();
  /** Attempts that began although the worker was full, each deeper than the one before. */
  readonly beyond: Attempt[] = [];
  readonly #carrier: Carrier;
  readonly #options: SandboxWorkerOptions;
  readonly #loaded = new Set<number>();
  #niced = false;
  #closed = false;
  /** Turns since the last frame. */
  #emptyTurns = 0;

  constructor(options: SandboxWorkerOptions) {
    this.#options = options;
    this.#carrier = options.carrier;
    const { ready, ended } = options.carrier;
    const lost = ended.then((end) => {
      this.#close();
      options.onExit(this, end);
      throw end.cause ?? new Error(end.message);
    });
    this.ready = Promise.race([ready, lost]).then(() => {
      this.isReady = true;
    });
    lost.catch(() => {});
    this.ready.catch(() => {});
    this.#drain();
  }

  get channel(): HostChannel {
    return this.#carrier.channel;
  }

  /** See `Carrier.sharesMemory`. */
  get sharesMemory(): boolean {
    return this.#carrier.sharesMemory;
  }

  get marks(): SliceView {
    return this.#carrier.marks;
  }

  /** Slots in use there. */
  get active(): number {
    return this.attempts.size;
  }

  /** The greatest depth of an attempt that began although the worker was full; 0 for none. */
  get depthBeyond(): number {
    return this.beyond.at(-1)?.start.depth ?? 0;
  }

  cpuMs(): number | undefined {
    return this.#carrier.cpuMs();
  }

  /** The worker has let go of an attempt. */
  released(attempt: Attempt): void {
    this.attempts.delete(attempt);
    const index = this.beyond.indexOf(attempt);
    if (index >= 0) {
      this.beyond.splice(index, 1);
    }
  }

  /** Sends an attempt to the worker, and its module first if it does not know it. The module must be compiled. */
  begin(attempt: Attempt): void {
    const { start, frozen, module, slot, attempt: use } = attempt;
    this.#load(module);
    this.attempts.add(attempt);
    attempt.worker = this;
    const { pins, limits, commandLine, tableIndex = ENTRY, part } = start;
    const { input } = attempt;
    invariant(input !== undefined, "an attempt has its input when it begins");
    const isBeside = isShared(input) || (part !== undefined && isShared(part.state.delta)) || frozen !== undefined;
    const frame = {
      type: FrameType.start,
      code: start.threads?.callMax ?? 1,
      call: slot,
      attempt: use,
      a: module.id,
      b: Math.min(limits.cpuTimeMs, I32_MAX),
      c: Math.min(limits.logMaxBytes, I32_MAX),
      x: pins.timeMs,
      y: limits.outputMaxBytes,
      z: input.byteLength,
      body: new ByteWriter(16 + pins.seed.byteLength + commandLine.byteLength)
        .bytes(pins.seed)
        .bytes(commandLine)
        .u32(tableIndex)
        .view(),
      tail: isBeside ? EMPTY : part === undefined ? input : Buffer.concat([input, partStart.encode(part)]),
    };
    if (isBeside) {
      const beside: SharedStart = {
        seed: own(pins.seed),
        commandLine: own(commandLine),
        tableIndex,
        input: own(input),
        part: part === undefined ? null : ownPart(part),
        ...(frozen !== undefined && { frozen: ownFrozen(frozen) }),
      };
      this.channel.sendAttached(frame, beside);
    } else {
      this.channel.send(frame);
    }
    attempt.begun();
    if (attempt.freezeAsked) {
      attempt.freeze();
    }
  }

  /** The worker becomes a thread of the attempt. @param birth  of the thread that has started it; in its process, if that has it */
  startThread({ module, slot, attempt: use }: Attempt, thread: number, birth: MessagePort | undefined): void {
    this.#load(module);
    const frame = { type: FrameType.thread, call: slot, attempt: use, a: module.id, b: thread };
    if (birth === undefined) {
      this.channel.send(frame);
    } else {
      this.channel.sendAttached(frame, birth, [birth]);
    }
  }

  /** Takes whatever it has said so far. */
  hear(): void {
    while (!this.#closed && !this.#takeFrames()) {}
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

  /** Lowers the worker's priority for good: the kernel does not let it be raised again (H7). */
  renice(): void {
    if (!this.#niced && this.isReady) {
      this.#niced = true;
      this.#carrier.renice();
    }
  }

  /** It has said what no executor would. */
  breached(): void {
    this.#carrier.breached?.();
  }

  /** Ends the thread or process. Nothing it has said or says is heard from now on. */
  async terminate(): Promise<void> {
    this.#close();
    await this.#carrier.terminate();
  }

  #close(): void {
    if (!this.#closed) {
      this.#closed = true;
      this.channel.close();
    }
  }

  /** False when the worker has the module. */
  #load(entry: ModuleEntry): boolean {
    if (this.#loaded.has(entry.id) || !entry.isReady) {
      return false;
    }
    this.#loaded.add(entry.id);
    this.channel.sendAttached(
      { type: FrameType.load, a: entry.id, b: entry.arena instanceof ProcessArena ? entry.arena.number : 0 },
      this.#carrier.sharesMemory ? compiled(entry) : entry.artefact,
    );
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
      onFrame(this, frame);
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

function compiled({ artefact: { wasm: _, ...artefact }, module, arena }: ModuleEntry): LoadedModule {
  invariant(module !== undefined, "a module that is handed over is compiled");
  return { ...artefact, module, ...(arena instanceof ThreadArena && { arena: arena.memory }) };
}

/** What can be sent beside a frame: a clone of a view that is not shared would take its whole buffer along. */
function own(bytes: Uint8Array): Uint8Array {
  return isShared(bytes) ? bytes : new Uint8Array(bytes);
}

function ownFrozen({ bytes, answer }: FrozenStart): FrozenStart {
  return { bytes: own(bytes), ...(answer !== undefined && { answer: { ...answer, bytes: own(answer.bytes) } }) };
}

function ownPart({ tableIndex, state: { delta, hostState } }: PartStart): SharedStart["part"] {
  return { tableIndex, state: { delta: own(delta), hostState: own(hostState) } };
}
