/**
 * The message loop of a worker: takes frames, runs calls in sandboxes, keeps idle sandboxes.
 *
 * 1. The loop runs as macrotasks: when it blocks, no guest of this worker is runnable.
 * 2. Sandboxes in this worker, running and idle, never exceed `sandboxesMax` (H2).
 * 3. One preemptible guest that has given way goes on per turn: after all that this turn's frames have set going, and after those that
 *    gave way before it.
 * 4. A used sandbox is reset when nothing is to be done, or right before its next call, never before its end frame was sent (H9).
 */
import { invariant } from "../../state/errors.ts";
import type { Channel } from "./channel.ts";
import type { CreateImports } from "./guest.ts";
import type { CallPins } from "./guest-call.ts";
import { type Outcome, outcomeOf } from "./outcome.ts";
import {
  EMPTY,
  EndKind,
  type Frame,
  FrameType,
  guestStateBytes,
  KILL_REASONS,
  type LoadedModule,
  partStart,
  type SharedReply,
  type SharedStart,
} from "./protocol.ts";
import type { GuestState, OperationReply } from "./sandbox.ts";
import { type SandboxHost, SandboxInstance } from "./sandbox-instance.ts";
import type { SliceMarker } from "./slice-marks.ts";
import { WorkerModule } from "./worker-module.ts";

/** Frames taken before the guests they woke may run. */
const FRAMES_PER_TURN = 64;
/** Of these, calls begun: a few at a time reuse the few sandboxes that are in the processor's caches (measured: 1.9 times the calls). */
const STARTS_PER_TURN = 8;

export interface ExecutorOptions {
  readonly channel: Channel;
  readonly marker: SliceMarker;
  readonly createImports: CreateImports;
  /** Monotonic, ms. */
  readonly now: () => number;
  readonly sandboxesMax: number;
  readonly idleMaxBytes: number;
}

export class Executor implements SandboxHost {
  turn = 0;
  readonly now: () => number;
  readonly marker: SliceMarker;
  readonly control: WebAssembly.Memory;
  readonly #channel: Channel;
  readonly #createImports: CreateImports;
  readonly #sandboxesMax: number;
  readonly #idleMaxBytes: number;
  readonly #modules = new Map<number, WorkerModule>();
  /** By slot. */
  readonly #running: (SandboxInstance | undefined)[] = [];
  /** Idle sandboxes that still hold what their last call left. */
  readonly #used = new Set<SandboxInstance>();
  #deferred: (() => void)[] = [];
  /** Guests that have given way, by when they did. */
  readonly #gaveWay: (() => void)[] = [];
  #live = 0;
  #idle = 0;
  #idleBytes = 0;

  constructor(options: ExecutorOptions) {
    this.#channel = options.channel;
    this.control = options.channel.control.memory;
    this.marker = options.marker;
    this.#createImports = options.createImports;
    this.now = options.now;
    this.#sandboxesMax = options.sandboxesMax;
    this.#idleMaxBytes = options.idleMaxBytes;
  }

  /** Serves the channel until the worker is terminated. */
  readonly run = (): void => {
    this.turn += 1;
    const deferred = this.#deferred;
    this.#deferred = [];
    for (const resume of deferred) {
      resume();
    }
    const taken = this.#takeFrames();
    if (this.#gaveWay.length > 0) {
      setImmediate(this.#goOn);
      return;
    }
    if (taken === 0 && deferred.length === 0 && !this.#resetOne()) {
      // Calls that have begun and not ended are suspended here, and wait for answers.
      this.#channel.sleep(this.#live > this.#idle);
    }
    setImmediate(this.run);
  };

  /** Lets a guest go on that has given way, now that those have run to which this turn's frames were sent. */
  readonly #goOn = (): void => {
    this.#gaveWay.shift()?.();
    setImmediate(this.run);
  };

  /** Returns how many. */
  #takeFrames(): number {
    const { control } = this.#channel;
    control.lower();
    let starts = 0;
    for (let taken = 0; taken < FRAMES_PER_TURN && starts < STARTS_PER_TURN; taken++) {
      const frame = this.#channel.receive();
      if (frame === undefined) {
        return taken;
      }
      starts += frame.type === FrameType.start ? 1 : 0;
      this.#take(frame);
    }
    control.raise();
    return FRAMES_PER_TURN;
  }

  // SandboxHost

  onNextTurn(resume: () => void): void {
    this.#deferred.push(resume);
  }

  onOwnTurn(resume: () => void): void {
    this.#gaveWay.push(resume);
  }

  sendOperation(sandbox: SandboxInstance, operation: number, args: Uint8Array, waits: boolean): void {
    const { slot, attempt, cpuMs } = sandbox;
    this.#channel.send({
      type: FrameType.operation,
      code: operation,
      call: slot,
      attempt,
      a: waits ? 1 : 0,
      x: cpuMs,
      body: args,
    });
  }

  sendLog({ slot, attempt }: SandboxInstance, text: Uint8Array): void {
    this.#channel.send({ type: FrameType.log, call: slot, attempt, body: text });
  }

  ended(sandbox: SandboxInstance, outcome: Outcome, reusable: boolean, state?: GuestState): void {
    const { slot, attempt, call, cpuMs } = sandbox;
    this.#running[slot] = undefined;
    this.#sendEnd(slot, attempt, outcome, cpuMs, outcome.kind === "returned" ? call.output() : EMPTY, state);
    if (reusable && !sandbox.module.unloaded) {
      this.#used.add(sandbox);
      this.#keep(sandbox);
    } else {
      this.#live -= 1;
      sandbox.drop();
    }
  }

  #sendEnd(call: number, attempt: number, outcome: Outcome, cpuMs: number, output: Uint8Array, state?: GuestState): void {
    const end = { type: FrameType.end, call, attempt, x: cpuMs };
    switch (outcome.kind) {
      case "returned": {
        const code = state === undefined ? EndKind.returned : EndKind.returnedWithState;
        const body = state === undefined ? output : guestStateBytes.encode(state);
        this.#channel.send({ ...end, code, a: outcome.value, body });
        break;
      }
      case "trapped":
        this.#channel.send({ ...end, code: EndKind.trapped, body: Buffer.from(outcome.message) });
        break;
      case "killed": {
        const a = KILL_REASONS.indexOf(outcome.reason);
        this.#channel.send({ ...end, code: EndKind.killed, a, body: Buffer.from(outcome.message) });
        break;
      }
    }
  }

  // frames

  #take(frame: Frame): void {
    const sandbox = this.#running[frame.call];
    const current = sandbox?.attempt === frame.attempt ? sandbox : undefined;
    switch (frame.type) {
      case FrameType.load:
        this.#modules.set(frame.a, new WorkerModule(frame.attachment as LoadedModule));
        break;
      case FrameType.unload:
        this.#unload(frame.a);
        break;
      case FrameType.prepare:
        this.#prepare(frame.a);
        break;
      case FrameType.start:
        this.#start(frame);
        break;
      case FrameType.reply:
        current?.reply(replyOf(frame));
        break;
      case FrameType.acknowledge:
        current?.acknowledge(frame.a);
        break;
      case FrameType.cancel:
        current?.cancel();
        break;
    }
  }

  #start(frame: Frame): void {
    const { call, attempt } = frame;
    const module = this.#modules.get(frame.a);
    invariant(module !== undefined, "a module is loaded before calls of it start");
    const { seed, input, part } = startOf(frame);
    const pins: CallPins = {
      seed,
      input,
      startTimeMs: frame.x,
      outputMaxBytes: frame.y,
      logMaxBytes: frame.c,
    };
    let sandbox: SandboxInstance;
    try {
      sandbox = this.#idleSandbox(module) ?? this.#newSandbox(module);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const linked = !(error instanceof WebAssembly.LinkError);
      this.#sendEnd(call, attempt, linked ? { kind: "killed", reason: "overloaded", message } : outcomeOf(error), 0, EMPTY);
      return;
    }
    this.#running[call] = sandbox;
    if (part !== null) {
      sandbox.startPart(call, attempt, pins, part);
    } else {
      sandbox.start(call, attempt, pins);
    }
  }

  #prepare(id: number): void {
    const module = this.#modules.get(id);
    if (module === undefined || this.#live >= this.#sandboxesMax) {
      return;
    }
    let sandbox: SandboxInstance;
    try {
      sandbox = this.#newSandbox(module);
    } catch {
      // The first call fails likewise, and says why.
      return;
    }
    sandbox.enter();
    this.#keep(sandbox);
  }

  #unload(id: number): void {
    const module = this.#modules.get(id);
    this.#modules.delete(id);
    if (module !== undefined) {
      module.unloaded = true;
      for (const sandbox of module.idle.splice(0)) {
        this.#forget(sandbox);
      }
    }
  }

  // idle sandboxes

  #newSandbox(module: WorkerModule): SandboxInstance {
    if (this.#live >= this.#sandboxesMax) {
      this.#dropOldest();
    }
    const sandbox = new SandboxInstance(module, this.#createImports, this);
    this.#live += 1;
    return sandbox;
  }

  #idleSandbox(module: WorkerModule): SandboxInstance | undefined {
    for (let sandbox = module.idle.pop(); sandbox !== undefined; sandbox = module.idle.pop()) {
      this.#takeOut(sandbox);
      if (!this.#used.delete(sandbox) || sandbox.reset()) {
        return sandbox;
      }
      this.#live -= 1;
      sandbox.drop();
    }
    return undefined;
  }

  #keep(sandbox: SandboxInstance): void {
    sandbox.module.idle.push(sandbox);
    this.#countIdle(1, sandbox.idleBytes);
    if (this.#idleBytes > this.#idleMaxBytes) {
      this.#dropOldest();
    }
  }

  /** Resets one used sandbox; false when there was none. */
  #resetOne(): boolean {
    for (const sandbox of this.#used) {
      this.#used.delete(sandbox);
      const bytesBefore = sandbox.idleBytes;
      const kept = sandbox.reset();
      this.#idleBytes += sandbox.idleBytes - bytesBefore;
      if (!kept) {
        const { idle } = sandbox.module;
        idle.splice(idle.indexOf(sandbox), 1);
        this.#forget(sandbox);
      }
      return true;
    }
    return false;
  }

  /** Drops the idle sandbox that has waited longest, of the module with the most of them. */
  #dropOldest(): void {
    let most: WorkerModule | undefined;
    for (const module of this.#modules.values()) {
      if (module.idle.length > (most?.idle.length ?? 0)) {
        most = module;
      }
    }
    const oldest = most?.idle.shift();
    if (oldest !== undefined) {
      this.#forget(oldest);
    }
  }

  /** Drops a sandbox that was taken out of its module's list. */
  #forget(sandbox: SandboxInstance): void {
    this.#used.delete(sandbox);
    this.#takeOut(sandbox);
    this.#live -= 1;
    sandbox.drop();
  }

  #takeOut(sandbox: SandboxInstance): void {
    this.#countIdle(-1, -sandbox.idleBytes);
  }

  #countIdle(count: number, bytes: number): void {
    this.#idle += count;
    this.#idleBytes += bytes;
    this.marker.idleSandboxes = this.#idle;
  }
}

function startOf({ attachment, body, b: seedBytes, z: inputBytes }: Frame): SharedStart {
  if (attachment !== undefined) {
    return attachment as SharedStart;
  }
  const inputEnd = seedBytes + inputBytes;
  const part = inputEnd === body.byteLength ? null : partStart.decode(body.subarray(inputEnd));
  return { seed: body.subarray(0, seedBytes), input: body.subarray(seedBytes, inputEnd), part };
}

function replyOf({ a, x, body, attachment }: Frame): OperationReply {
  const reply = { code: a, timeMs: x };
  return attachment === undefined ? { ...reply, bytes: body } : { ...reply, ...(attachment as SharedReply) };
}
