/**
 * Runs compiled functions on the real imports of host/abi, with a host that keeps everything in memory: no log, no threads. For
 * tests of the imports and of functions; what crashes do to them is tested elsewhere.
 */
import { createImports } from "../../host/abi/create-imports.ts";
import {
  beginArgs,
  callAwaitArgs,
  callAwaitReply,
  callCancelArgs,
  callOutputArgs,
  callSelectArgs,
  callSpawnArgs,
  callStartArgs,
  callStartAtArgs,
  GuestError,
  httpReadArgs,
  httpReadReply,
  httpRequestArgs,
  lockArgs,
  lockReply,
  mpiJoinReply,
  Operation,
  OUTPUT_SLICE_BYTES,
  objectDeleteArgs,
  objectListArgs,
  objectListReply,
  objectReadArgs,
  objectReadReply,
  objectUpdateArgs,
  objectWriteArgs,
  type PartAnswer,
  Placement,
  partAnswer,
  regionPullReply,
  regionRangeArgs,
  sleepArgs,
} from "../../host/abi/operations.ts";
import { FileOperations } from "../../host/invocation/file-operations.ts";
import { CallState } from "../../host/sandbox/executor/guest-call.ts";
import { type FunctionType, type Guest, GuestFault, type GuestImport, type GuestSideModules } from "../../host/sandbox/guest.ts";
import type { OperationReply } from "../../host/sandbox/sandbox.ts";
import { MemoryLog } from "./memory-log.ts";
import { memoryObjects } from "./memory-objects.ts";

export interface StoredObject {
  /** null: deleted. */
  readonly bytes: Uint8Array | null;
  readonly version: number;
}

export interface Ended {
  /** What main returned; 1 when it trapped. */
  readonly value: number;
  readonly output: Uint8Array;
  readonly trap: string | null;
  /** The guest's memory at the end. */
  readonly memory: Uint8Array;
}

const NOTHING = new Uint8Array(0);

/** Objects, functions and calls of one tenant. */
export class MemoryHost {
  readonly objects = new Map<string, StoredObject>();
  readonly functions = new Map<string, WebAssembly.Module>();
  readonly logs: string[] = [];
  readonly log = new MemoryLog();
  /** Every operation performed, in order. */
  readonly operations: number[] = [];
  /** Answers partShip; null keeps parts where the call is. */
  shipPart: ((state: Uint8Array) => PartAnswer) | null = null;
  /** Called before each update decides: lets a test be the other call. */
  beforeUpdate: () => void = () => {};
  /** Calls of the caller's own module at a function of its table, in order; they are not run. */
  readonly startedAt: { readonly tableIndex: number; readonly input: string }[] = [];
  /** Calls that nobody joins, in order; they are not run. */
  readonly spawned: { readonly functionName: string; readonly input: string; readonly delayMs: number }[] = [];
  /** Called before each commit: lets a test be the other call, and say what that changed. */
  beforeCommit: () => string | null = () => null;
  /** Locks that other calls hold. Who waits for one gets it. */
  readonly lockedByOthers = new Set<string>();
  /** Times that this host's calls, which are one to it, hold a lock. */
  readonly locks = new Map<string, number>();
  /** The objects as they were when the open transaction began. */
  beforeTransaction: Map<string, StoredObject> | null = null;
  /** Answers requests to the outside; a text in place of a status is why there is no answer. */
  outside: (asked: ReturnType<typeof httpRequestArgs.decode>) => { status: number | string; head: string; body: Uint8Array } =
    () => ({
      status: "EGRESS_DENIED",
      head: "",
      body: Buffer.from("nowhere"),
    });
  sleptMs = 0;
  timeMs = 1_000;
  /** Above it a staged value is refused. */
  objectMaxBytes = 64 * 1024 * 1024;
  #version = 0;

  put(key: string, value: string | Uint8Array): void {
    this.#version += 1;
    this.objects.set(key, { bytes: Uint8Array.from(Buffer.from(value)), version: this.#version });
  }

  remove(key: string): void {
    this.#version += 1;
    this.objects.set(key, { bytes: null, version: this.#version });
  }

  text(key: string): string | null {
    const bytes = this.objects.get(key)?.bytes;
    return bytes === undefined || bytes === null ? null : Buffer.from(bytes).toString();
  }

  /** Runs a function with pins that depend on nothing but its arguments. */
  async run(module: WebAssembly.Module, input: string | Uint8Array): Promise<Ended> {
    const guest = new MemoryGuest(this, Buffer.from(input));
    const bySource: Record<string, Record<string, GuestImport["run"] | WebAssembly.Suspending>> = {};
    for (const [name, { suspends, run }] of Object.entries(createImports(guest))) {
      const [source = "", ...rest] = name.split(".");
      bySource[source] = { ...bySource[source], [rest.join(".")]: suspends ? new WebAssembly.Suspending(run) : run };
    }
    const { exports } = await WebAssembly.instantiate(module, bySource);
    guest.attach(exports);
    try {
      const value = Number(await WebAssembly.promising(exports.main)());
      await guest.settle();
      return { value, output: guest.call.output(), trap: null, memory: guest.memory() };
    } catch (error) {
      if (error instanceof GuestFault || error instanceof WebAssembly.RuntimeError) {
        return { value: 1, output: guest.call.output(), trap: error.message, memory: guest.memory() };
      }
      throw error;
    }
  }
}

export class MemoryGuest implements Guest {
  reachesRegions = false;
  readonly aliases = null;
  readonly sideModules: GuestSideModules | null = null;
  readonly team = null;
  readonly call: CallState;
  readonly #beforeEnd: (() => Promise<void> | undefined)[] = [];
  readonly restored: { delta: Uint8Array; hostState: Uint8Array }[] = [];
  readonly #host: MemoryHost;
  readonly #children: (Promise<Ended> | null)[] = [];
  readonly #joined = new Set<number>();
  #staged: Uint8Array[] = [];
  #posts = 0;
  #answer: readonly [head: Uint8Array, body: Uint8Array] | null = null;
  #beganTransaction = false;
  #memory: () => Uint8Array = () => NOTHING;
  #growMemory: (pages: number) => number = () => -1;
  #table: WebAssembly.Table | null = null;

  constructor(host: MemoryHost, input: Uint8Array, seed: Uint8Array = Buffer.alloc(16, 7)) {
    this.#host = host;
    this.call = new CallState({
      input,
      commandLine: Buffer.from("test"),
      startTimeMs: 1_000,
      seed,
      outputMaxBytes: 64 * 1024 * 1024,
      logMaxBytes: 1_000,
      cpuTimeMs: 60_000,
    });
  }

  attach(exports: WebAssembly.Exports): void {
    const { memory, table } = exports;
    if (memory instanceof WebAssembly.Memory) {
      this.#memory = () => new Uint8Array(memory.buffer);
      this.#growMemory = (pages) => memory.grow(pages);
    }
    this.#table = table instanceof WebAssembly.Table ? table : null;
  }

  /** Cannot grow. */
  attachBytes(bytes: Uint8Array): void {
    this.#memory = () => bytes;
  }

  memory(): Uint8Array {
    return this.#memory();
  }

  async request(operation: number, args: Uint8Array): Promise<OperationReply> {
    const copy = Uint8Array.from(args);
    await null;
    return this.#perform(operation, copy);
  }

  /** Every third operation finds the window full. */
  post(operation: number, args: Uint8Array): Promise<void> | undefined {
    void this.#perform(operation, Uint8Array.from(args));
    this.#posts += 1;
    return this.#posts % 3 === 0 ? Promise.resolve() : undefined;
  }

  log(text: string): void {
    this.call.logBytes += Buffer.byteLength(text);
    this.#host.logs.push(text);
  }

  beforeEnd(settle: () => Promise<void> | undefined): void {
    this.#beforeEnd.push(settle);
  }

  async settle(): Promise<void> {
    for (const settle of this.#beforeEnd) {
      await settle();
    }
  }

  capture(): { delta: Uint8Array; hostState: Uint8Array } {
    return { delta: Uint8Array.from(this.memory()), hostState: this.call.encode() };
  }

  restore(state: { delta: Uint8Array; hostState: Uint8Array }): void {
    this.restored.push({ delta: Uint8Array.from(state.delta), hostState: Uint8Array.from(state.hostState) });
    this.memory().set(state.delta);
    this.call.restore(state.hostState);
  }

  beforeThreadEnd(): void {}

  callTableFunction(_tableIndex: number, ..._args: number[]): void {
    throw new GuestFault("the table has no function");
  }

  runRegion(): never {
    throw new GuestFault("there are no threads");
  }

  grow(pages: number): number {
    try {
      return this.#growMemory(pages);
    } catch {
      return -1;
    }
  }

  async runTableFunction(tableIndex: number, args: readonly number[] = []): Promise<number> {
    return Number(await this.callOfType({ params: args.map(() => "i32"), result: "i32" }, tableIndex, args));
  }

  async callOfType(_type: FunctionType, tableIndex: number, args: readonly (number | bigint)[]) {
    const table = this.#table;
    if (table === null || tableIndex >= table.length) {
      throw new GuestFault(`there is no table function ${tableIndex}`);
    }
    return (await WebAssembly.promising(table.get(tableIndex))(...args)) as number | bigint | undefined;
  }

  /** Commits nothing: what a transaction writes is there at once, and taken back when it does not commit. */
  #endTransaction(operation: number): OperationReply {
    const host = this.#host;
    const before = host.beforeTransaction;
    const plain = (code: number): OperationReply => ({ code, timeMs: 0, bytes: NOTHING });
    if (before === null || !this.#beganTransaction) {
      return plain(GuestError.noTransaction);
    }
    this.#beganTransaction = false;
    host.beforeTransaction = null;
    const written = new Map(host.objects);
    this.#restoreObjects(before);
    const conflict = operation === Operation.transactionCommit ? host.beforeCommit() : null;
    if (operation === Operation.transactionAbort || conflict !== null) {
      return conflict === null ? plain(0) : { code: GuestError.conflict, timeMs: 0, bytes: Buffer.from(conflict) };
    }
    this.#restoreObjects(written);
    return plain(1);
  }

  #restoreObjects(objects: ReadonlyMap<string, StoredObject>): void {
    this.#host.objects.clear();
    for (const [key, object] of objects) {
      this.#host.objects.set(key, object);
    }
  }

  #lock(operation: number, name: string): OperationReply {
    const { locks, lockedByOthers } = this.#host;
    const reply = (code: number, token: number): OperationReply => ({ code, timeMs: 0, bytes: lockReply.encode(token) });
    const count = locks.get(name) ?? 0;
    if (operation === Operation.unlock) {
      locks.set(name, Math.max(0, count - 1));
      return reply(count === 0 ? GuestError.notHeld : 0, 0);
    }
    if (operation === Operation.lockTry && lockedByOthers.has(name)) {
      return reply(0, 0);
    }
    lockedByOthers.delete(name);
    locks.set(name, count + 1);
    return reply(1, locks.size);
  }

  #perform(operation: number, args: Uint8Array): OperationReply | Promise<OperationReply> {
    const host = this.#host;
    host.operations.push(operation);
    const reply = (code: number, bytes: Uint8Array = NOTHING): OperationReply => ({ code, timeMs: host.timeMs, bytes });
    switch (operation) {
      case Operation.objectRead:
      case Operation.objectReadForUpdate: {
        const { key, offset, maxBytes } = objectReadArgs.decode(args);
        const { bytes, version } = host.objects.get(key) ?? { bytes: null, version: 0 };
        return bytes === null
          ? reply(GuestError.notFound, objectReadReply.encode(0, version, NOTHING))
          : reply(0, objectReadReply.encode(bytes.byteLength, version, bytes.subarray(offset, offset + maxBytes)));
      }
      case Operation.stageChunk: {
        const chunk = Uint8Array.from(args);
        this.#staged.push(chunk);
        if (this.#staged.reduce((sum, staged) => sum + staged.byteLength, 0) <= host.objectMaxBytes) {
          return reply(0);
        }
        this.#staged = [];
        return reply(GuestError.tooLarge, Buffer.from(`${host.objectMaxBytes} bytes may be`));
      }
      case Operation.objectWrite: {
        const { key, staged, value } = objectWriteArgs.decode(args);
        host.put(key, this.#value(staged, value));
        return reply(0);
      }
      case Operation.objectUpdate: {
        const { key, version, staged, value } = objectUpdateArgs.decode(args);
        host.beforeUpdate();
        if ((host.objects.get(key)?.version ?? 0) !== version) {
          return reply(GuestError.conflict);
        }
        host.put(key, this.#value(staged, value));
        return reply(1);
      }
      case Operation.objectDelete:
        host.remove(objectDeleteArgs.decode(args).key);
        return reply(0);
      case Operation.objectList:
        return this.#list(args);
      case Operation.mpiJoin:
        return reply(0, mpiJoinReply.encode(0, 1));
      case Operation.fileFind:
      case Operation.fileList:
        return new FileOperations(memoryObjects(host)).perform(operation, args) ?? reply(0);
      case Operation.callStart:
      case Operation.callStartBound: {
        const { functionName, input } = callStartArgs.decode(args);
        const module = host.functions.get(functionName);
        this.#children.push(module === undefined ? null : host.run(module, Uint8Array.from(input)));
        return reply(0);
      }
      case Operation.callStartAt: {
        const { tableIndex, input } = callStartAtArgs.decode(args);
        host.startedAt.push({ tableIndex, input: Buffer.from(input).toString() });
        this.#children.push(null);
        return reply(0);
      }
      case Operation.callAwait:
        return this.#await(callAwaitArgs.decode(args).handle);
      case Operation.callOutput: {
        const { handle, offset } = callOutputArgs.decode(args);
        return this.#output(handle, offset);
      }
      case Operation.callSpawn: {
        const { functionName, input, delayMs } = callSpawnArgs.decode(args);
        if (!host.functions.has(functionName)) {
          return reply(GuestError.unknownFunction);
        }
        host.spawned.push({ functionName, input: Buffer.from(input).toString(), delayMs });
        return reply(0, Buffer.from(`1-spawned${host.spawned.length}`));
      }
      case Operation.callSelect:
        return this.#select(callSelectArgs.decode(args).handles);
      case Operation.callCancel:
        return this.#cancel(callCancelArgs.decode(args).handle);
      case Operation.httpRequest: {
        const { status, head, body } = host.outside(httpRequestArgs.decode(args));
        this.#answer = [Buffer.from(typeof status === "string" ? status : head), body];
        return reply(typeof status === "string" ? GuestError.noAnswer : status);
      }
      case Operation.httpRead: {
        const { part, offset } = httpReadArgs.decode(args);
        const read = this.#answer?.[part];
        return read === undefined
          ? reply(GuestError.notFound)
          : reply(0, httpReadReply.encode(read.byteLength, read.subarray(offset, offset + OUTPUT_SLICE_BYTES)));
      }
      case Operation.sleep:
        host.sleptMs += sleepArgs.decode(args).durationMs;
        return reply(0);
      case Operation.partOffer:
        return reply(host.shipPart === null ? Placement.local : Placement.ship);
      case Operation.partShip:
        return { code: 0, timeMs: 0, ...partAnswer.encode(host.shipPart?.(args) ?? { kind: "local" }) };
      case Operation.partEnd:
      case Operation.sync:
      case Operation.fence:
        return reply(0);
      case Operation.transactionBegin:
        if (host.beforeTransaction !== null) {
          return reply(GuestError.inTransaction);
        }
        if (beginArgs.decode(args).isolation > 2) {
          return reply(GuestError.invalid);
        }
        host.beforeTransaction = new Map(host.objects);
        this.#beganTransaction = true;
        return reply(0);
      case Operation.transactionCommit:
      case Operation.transactionAbort:
        return this.#endTransaction(operation);
      case Operation.lock:
      case Operation.lockTry:
      case Operation.unlock:
        return this.#lock(operation, lockArgs.decode(args).name);
      // Any handle is that of a region here, from which anything comes.
      case Operation.regionSnapshot:
        return reply(0, new Uint8Array(regionRangeArgs.decode(args).length).fill(9));
      case Operation.regionPull:
        return reply(0, regionPullReply.encode(regionRangeArgs.decode(args).length));
      case Operation.regionOpen:
      case Operation.regionGrow:
      case Operation.regionLock:
      case Operation.regionUnlock:
      case Operation.regionWait:
      case Operation.regionNotify:
      case Operation.regionPush:
        return reply(1);
      default: {
        const answer = host.log.perform(operation, args);
        if (answer !== null) {
          return reply(answer.code, answer.bytes);
        }
        throw new Error(`unknown operation ${operation}`);
      }
    }
  }

  #list(args: Uint8Array): OperationReply {
    const { prefix, after, limit } = objectListArgs.decode(args);
    const entries = [...this.#host.objects]
      .filter(
        ([key, { bytes }]) =>
          bytes !== null && key.startsWith(prefix) && Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0,
      )
      .sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      .slice(0, limit)
      .map(([key, { bytes }]) => ({ key, sizeBytes: bytes?.byteLength ?? 0 }));
    return { code: entries.length, timeMs: 0, bytes: objectListReply.encode(entries) };
  }

  async #select(handles: readonly number[]): Promise<OperationReply> {
    const first = await Promise.race(handles.map(async (handle, index) => [await this.#children[handle], index] as const));
    return { code: first[1], timeMs: 0, bytes: NOTHING };
  }

  /** Calls in memory have all but ended when they have begun: what can be cancelled is what nobody has waited for. */
  #cancel(handle: number): OperationReply {
    const running = this.#children[handle];
    if (running === undefined || running === null || this.#joined.has(handle)) {
      return { code: 0, timeMs: 0, bytes: NOTHING };
    }
    const cancelled = { value: 1, output: NOTHING, trap: "cancelled", memory: NOTHING };
    this.#children[handle] = Promise.resolve(cancelled);
    return { code: 1, timeMs: 0, bytes: NOTHING };
  }

  async #await(handle: number): Promise<OperationReply> {
    const ended = await this.#children[handle];
    this.#joined.add(handle);
    if (ended === undefined || ended === null) {
      return { code: GuestError.unknownFunction, timeMs: 0, bytes: NOTHING };
    }
    const told = toldOf(ended);
    const slice = told.subarray(0, OUTPUT_SLICE_BYTES);
    return { code: 0, timeMs: 0, bytes: callAwaitReply.encode(ended.value, told.byteLength, slice) };
  }

  async #output(handle: number, offset: number): Promise<OperationReply> {
    const ended = await this.#children[handle];
    const told = ended === undefined || ended === null ? NOTHING : toldOf(ended);
    return { code: 0, timeMs: 0, bytes: told.subarray(offset, offset + OUTPUT_SLICE_BYTES) };
  }

  #value(staged: boolean, value: Uint8Array): Uint8Array {
    if (!staged) {
      return value;
    }
    const whole = Buffer.concat(this.#staged);
    this.#staged = [];
    return whole;
  }
}

/** What the caller of a function gets of its end. */
function toldOf({ trap, output }: Ended): Uint8Array {
  return trap === null ? output : Buffer.from(trap);
}
