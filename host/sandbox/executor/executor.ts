/**
 * The message loop of a worker, thread or process: takes frames, runs calls in sandboxes, keeps idle sandboxes.
 *
 * 1. The loop runs as macrotasks: when it blocks, no guest of this worker is runnable.
 * 2. Sandboxes in this worker, running and idle, never exceed `sandboxesMax` (H2).
 * 3. One preemptible guest that has given way goes on per turn: after all that this turn's frames have set going, and after those that
 *    gave way before it.
 * 4. A used sandbox is reset when nothing is to be done, or right before its next call, never before its end frame was sent (H9).
 */

import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import { ByteReader } from "../../../state/bytes.ts";
import { invariant } from "../../../state/errors.ts";
import { type Artefact, WASM_PAGE_BYTES } from "../../modules/artefact.ts";
import type { ExecutorChannel, OutgoingFrame } from "../frames/carrier.ts";
import {
  EMPTY,
  ENTRY,
  EndKind,
  type Frame,
  FrameType,
  guestStateBytes,
  KILL_REASONS,
  type LoadedModule,
  partStart,
  type SharedReply,
  type SharedStart,
} from "../frames/protocol.ts";
import type { SliceMarks } from "../frames/slice-marks.ts";
import type { CreateImports } from "../guest.ts";
import type { GuestState, OperationReply } from "../sandbox.ts";
import { GuestThread } from "../threads/guest-thread.ts";
import type { ThreadBirth } from "../threads/team.ts";
import { TeamWords } from "../threads/team-words.ts";
import { collectGarbage } from "./collect-garbage.ts";
import type { CallPins } from "./guest-call.ts";
import { Inbox } from "./inbox.ts";
import { type Outcome, outcomeOf } from "./outcome.ts";
import { type SandboxHost, SandboxInstance } from "./sandbox-instance.ts";
import type { ThreadClock } from "./thread-clock.ts";
import { touchedBytes } from "./touched-pages.ts";
import { WorkerModule } from "./worker-module.ts";

/** When what was dropped takes up more it is collected: the engine would let it be. */
const DROPPED_MAX_BYTES = 128 * 1024 * 1024;

export interface ExecutorOptions {
  readonly channel: ExecutorChannel;
  readonly marker: SliceMarks;
  readonly createImports: CreateImports;
  readonly clock: ThreadClock;
  readonly sandboxesMax: number;
  readonly idleMaxBytes: number;
}

export class Executor implements SandboxHost {
  turn = 0;
  readonly clock: ThreadClock;
  readonly marker: SliceMarks;
  readonly control: WebAssembly.Memory;
  readonly #channel: ExecutorChannel;
  readonly #createImports: CreateImports;
  readonly #sandboxesMax: number;
  readonly #idleMaxBytes: number;
  readonly #modules = new Map<number, WorkerModule>();
  /** Why a module that was loaded cannot run. */
  readonly #broken = new Map<number, string>();
  /** By slot. */
  readonly #running: (SandboxInstance | undefined)[] = [];
  /** Idle sandboxes that still hold what their last call left. */
  readonly #used = new Set<SandboxInstance>();
  readonly #inbox: Inbox;
  #deferred: (() => void)[] = [];
  /** Guests that have given way, by when they did. */
  readonly #gaveWay: (() => void)[] = [];
  #live = 0;
  #idle = 0;
  #idleBytes = 0;
  /** Memories of sandboxes that are gone, and what was held for calls that have ended, since it was last collected. */
  #droppedBytes = 0;
  #isTrimmed = false;

  constructor(options: ExecutorOptions) {
    this.#channel = options.channel;
    this.#inbox = new Inbox(options.channel, (frame) => this.#take(frame));
    this.control = options.channel.control.memory;
    this.marker = options.marker;
    this.#createImports = options.createImports;
    this.clock = options.clock;
    this.#sandboxesMax = options.sandboxesMax;
    this.#idleMaxBytes = options.idleMaxBytes;
  }

  /** Serves the channel until the thread or process is ended. */
  readonly run = (): void => {
    this.turn += 1;
    this.clock.turn();
    this.#collect();
    const deferred = this.#deferred;
    this.#deferred = [];
    for (const resume of deferred) {
      resume();
    }
    const hasTaken = this.#inbox.turn();
    if (this.#gaveWay.length > 0) {
      setImmediate(this.#goOn);
      return;
    }
    const isIdle = !hasTaken && deferred.length === 0 && !this.#resetOne();
    // Calls that have begun and not ended are suspended here, and wait for answers.
    if (!isIdle || !this.#channel.sleep(this.#live > this.#idle, this.run)) {
      setImmediate(this.run);
    }
  };

  /** Lets a guest go on that has given way, now that those have run to which this turn's frames were sent. */
  readonly #goOn = (): void => {
    this.#gaveWay.shift()?.();
    setImmediate(this.run);
  };

  // SandboxHost

  onNextTurn(resume: () => void): void {
    this.#deferred.push(resume);
  }

  onOwnTurn(resume: () => void): void {
    this.#gaveWay.push(resume);
  }

  sendOperation(sandbox: SandboxInstance, operation: number, args: Uint8Array, waits: boolean): void {
    const { slot, attempt, cpuMs, pages } = sandbox;
    this.#inbox.told(slot, pages);
    this.#channel.send({
      type: FrameType.operation,
      code: operation,
      call: slot,
      attempt,
      a: waits ? 1 : 0,
      b: pages,
      x: cpuMs,
      body: args,
    });
  }

  sendMemory({ slot, attempt, pages }: SandboxInstance): void {
    this.#inbox.told(slot, pages);
    this.#channel.send({ type: FrameType.memory, call: slot, attempt, b: pages });
  }

  sendLog({ slot, attempt }: AttemptName, text: Uint8Array): void {
    this.#channel.send({ type: FrameType.log, call: slot, attempt, body: text });
  }

  sendBirth({ slot, attempt }: AttemptName, thread: number, birth: MessagePort): void {
    this.#channel.sendPort({ type: FrameType.spawn, call: slot, attempt, a: thread }, birth);
  }

  ended(sandbox: SandboxInstance, outcome: Outcome, reusable: boolean, state?: GuestState): void {
    const { slot, attempt, call, cpuMs } = sandbox;
    this.#running[slot] = undefined;
    const end = { type: FrameType.end, call: slot, attempt, b: sandbox.threadsLeft, x: cpuMs };
    this.#sendEnd(end, outcome, outcome.kind === "returned" ? call.output() : EMPTY, state);
    this.#droppedBytes += call.heldBytes;
    if (reusable && !sandbox.module.unloaded) {
      this.#used.add(sandbox);
      this.#keep(sandbox);
    } else {
      this.#drop(sandbox);
    }
  }

  #sendEnd(end: OutgoingFrame, outcome: Outcome, output: Uint8Array, state?: GuestState): void {
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
      case "frozen":
        this.#channel.send({ ...end, code: EndKind.frozen, a: outcome.awaits ? 1 : 0, body: outcome.bytes });
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
        this.#load(frame.a, frame.attachment as LoadedModule | Artefact);
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
      case FrameType.thread:
        this.#runThread(frame);
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
      case FrameType.freeze:
        current?.freeze();
        // A guest that has not run since its start gives way at its first loop.
        this.#channel.control.raise();
        break;
      case FrameType.trim:
        this.#trim(frame.x, frame.y);
        break;
    }
  }

  /** A module comes compiled where it can be shared, and as its bytes where it cannot. */
  #load(id: number, given: LoadedModule | Artefact): void {
    try {
      const loaded = "module" in given ? given : { ...given, module: new WebAssembly.Module(given.wasm) };
      this.#modules.set(id, new WorkerModule(loaded));
    } catch (error) {
      this.#broken.set(id, `the module does not compile: ${error}`);
    }
  }

  #start(frame: Frame): void {
    const { call, attempt } = frame;
    if (this.#inbox.isCancelled(frame)) {
      this.#sendEnd({ type: FrameType.end, call, attempt }, { kind: "killed", reason: "cancelled", message: "" }, EMPTY);
      return;
    }
    const broken = this.#broken.get(frame.a);
    if (broken !== undefined) {
      this.#sendEnd({ type: FrameType.end, call, attempt }, { kind: "killed", reason: "workerLost", message: broken }, EMPTY);
      return;
    }
    const module = this.#modules.get(frame.a);
    invariant(module !== undefined, "a module is loaded before calls of it start");
    const { seed, commandLine, tableIndex, input, part, frozen } = startOf(frame);
    const pins: CallPins = {
      seed,
      commandLine,
      input,
      startTimeMs: frame.x,
      outputMaxBytes: frame.y,
      logMaxBytes: frame.c,
      cpuTimeMs: frame.b,
    };
    let sandbox: SandboxInstance;
    try {
      sandbox = this.#idleSandbox(module) ?? this.#newSandbox(module);
    } catch (error) {
      this.#sendEnd({ type: FrameType.end, call, attempt }, withoutInstance(error), EMPTY);
      return;
    }
    this.#running[call] = sandbox;
    this.#inbox.begins(call, sandbox.pages);
    if (frozen !== undefined) {
      sandbox.goOn(call, attempt, pins, frozen);
    } else if (part !== null) {
      sandbox.startPart(call, attempt, pins, part);
    } else if (tableIndex !== ENTRY) {
      sandbox.startAt(call, attempt, pins, tableIndex, frame.code);
    } else {
      sandbox.start(call, attempt, pins, frame.code);
    }
  }

  /** This worker becomes a thread of a call, and serves nothing else until that ends. */
  #runThread({ call, attempt, a: id, b: thread, attachment }: Frame): void {
    const port = attachment as MessagePort;
    const birth = receiveMessageOnPort(port)?.message as ThreadBirth | undefined;
    port.close();
    const end = { type: FrameType.threadEnd, call, attempt };
    if (birth === undefined) {
      // The thread that has started this one is gone, and so is the call.
      this.#channel.send(end);
      return;
    }
    const module = this.#modules.get(id);
    invariant(module !== undefined, "a module is loaded before threads of its calls start");
    const beginMs = this.clock.now();
    const words = new TeamWords(birth.team);
    let outcome: Outcome | null;
    try {
      const name = { slot: call, attempt };
      const guest = new GuestThread(thread, module, birth, this.#createImports, {
        ...{ marker: this.marker, clock: this.clock, turn: this.turn },
        onNextTurn: (resume) => this.onNextTurn(resume),
        onOwnTurn: (resume) => this.onOwnTurn(resume),
        sendLog: (text) => this.sendLog(name, text),
        sendBirth: (number, port) => this.sendBirth(name, number, port),
      });
      outcome = guest.run();
    } catch (error) {
      words.end();
      outcome = withoutInstance(error);
    }
    const x = this.clock.cpuSince(beginMs);
    if (outcome === null) {
      this.#channel.send({ ...end, x });
    } else {
      this.#sendEnd({ ...end, c: 1, x }, outcome, outcome.kind === "returned" ? words.output() : EMPTY);
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
    this.#broken.delete(id);
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
      this.#drop(sandbox);
    }
    return undefined;
  }

  #keep(sandbox: SandboxInstance): void {
    sandbox.idleSinceMs = this.clock.now();
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
      this.marker.idleBytes = this.#idleBytes;
      if (!kept) {
        const { idle } = sandbox.module;
        idle.splice(idle.indexOf(sandbox), 1);
        this.#forget(sandbox);
      }
      return true;
    }
    return false;
  }

  /** Drops the idle sandbox that has waited longest, if that has been for as many ms. False when there is none. */
  #dropOldest(idleForMs = 0): boolean {
    let module: WorkerModule | undefined;
    let sinceMs = this.clock.now() - idleForMs;
    for (const one of this.#modules.values()) {
      const [oldest] = one.idle;
      if (oldest !== undefined && oldest.idleSinceMs <= sinceMs) {
        module = one;
        sinceMs = oldest.idleSinceMs;
      }
    }
    const oldest = module?.idle.shift();
    if (oldest !== undefined) {
      this.#forget(oldest);
    }
    return oldest !== undefined;
  }

  /** What is asked for shall be free at once, whatever this thread has to do next. */
  #trim(idleForMs: number, bytes: number): void {
    const keptBytes = this.#idleBytes - bytes;
    while (this.#idleBytes > keptBytes && this.#dropOldest()) {}
    while (this.#dropOldest(idleForMs)) {}
    this.#isTrimmed = true;
  }

  /** At the beginning of a turn: the stacks of what was dropped in the one before have ended. */
  #collect(): void {
    if (this.#droppedBytes > (this.#isTrimmed ? 0 : DROPPED_MAX_BYTES)) {
      this.#droppedBytes = 0;
      collectGarbage();
    }
    this.#isTrimmed = false;
  }

  /** Drops a sandbox that was taken out of its module's list. */
  #forget(sandbox: SandboxInstance): void {
    this.#used.delete(sandbox);
    this.#takeOut(sandbox);
    this.#drop(sandbox);
  }

  #drop(sandbox: SandboxInstance): void {
    this.#live -= 1;
    this.#droppedBytes += Math.max(touchedBytes(sandbox.memory()), WASM_PAGE_BYTES);
    sandbox.drop();
  }

  #takeOut(sandbox: SandboxInstance): void {
    this.#countIdle(-1, -sandbox.idleBytes);
  }

  #countIdle(count: number, bytes: number): void {
    this.#idle += count;
    this.#idleBytes += bytes;
    this.marker.idleSandboxes = this.#idle;
    this.marker.idleBytes = this.#idleBytes;
  }
}

/** How one attempt is named to the main thread. */
type AttemptName = Pick<SandboxInstance, "slot" | "attempt">;

/** Why there is no instance. */
function withoutInstance(error: unknown): Outcome {
  const message = error instanceof Error ? error.message : String(error);
  return error instanceof WebAssembly.LinkError ? outcomeOf(error) : { kind: "killed", reason: "overloaded", message };
}

function startOf({ attachment, body, z: inputBytes }: Frame): SharedStart {
  if (attachment !== undefined) {
    return attachment as SharedStart;
  }
  const r = new ByteReader(body);
  const [seed, commandLine, tableIndex, input] = [r.bytes(), r.bytes(), r.u32(), r.raw(inputBytes)];
  return { seed, commandLine, tableIndex, input, part: r.remaining === 0 ? null : partStart.decode(r.raw(r.remaining)) };
}

function replyOf({ a, x, body, attachment }: Frame): OperationReply {
  const reply = { code: a, timeMs: x };
  return attachment === undefined ? { ...reply, bytes: body } : { ...reply, ...(attachment as SharedReply) };
}
