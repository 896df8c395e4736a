/**
 * What the main thread and a worker say to each other. Every frame of an attempt carries (call, attempt): `call` is a slot of the
 * pool's table of calls, `attempt` counts the uses of that slot, so together they name one `SandboxPool.start` for ever (H6).
 */
import { ByteReader, ByteWriter } from "../../../state/bytes.ts";
import type { Artefact } from "../../modules/artefact.ts";
import type { FrozenStart, GuestState, KillReason, OperationReply, PartStart } from "../sandbox.ts";
import { shared } from "./shared-bytes.ts";

export const FrameType = {
  // to the worker
  /** a: module number, b: number of the memory of its regions in a process; the attachment is a LoadedModule, or an Artefact. */
  load: 1,
  /** a: module number. Its idle sandboxes go; running ones go when they end. */
  unload: 2,
  /** code: threads that the call may have, a: module number, b: CPU limit, c: log limit, x: time pin, y: output limit, z: input bytes; body: seed, command line, table index, input, part if any; or a SharedStart attached. */
  start: 3,
  /** a: code, x: time; body: bytes; or a SharedReply attached. */
  reply: 4,
  /** a: how many posted operations have been carried out. */
  acknowledge: 5,
  cancel: 6,
  /** a: module number. A sandbox of it shall lie ready. */
  prepare: 7,
  /** x: idle sandboxes go that have been so for as many ms, y: and of the others as many bytes. */
  trim: 8,
  /** The attempt shall be stopped in the middle; it may end otherwise before. */
  freeze: 9,
  /** To a worker that becomes a thread of the call. a: module number, b: number of the thread; the attachment is a port, see threads/team.ts; in a process its hub adds that. */
  thread: 12,
  // to the main thread
  /** code: operation, a: 1 when the guest waits, b: pages of its memory and of what the host holds for it, x: CPU ms so far; body: arguments. */
  operation: 16,
  /** body: text. */
  log: 17,
  /** Of a preemptible guest that gives way. b: as of `operation`, if they are not what was said last. */
  memory: 26,
  /**
   * code: an EndKind, a: value, or index of the kill reason, or 1 for a frozen call that awaits an answer, b: threads of the call that
   * go on, x: CPU ms; body: output, message, state or frozen call.
   */
  end: 18,
  /** A thread of the call starts another one. a: its number; the attachment is a port, which stays in its process. */
  spawn: 24,
  /** The thread of the call that this worker was has ended. c: 1 when that ends the call, and then code, a and body as of `end`; x: CPU ms. */
  threadEnd: 25,
  /** From a process, or a worker in it: it serves its channel. */
  ready: 19,

  // to a process with several workers
  /** The worker starts. a: where in the file its slice marks are, x: sandboxes that it may have, y: bytes that idle ones may keep. */
  workerStart: 32,
  /** The worker ends, whatever it does; `workerEnded` follows. */
  workerEnd: 33,
  /** The worker's guest gives way, if it is preemptible. */
  workerInterrupt: 34,
  /** A memory for regions is made. a: its number, b: its greatest number of pages. */
  arenaCreate: 40,
  /** a: number of the memory, which no call will use any more. */
  arenaDrop: 41,
  /** code: an ArenaAction, a: number of the memory, call: number of the request, x: address or handle, y: length or pages; body: bytes. */
  arenaRequest: 42,
  // from it
  /** The worker has ended. body: why. */
  workerEnded: 35,
  /** call: number of the request, code: 1 when there was no memory for it, a: what was loaded; body: what was read. */
  arenaAnswer: 43,
} as const;

export type FrameType = (typeof FrameType)[keyof typeof FrameType];

/** What a process does in a memory for regions. All but `enter` are answered. */
export const ArenaAction = { grow: 0, enter: 1, clear: 2, read: 3, write: 4, load: 5 } as const;

/** A received message. Which fields a type uses is said at its type; the others are 0. */
export interface Frame {
  type: FrameType;
  /** u16 */
  code: number;
  call: number;
  attempt: number;
  /** i32 */
  a: number;
  b: number;
  c: number;
  /** f64 */
  x: number;
  y: number;
  z: number;
  body: Uint8Array;
  /** What `Channel.sendAttached` sent beside the frame. */
  attachment: unknown;
  /** u32, in a pipe: which worker of the process it is to or from; 0: the only one, or the process itself. */
  worker: number;
}

export const EMPTY = new Uint8Array(0);
/** In place of a table index: the module's entry. No table is so long. */
export const ENTRY = 2 ** 32 - 1;

/** For a reader that fills the same frame again and again. */
export const blankFrame = (): Frame => ({
  type: FrameType.cancel,
  code: 0,
  call: 0,
  attempt: 0,
  a: 0,
  b: 0,
  c: 0,
  x: 0,
  y: 0,
  z: 0,
  body: EMPTY,
  attachment: undefined,
  worker: 0,
});

export const EndKind = { returned: 0, returnedWithState: 1, trapped: 2, killed: 3, frozen: 4 } as const;

export const KILL_REASONS: readonly KillReason[] = [
  "wallTime",
  "stackOverflow",
  "outputTooLarge",
  "workerLost",
  "cancelled",
  "closed",
  "overloaded",
  "cpuTime",
  "tooLarge",
];

/** The body of a start whose input or state is in shared memory, or of a call that goes on. */
export interface SharedStart {
  readonly seed: Uint8Array;
  readonly commandLine: Uint8Array;
  /** Or ENTRY. */
  readonly tableIndex: number;
  readonly input: Uint8Array;
  readonly part: Omit<PartStart, "snapshotHash"> | null;
  readonly frozen?: FrozenStart;
}

/** A reply whose state is in shared memory. */
export type SharedReply = Required<Pick<OperationReply, "bytes" | "state">>;

/** A compiled module as a worker gets it: an artefact without its bytes. Structured clone shares the machine code. */
export interface LoadedModule extends Omit<Artefact, "wasm"> {
  readonly module: WebAssembly.Module;
  /** The memory of its tenant's regions, for a module that reaches them. */
  readonly arena?: WebAssembly.Memory;
}

/** The part of a start frame's body that says which part of a call to run. */
export const partStart = {
  encode: (part: PartStart): Uint8Array =>
    new ByteWriter(64 + part.state.delta.byteLength + part.state.hostState.byteLength)
      .u32(part.tableIndex)
      .bytes(part.state.delta)
      .bytes(part.state.hostState)
      .view(),
  /** @throws RangeError when the bytes end too early */
  decode: (bytes: Uint8Array): Omit<PartStart, "snapshotHash"> => {
    const r = new ByteReader(bytes);
    return { tableIndex: r.u32(), state: { delta: r.bytes(), hostState: r.bytes() } };
  },
};

/** A state as one body. Many bytes are in shared memory. */
export const guestStateBytes = {
  encode: ({ delta, hostState }: GuestState): Uint8Array =>
    shared(new ByteWriter(16 + delta.byteLength + hostState.byteLength).bytes(delta).bytes(hostState).view()),
  decode: (bytes: Uint8Array): GuestState => {
    const r = new ByteReader(bytes);
    return { delta: r.bytes(), hostState: r.bytes() };
  },
};
