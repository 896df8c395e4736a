/**
 * The contract between the worker of a sandbox and the imports that host/abi makes for it. The worker loads the factory by URL
 * (`SandboxPoolOptions.importsUrl`), so that this folder imports nothing of host/abi.
 */
import type { Mappings } from "./executor/mappings.ts";
import type { OperationReply } from "./sandbox.ts";

/** "module.name" → import. */
export type GuestImports = Readonly<Record<string, GuestImport>>;

export interface GuestImport {
  /** Wrapped in WebAssembly.Suspending: the function may return a promise, and the guest waits for it. */
  readonly suspends: boolean;
  /** Whether threads may use it that are not the main one, which it does not suspend. Left out: if it never suspends. */
  readonly inThreads?: boolean;
  /** Value types by their names in the text format. May be left out by one that does not suspend, or returns no i64. */
  readonly results?: readonly string[];
  readonly run: (...args: never[]) => unknown;
}

/** Called once per sandbox, with "module.name" of what the module imports. The export `createImports` of the module at `importsUrl`. */
export type CreateImports = (guest: Guest, names?: Iterable<string>) => GuestImports;

/** What an import sees of the sandbox it is called from. Valid for the sandbox's life; `call` changes with each call. */
export interface Guest {
  /** The guest's memory now: take it anew at each import, as growth detaches it. */
  memory(): Uint8Array;
  /** Whether it shares memory regions with other sandboxes. */
  readonly reachesRegions: boolean;
  /** Addresses of its that are those of memory regions; null: none are. */
  readonly aliases: GuestAliases | null;
  /** The threads of the call; null: its module's memory is not shared. */
  readonly team: GuestTeam | null;
  /** What the call has opened by dlopen; null: its module cannot. */
  readonly sideModules: GuestSideModules | null;
  /** The call that runs in the sandbox. */
  readonly call: GuestCall;
  /** Sends an operation and suspends the guest until the host answers. Rejects when the call is cancelled. */
  request(operation: number, args: Uint8Array): Promise<OperationReply>;
  /**
   * Sends an operation whose outcome the guest cannot see and goes on: returns undefined, or a promise to return to the engine when
   * the window of unacknowledged operations is full (256 operations or 256 KiB).
   */
  post(operation: number, args: Uint8Array): Promise<void> | undefined;
  log(text: string): void;
  /**
   * From now on `settle` is called before each call, or part of one that began elsewhere, ends with a value or by an exit: it does what
   * is still to be done for it, and returns undefined when that is nothing. When it rejects the call fails with what it says.
   */
  beforeEnd(settle: () => Promise<void> | undefined): void;
  /** The call's memory delta, globals and host state (H15). */
  capture(): { delta: Uint8Array; hostState: Uint8Array };
  /** Makes the captured state of a part that ran elsewhere the state of this call. */
  restore(state: { delta: Uint8Array; hostState: Uint8Array }): void;
  /** Makes the memory longer. @returns its pages before; -1: there is no room, or its maximum is reached */
  grow(pages: number): number;
  /** Does something at the end of the thread, unless that ends the call. The main thread, whose end is the call's, does not. */
  beforeThreadEnd(run: () => void): void;
  /** Calls the table's function (i32, …) → () right here; it cannot wait for the host. */
  callTableFunction(tableIndex: number, ...args: number[]): void;
  /**
   * Runs this thread's share of a parallel region. In the main thread it does so on a second stack, where it may wait for the host, and
   * the promise resolves when the function returns; in others it returns undefined when it has.
   */
  runRegion(region: ParallelRegion): Promise<void> | undefined;
  /** Runs the table's function (i32, …) → i32 on a second stack, while the caller is suspended. */
  runTableFunction(tableIndex: number, args?: readonly number[]): Promise<number>;
  /** The same of a function of any type. Nested 8 deep at most. @throws GuestFault  it is of another type, or nested deeper */
  callOfType(type: FunctionType, tableIndex: number, args: readonly (number | bigint)[]): Promise<number | bigint | undefined>;
}

export type ValueType = "i32" | "i64" | "f32" | "f64";

export interface FunctionType {
  /** At most 100. */
  readonly params: readonly ValueType[];
  /** null: nothing. */
  readonly result: ValueType | null;
}

/** The tenant's memory regions as a guest reaches them whose state is aliased. */
export interface GuestAliases {
  /** From here on its addresses are those of the shared memory, less this. */
  readonly base: number;
  /** The shared memory now: it may grow. */
  memory(): Uint8Array;
  /** Where an open region begins in it. */
  regionBase(handle: number): number;
  /** Its size now. */
  regionBytes(handle: number): number;
}

/** Modules that a call has loaded into its memory and its table beside its own, the main module. */
export interface GuestSideModules {
  /** Set by imports that do anything with them: from then on parts of the call run where it is, and its sandbox ends with it. */
  isUsed: boolean;
  /** The handle of the main module. */
  readonly mainHandle: number;
  /** The handle of what was opened under this path, which is open once more; 0: nothing was. */
  reopen(path: string): number;
  /**
   * Loads a side module, and runs its constructors on a second stack while the caller is suspended.
   * @param encoded  by `encodeSideModule`
   * @returns its handle
   * @throws SideModuleRefused  none of its code has run. What a constructor throws ends the call
   */
  open(path: string, encoded: Uint8Array): Promise<number>;
  /**
   * Of a function its index in the table, of a variable its address. @param handle  0: of the first module that has the name
   * @throws SideModuleRefused  there is none, the handle is none, or the table has no room
   */
  address(handle: number, name: string): number;
  /** What is closed as often as it was opened has no handle any more, and stays where it is. @throws SideModuleRefused */
  close(handle: number): void;
}

/** Why a side module is not opened, or something of it not found: a text for its user. */
export class SideModuleRefused extends Error {
  override name = "SideModuleRefused";
}

/** The threads of a call, as one of them sees them. */
export interface GuestTeam {
  /** Its number; 0: the main thread, which alone may have the host do something. */
  readonly thread: number;
  /** By which it is joined; 1: the main thread, 0: it cannot be. */
  readonly handle: number;
  /** So many there may be at once, the main thread included. */
  readonly threadsMax: number;
  /** Words for one mutex that all threads of the call share; zeros at its beginning. */
  readonly critical: Int32Array;
  /** Starts a thread. Returns its number, or 0 when there are as many as there may be. */
  start(start: ThreadStart): number;
  /** Starts a thread that can be joined. Returns its handle, or 0 when there is no room for it or its stack. */
  startJoinable(start: JoinableStart, grow: (pages: number) => number): number;
  /** Blocks until the thread has ended. Returns its value; null when there is no such thread, or nobody may join it. */
  join(handle: number): number | null;
  /** Nobody will join the thread. False when there is none. */
  detach(handle: number): boolean;
  /** A key for values of threads, from 1 to THREAD_KEYS_MAX; 0 when there is none left. @param destructor  0: none */
  createKey(destructor: number): number;
  /** Index of its function in the table; 0: none. */
  destructorOf(key: number): number;
  /** No destructor of it is run any more. */
  deleteKey(key: number): void;
  readonly crew: GuestCrew;
}

/** Keys of one call. */
export const THREAD_KEYS_MAX = 128;

/** What all threads of a region run, as compilers for OpenMP have it: (i32 rank, i32 bound rank, i32 …) → (), where the first two point to numbers. */
export interface ParallelRegion {
  readonly tableIndex: number;
  /** Of the other arguments, one after the other. */
  readonly argumentsPointer: number;
  readonly argumentCount: number;
}

/** The threads of a call that run parallel regions together, as one of them sees them. Outside of a region, and in one inside of another, each is alone. */
export interface GuestCrew {
  /** Of this thread, for its life: the main thread is 0. */
  readonly rank: number;
  /** In the region that runs. */
  readonly index: number;
  readonly size: number;
  /** Regions that this thread is in. */
  readonly level: number;
  /** Whether one of them has several threads. */
  readonly isShared: boolean;
  /** As many threads shall be in the next region that this thread begins, unless that says otherwise. 0: as many as there are processors. */
  wanted: number;
  /**
   * Begins a region. Others begin to run it when the main thread begins it outside of any other, and there is room for them; else this
   * thread is alone in it.
   */
  fork(size: number, region: ParallelRegion, grow: (pages: number) => number): void;
  /** Ends the region that this thread has begun last: waits for the others. */
  join(): void;
  /** Begins a region in which this thread is alone. */
  enter(): void;
  /** Ends it. False when there is none. */
  leave(): boolean;
  /** Waits until all threads of the region are here. */
  barrier(): void;
  /** Whether this thread is the first one of the region that comes here. */
  once(): boolean;
  /** Waits until all threads before this one have passed on their turn. */
  awaitTurn(): void;
  passTurn(): void;
  /** Begins a loop of `total` turns that the threads share. */
  beginLoop(total: bigint): void;
  /** Takes turns of the loop: as many as `want` says of what is left, 1 at least, or the last ones. @returns null: there are none left, and the loop ends */
  takeTurns(want: (left: bigint) => bigint): { readonly from: bigint; readonly count: bigint } | null;
  /** Ends the threads that wait for the next region. */
  dismiss(): void;
}

/** Room that the host has given a thread. */
export interface ThreadStack {
  readonly top: number;
  readonly slot: number;
  readonly handle: number;
}

/** What a thread runs. */
export type ThreadStart =
  /** The export `wasi_thread_start`, with its number and the argument. */
  | { readonly kind: "export"; readonly argument: number }
  /** A function of the table. */
  | { readonly kind: "function"; readonly argument: number; readonly tableIndex: number; readonly stack: ThreadStack }
  /** Parallel regions, from the one behind `seen` on. */
  | { readonly kind: "crew"; readonly rank: number; readonly seen: number; readonly stack: ThreadStack };

export interface JoinableStart {
  /** (i32) → i32 */
  readonly tableIndex: number;
  readonly argument: number;
  readonly isDetached: boolean;
}

/** Thrown by an import to end the thread that is not the main one. */
export class ThreadExit extends Error {
  override name = "ThreadExit";
  readonly value: number;
  constructor(value: number) {
    super(`thread exit ${value}`);
    this.value = value;
  }
}

/** Of what groups of imports keep for one call: files, copies of state values, and what they need to find those. */
export const HELD_STATE_MAX_BYTES = 128 * 1024 * 1024;

/** State that a group of imports keeps for a call, and that is encoded when it travels. */
export interface TravellingState {
  /** What it takes of the host's memory, about; HELD_STATE_MAX_BYTES at most for all of a call. */
  readonly heldBytes: number;
  encode(): Uint8Array;
}

/** Host state of one call: what travels with a part, and is reset between calls. */
export interface GuestCall {
  readonly input: Uint8Array;
  /** The program's name and arguments, then an empty text and its environment, if it has one: a NUL between two of them. */
  readonly commandLine: Uint8Array;
  readonly startTimeMs: number;
  readonly seed: Uint8Array;
  readonly outputMaxBytes: number;
  readonly logMaxBytes: number;
  /** Whether a storage part is running; calls may not be started then. */
  inPart: boolean;
  /** Parts that run inside another one, in this place. */
  innerParts: number;
  /** What the part is called with that is shipped. */
  partArguments: readonly number[];
  readonly mappings: Mappings;
  /** Calls started so far: the next handle. */
  callCount: number;
  clockCount: number;
  randomCount: number;
  /** Time of the last record seen, 0 before (F35). */
  lastTimeMs: number;
  logBytes: number;
  /** Descriptors and scratch files: null before the first use, bytes as they came from elsewhere until then. */
  files: TravellingState | Uint8Array | null;
  /** Copies of Faasm's state values; as `files`. */
  state: TravellingState | Uint8Array | null;
  /** The last output of an awaited call that did not fit: the guest may ask again with more room. */
  keptAnswer: KeptAnswer | null;
  /** Why the last commit was refused, or what was too large when an object, or the transaction that it was asked for in, was so. */
  refusal: Uint8Array;
  /** @throws GuestExit … `outputTooLarge` kills the attempt */
  appendOutput(bytes: Uint8Array): void;
  /** Puts `bytes` in place of what the last `replaceOutput` gave, behind all that was appended. @throws as `appendOutput` */
  replaceOutput(bytes: Uint8Array): void;
}

/** What a guest was told of an awaited call. */
export interface KeptAnswer {
  readonly handle: number;
  readonly returnValue: number;
  readonly sizeBytes: number;
  /** The beginning of the output. */
  readonly slice: Uint8Array;
}

/** Thrown by an import: the guest did what it may not do; the call fails with this text as a trap of its own. */
export class GuestFault extends Error {
  override name = "GuestFault";
}

/** Thrown by an import to end the call with a return value (proc_exit). */
export class GuestExit extends Error {
  override name = "GuestExit";
  readonly value: number;
  constructor(value: number) {
    super(`exit ${value}`);
    this.value = value;
  }
}
