/** Drives a real pool of sandboxes with the imports of `test-imports.ts`. */
import type { Artefact } from "../../host/modules/artefact.ts";
import { type Defences, ProcessStarter, type StarterOptions } from "../../host/processes/index.ts";
import {
  createSandboxPool,
  type PartStart,
  type SandboxCall,
  type SandboxEnd,
  type SandboxLimits,
  type SandboxPool,
  type SandboxPoolOptions,
  type SandboxStart,
} from "../../host/sandbox/index.ts";
import { WorkerPool } from "../../host/sandbox/pool/pool.ts";
import {
  type ProcessPoolOptions,
  ProcessReserve,
  processPool,
  type ReserveOptions,
  ThreadedPool,
} from "../../host/sandbox/process/index.ts";
import type { ArenaMemory } from "../../state/regions/index.ts";
import { ASK, POST } from "./test-imports.ts";

const MIB = 1024 * 1024;

const clock = { now: () => Date.now(), monotonic: () => performance.now() };

let isolation: "threads" | "process" | "threaded" = "threads";

/** From now on pools are of processes: the same tests hold for them. */
export function usePoolsOfProcesses(): void {
  isolation = "process";
}

/** From now on pools are of threads of a process, as calls have them whose guests share memory: the same tests hold for them. */
export function usePoolsOfThreadedProcesses(): void {
  isolation = "threaded";
}

/** Whether guests are told to give way in memory that they look at, not by a pipe. */
export const tellsByMemory = (): boolean => isolation === "threads";

export function openPool(options: Partial<SandboxPoolOptions> = {}): Promise<SandboxPool> {
  const importsUrl = new URL("./test-imports.ts", import.meta.url);
  const complete = { name: "test", importsUrl, clock, workers: 1, ...options };
  return isolation === "threads" ? createSandboxPool(complete) : openProcessPool(complete);
}

const RESERVE_OPTIONS: Omit<ReserveOptions, "starter"> = {
  importsUrl: new URL("./test-imports.ts", import.meta.url),
  size: 1,
  sandboxesMax: 4_000,
  idleMaxBytes: 128 * MIB,
  heapMaxMegabytes: 64,
  rssMaxBytes: 1024 * MIB,
  bodyMaxBytes: 256 * MIB,
  threaded: { sharedMaxBytes: 256 * MIB, threadsMax: 128 },
};

/** A reserve with a starter of its own, which ends with it. */
export type OpenReserve = ProcessReserve & { readonly defences: Defences };

export async function openReserve(options: Partial<ReserveOptions> & StarterOptions = {}): Promise<OpenReserve> {
  const starter = await ProcessStarter.open(options);
  const reserve = new ProcessReserve({ ...RESERVE_OPTIONS, starter, ...options });
  return Object.assign(reserve, {
    defences: await starter.defences,
    close: async () => {
      await ProcessReserve.prototype.close.call(reserve);
      await starter.close();
    },
  });
}

async function openProcessPool(options: SandboxPoolOptions & { workers: number }): Promise<SandboxPool> {
  const { importsUrl, workers, longSlicesMax = 1, queueMax, memory, sandboxesMax = 8_000 } = options;
  const isThreaded = isolation === "threaded";
  const perProcess = isThreaded ? sandboxesMax : Math.max(1, Math.floor((sandboxesMax * 0.9) / (workers + longSlicesMax)));
  const reserve = await openReserve({ importsUrl, sandboxesMax: perProcess });
  const open = isThreaded ? openThreadedPoolOf : openPoolOf;
  return open(reserve, {
    workers,
    longSlicesMax,
    sandboxesMax: perProcess,
    ...(queueMax !== undefined && { queueMax }),
    ...(memory !== undefined && { memory }),
  });
}

/** A pool of processes; the reserve is closed with it. */
export async function openPoolOf(
  reserve: ProcessReserve,
  options: Partial<Omit<ProcessPoolOptions, "clock">> = {},
): Promise<SandboxPool> {
  const pool = processPool(reserve, { clock, workers: 1, longSlicesMax: 1, sandboxesMax: 4_000, ...options });
  await pool.ready();
  return Object.assign(pool, {
    close: async () => {
      await WorkerPool.prototype.close.call(pool);
      await reserve.close();
    },
  });
}

/** A pool of threads of one process; the reserve is closed with it. */
export async function openThreadedPoolOf(
  reserve: ProcessReserve,
  options: Partial<Omit<ProcessPoolOptions, "clock">> = {},
): Promise<ThreadedPool> {
  const pool = new ThreadedPool(reserve, { clock, workers: 1, longSlicesMax: 1, sandboxesMax: 4_000, ...options });
  await pool.ready();
  return Object.assign(pool, {
    close: async () => {
      await ThreadedPool.prototype.close.call(pool);
      await reserve.close();
    },
  });
}

export interface RunningCall {
  readonly call: SandboxCall;
  readonly end: Promise<SandboxEnd>;
  /** Resolves when its guest can run no more. */
  readonly gone: Promise<void>;
  readonly logs: string[];
  /** Operations heard of so far. */
  readonly operations: { operation: number; args: Uint8Array; waits: boolean }[];
  /** How often `onEnd` was called. */
  readonly ends: () => number;
  /** Resolves when that many operations have been heard of; rejects when the call ends before. */
  readonly heard: (count: number) => Promise<void>;
}

export interface CallOptions {
  readonly tenant?: string;
  readonly input?: SandboxStart["input"];
  readonly limits?: Partial<SandboxLimits>;
  readonly part?: PartStart;
  readonly depth?: number;
  readonly sandboxesMax?: number;
  readonly ofFunction?: SandboxStart["ofFunction"];
  readonly outputUsed?: Promise<void>;
  readonly threads?: { readonly callMax: number; readonly tenantMax: number };
  readonly arena?: ArenaMemory;
  /** Without it ASK is answered with its argument plus one, and POST acknowledged. */
  readonly onOperation?: (call: SandboxCall, operation: number, args: Uint8Array, waits: boolean) => void;
}

export function begin(pool: SandboxPool, artefact: Artefact, options: CallOptions = {}): RunningCall {
  const logs: string[] = [];
  const operations: RunningCall["operations"] = [];
  const waiters: { count: number; resolve: () => void; reject: (error: Error) => void }[] = [];
  const onOperation = options.onOperation ?? answer;
  let ends = 0;
  const gone = Promise.withResolvers<void>();
  let finish: (end: SandboxEnd) => void = () => {};
  const end = new Promise<SandboxEnd>((resolve) => {
    finish = resolve;
  });
  const call = pool.start(
    {
      tenant: options.tenant ?? "acme",
      artefact,
      input: options.input ?? new Uint8Array(0),
      depth: options.depth ?? 0,
      commandLine: new Uint8Array(0),
      sandboxesMax: options.sandboxesMax ?? 8000,
      ofFunction: options.ofFunction,
      pins: { timeMs: 1_000, seed: new Uint8Array(32) },
      limits: { wallTimeMs: 60_000, cpuTimeMs: 60_000, outputMaxBytes: 1 << 20, logMaxBytes: 1 << 16, ...options.limits },
      ...(options.part && { part: options.part }),
      ...(options.threads && { threads: options.threads }),
      ...(options.arena && { arena: options.arena }),
    },
    {
      onOperation: (operation, args, waits) => {
        operations.push({ operation, args: Uint8Array.from(args), waits });
        for (const waiter of waiters) {
          if (operations.length >= waiter.count) {
            waiter.resolve();
          }
        }
        onOperation(call, operation, args, waits);
      },
      onLog: (text) => logs.push(text),
      outputUsed: options.outputUsed,
      onEnd: (value) => {
        ends += 1;
        finish(value);
        for (const { count, reject } of waiters) {
          reject(new Error(`the call was ${value.kind} after ${operations.length} of ${count} operations`));
        }
      },
      onGone: () => gone.resolve(),
    },
  );
  const heard = (count: number) =>
    new Promise<void>((resolve, reject) => {
      if (operations.length >= count) {
        resolve();
      } else if (ends > 0) {
        reject(new Error(`the call has ended, after ${operations.length} of ${count} operations`));
      } else {
        waiters.push({ count, resolve, reject });
      }
    });
  return { call, end, gone: gone.promise, logs, operations, ends: () => ends, heard };
}

/** The end of a call of which nothing else matters. */
export function run(pool: SandboxPool, artefact: Artefact, options: CallOptions = {}): Promise<SandboxEnd> {
  return begin(pool, artefact, options).end;
}

/** As `run`, as the call's owner would: a displaced attempt is started again, and told of. */
export async function persist(
  pool: SandboxPool,
  artefact: Artefact,
  options: CallOptions = {},
  onDisplaced: () => void = () => {},
): Promise<SandboxEnd> {
  for (;;) {
    const end = await run(pool, artefact, options);
    if (end.kind !== "displaced") {
      return end;
    }
    onDisplaced();
  }
}

function answer(call: SandboxCall, operation: number, args: Uint8Array, waits: boolean): void {
  if (waits && operation === ASK) {
    const value = args.byteLength === 4 ? new DataView(args.buffer, args.byteOffset).getInt32(0, true) : args.byteLength;
    call.reply({ code: value + 1, timeMs: 0, bytes: args });
  } else if (operation === POST) {
    call.acknowledge();
  }
}

/** Leaves operations unanswered. */
export const ignore = (): void => {};
