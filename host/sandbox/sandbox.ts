/** The contract of the sandbox layer: runs modules in worker threads and processes, knows no state. */
import type { ArenaMemory } from "../../state/regions/index.ts";
import type { Artefact } from "../modules/artefact.ts";

/** Runs attempts. One call of `start` is one. */
export interface CallPool {
  /** Queues an attempt; `handler.onEnd` is called exactly once, whatever happens. */
  start(start: SandboxStart, handler: SandboxHandler): SandboxCall;
  /**
   * A module that the tenant is about to call: it is compiled, and a worker gets a sandbox ready. A matter of speed only; a module that
   * is no good shows at its first call.
   */
  prepare(artefact: Artefact, tenant: string): void;
  /** What a scheduler asks: attempts that run, are suspended, wait. */
  readonly load: SandboxLoad;
  /** Ends all attempts with `killed: closed` and all workers. */
  close(): Promise<void>;
}

/** What the main thread sees of a pool of sandboxes. */
export interface SandboxPool extends CallPool {
  /**
   * A memory for the tenant's regions, where its attempts are that begin from now on; `forget` must follow.
   * @throws RangeError  the system has no memory. OVERLOADED  the tenant gets no process for it now
   */
  createArena(tenant: string, maxPages: number): ArenaMemory;
  /** Whether attempts of the tenant that begin now can be started with this memory, which was made for it. */
  reaches(tenant: string, arena: ArenaMemory): boolean;
  /** No attempt will be started with this memory again: what holds on to it goes. */
  forget(arena: ArenaMemory): void;
}

export interface SandboxLoad {
  readonly workers: number;
  /** Attempts in a sandbox, suspended ones included. */
  readonly active: number;
  /** Of these, those that wait for no operation. */
  readonly computing: number;
  readonly queued: number;
  /** Sandboxes kept for reuse. */
  readonly idle: number;
}

/** Of several pools together. */
export function addedLoads(pools: readonly Pick<CallPool, "load">[]): SandboxLoad {
  const loads = pools.map(({ load }) => load);
  const sum = (part: keyof SandboxLoad) => loads.reduce((total, load) => total + load[part], 0);
  return {
    workers: sum("workers"),
    active: sum("active"),
    computing: sum("computing"),
    queued: sum("queued"),
    idle: sum("idle"),
  };
}

/** An attempt that ends before it has begun. */
export function endedAtOnce(handler: SandboxHandler, end: SandboxEnd): SandboxCall {
  queueMicrotask(() => {
    handler.onEnd(end);
    handler.onGone?.();
  });
  return { reply() {}, acknowledge() {}, cancel() {}, freeze() {} };
}

export interface SandboxStart {
  /** Whose function it is: decides with whose attempts it may share a process. */
  readonly tenant: string;
  readonly artefact: Artefact;
  /** Not copied on this thread when its buffer is shared; it must not be changed then. */
  readonly input: Uint8Array | LateInput;
  /**
   * The program's name and arguments in UTF-8, a NUL between two of them; at most 64 KiB. A part has its call's. The name is the
   * function's, or `<function>/<entry point>`: then that runs.
   */
  readonly commandLine: Uint8Array;
  /** Start time and seed from which clock and random derive (F13, F28). */
  readonly pins: { readonly timeMs: number; readonly seed: Uint8Array };
  readonly limits: SandboxLimits;
  /** So many sandboxes of the pool attempts of the tenant may be in at once. */
  readonly sandboxesMax: number;
  /** So many of them attempts of this function, one with threads or a world of ranks as one; left out: all. */
  readonly ofFunction?: { readonly name: string; readonly sandboxesMax: number } | undefined;
  /**
   * Of a rank of a world: it has a worker to itself, as it cannot begin anew when another call blocks that. So many workers are set aside when it
   * begins: all of the world's by the first rank, 0 by the others, which then do not wait.
   */
  readonly ranks?: number | undefined;
  /** Threads of the call, and of all calls of the tenant, at once; for a module whose calls have threads. Left out: one. */
  readonly threads?: { readonly callMax: number; readonly tenantMax: number } | undefined;
  /** Calls above this one, which wait for it in their sandboxes. 0: none. */
  readonly depth: number;
  /** Run the table's function at this index instead of the entry: () → i32, or i32 → i32, which gets the input as a decimal number. */
  readonly tableIndex?: number | undefined;
  /** Run this part instead of the entry (push-down). */
  readonly part?: PartStart | undefined;
  /** Go on where a call was stopped. The artefact is the one it was stopped with, input, pins and limits are those of the call. */
  readonly frozen?: FrozenStart;
  /** The attempt may end `frozen` although nobody has asked for it: it is to go on, then. */
  readonly mayFreeze?: boolean;
  /**
   * What the module's accesses to memory regions go to; for a module that has them. Not with `part`. Of a memory that is gone with its
   * process the attempt ends `displaced`.
   */
  readonly arena?: ArenaMemory | undefined;
}

/** A long input: nobody has it in memory until there is room for it. */
export interface LateInput {
  readonly byteLength: number;
  /** When it fails, the attempt ends `workerLost`. */
  read(): Promise<Uint8Array>;
}

/** A call that was stopped in the middle. */
export interface FrozenStart {
  /** Of `SandboxEnd`: only a sandbox opens them. */
  readonly bytes: Uint8Array;
  /** Of the operation that the call had asked and waited for. Left out: the guest asks for it again. */
  readonly answer?: OperationReply;
}

export interface SandboxLimits {
  /** Wall time of the attempt, waiting included. */
  readonly wallTimeMs: number;
  /** CPU time of the guest over all slices (H4). */
  readonly cpuTimeMs: number;
  readonly outputMaxBytes: number;
  readonly logMaxBytes: number;
}

/** A part of a call as it is shipped: everything of the call that a guest could notice (H15). */
export interface PartStart {
  readonly snapshotHash: string;
  /** () → i32 */
  readonly tableIndex: number;
  readonly state: GuestState;
}

/**
 * State of a suspended call outside its stack. As bytes: it goes through rings and sockets unopened by anyone but the sandbox, and
 * when it is large in shared memory, which nobody changes.
 */
export interface GuestState {
  /** Memory delta against the snapshot, or against the state a part started from, and all mutable globals. */
  readonly delta: Uint8Array;
  /** Output so far, clock and random counters, time last seen. */
  readonly hostState: Uint8Array;
}

export interface SandboxCall {
  /** Answers the operation that the attempt waits for. Ignored when the attempt has ended. */
  reply(reply: OperationReply): void;
  /** One posted operation has been carried out: opens the guest's window of unacknowledged ones (H5). */
  acknowledge(): void;
  /** Ends the attempt as soon as possible; `onEnd` says `killed: cancelled`. */
  cancel(): void;
  /**
   * Stops the attempt in the middle: `onEnd` says `frozen`, unless it ends otherwise before. At once when the guest waits for an
   * operation, which goes on; otherwise as soon as the import returns that it is in, or its storage part has ended. Nothing happens
   * when the module is not migratable.
   */
  freeze(): void;
}

export interface OperationReply {
  /** ≥ 0, or a negative code of `host/abi`. */
  readonly code: number;
  /** Time of the record that this answer rests on, 0 for none: the guest's clock is never behind it (F35). */
  readonly timeMs: number;
  readonly bytes: Uint8Array;
  /** Beside the bytes, if it is in shared memory. */
  readonly state?: GuestState;
}

export interface SandboxHandler {
  /**
   * The guest performs an operation. `waits`: it is suspended until `SandboxCall.reply`; otherwise it went on (a posted step, H5)
   * and `SandboxCall.acknowledge` must follow. `args` is the handler's to keep.
   */
  onOperation(operation: number, args: Uint8Array, waits: boolean): void;
  onLog(text: string): void;
  onEnd(end: SandboxEnd): void;
  /** Settles when the output of the end is not needed any more, until when it counts as memory of the call; left out: at once. */
  readonly outputUsed?: Promise<void> | undefined;
  /** Of a call that was stopped in the middle: it is in a sandbox now, and its bytes are not needed any more. Not when it ends before. */
  onBegun?(): void;
  /** Called once, at `onEnd` or later: the guest can run no more, and touches no memory region. */
  onGone?(): void;
}

export type SandboxEnd =
  /** The guest returned, or exited with a value. The output of a part is in its state. */
  | {
      readonly kind: "returned";
      readonly value: number;
      readonly output: Uint8Array;
      readonly cpuMs: number;
      readonly state?: GuestState;
    }
  /** The guest trapped by its own doing, aborted, or gave a host call arguments it may not give. A result like any other (F17). */
  | { readonly kind: "trapped"; readonly message: string; readonly cpuMs: number }
  /** The host ended it; says nothing about the function (F17). */
  | { readonly kind: "killed"; readonly reason: KillReason; readonly message: string; readonly cpuMs: number }
  /** Another call stuck its worker. Start it again; it is not its fault (H7). */
  | { readonly kind: "displaced"; readonly cpuMs: number }
  /**
   * It was stopped in the middle, by `SandboxCall.freeze`. `awaits`: for the answer of the operation that it has sent last, which
   * `FrozenStart` may bring along. What it has posted counts, and comes first.
   */
  | { readonly kind: "frozen"; readonly bytes: Uint8Array; readonly awaits: boolean; readonly cpuMs: number };

export type KillReason =
  | "wallTime"
  | "cpuTime"
  | "stackOverflow"
  | "outputTooLarge"
  | "workerLost"
  | "cancelled"
  | "closed"
  /** There is no room for it now. */
  | "overloaded"
  /** There never is: it needs for itself more than all sandboxes here may have. */
  | "tooLarge";
