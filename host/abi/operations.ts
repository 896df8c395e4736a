/**
 * Operations a guest may ask of the host's main thread: their numbers, classes and argument layouts. The only thing that the two
 * sides of host/abi share: `guest/` encodes in the worker, `host/invocation` decodes.
 */
import { ByteReader, ByteWriter } from "../../state/bytes.ts";
import { guestStateBytes } from "../sandbox/frames/protocol.ts";
import { isShared } from "../sandbox/frames/shared-bytes.ts";
import type { GuestState, OperationReply } from "../sandbox/sandbox.ts";

export const Operation = {
  objectRead: 1,
  objectReadForUpdate: 2,
  objectWrite: 3,
  objectUpdate: 4,
  objectDelete: 5,
  objectList: 6,
  /** A chunk of a value too large for one message; the next objectWrite or objectUpdate with `staged` names them all. */
  stageChunk: 7,
  callStart: 8,
  callAwait: 9,
  sleep: 10,
  /** Asks where a storage part shall run: the reply's code is a Placement. */
  partOffer: 11,
  /** Ships the part, whose guestStateBytes are the arguments; the reply is a PartAnswer. Only after Placement.ship. */
  partShip: 12,
  /** The part has ended here (after Placement.local). */
  partEnd: 13,
  sync: 40,
  fence: 41,
  transactionBegin: 42,
  transactionCommit: 43,
  transactionAbort: 44,
  lock: 45,
  lockTry: 46,
  unlock: 47,
  logAppend: 20,
  logReadPrev: 21,
  logReadNext: 22,
  logAwaitNext: 23,
  logTail: 24,
  logTrim: 25,
  /** Begins a call that nobody joins; the reply's bytes are its instance id. */
  callSpawn: 50,
  /** Like callStart; the call is cancelled when the caller ends without it. */
  callStartBound: 51,
  /** The reply's code is the index of the first of some started calls that has ended. */
  callSelect: 52,
  /** Reply code 1: cancelled; 0: it had ended. */
  callCancel: 53,
  /** Like callStart: the caller's own module, at a function of its table. */
  callStartAt: 55,
  /** A further slice of the output that a callAwait has told the beginning of. */
  callOutput: 54,
  regionOpen: 80,
  regionGrow: 81,
  regionLock: 82,
  regionUnlock: 83,
  /** The reply's code: 0 notified, 1 not equal, 2 timed out. */
  regionWait: 84,
  regionNotify: 85,
  regionPush: 86,
  regionPull: 87,
  /** The reply's bytes are those of the region. */
  regionSnapshot: 88,
  /** Sends a request to another system; the reply's code is the answer's status. */
  httpRequest: 60,
  /** A slice of what the last httpRequest got. */
  httpRead: 61,
  /** Looks for a shared file or folder; the reply's code is a FileKind. */
  fileFind: 90,
  /** What is in a folder of shared files. */
  fileList: 91,
  /** A shared file as a side module; the reply's code is its size in bytes, which begin there. */
  sideModuleOpen: 92,
  /** A further slice of what the last sideModuleOpen has told the beginning of. */
  sideModuleRead: 93,
  /** The call becomes a rank of its world; answered when all ranks have. */
  mpiJoin: 100,
  /** Posted: a frame for another rank. Its number, u16, and what that rank gets. */
  mpiSend: 101,
  /** Frames that others have sent. */
  mpiTake: 102,
  /** The rank needs the others no more; answered when none does. */
  mpiLeave: 103,
  /** The world ends. */
  mpiAbort: 104,
} as const;

export type Operation = (typeof Operation)[keyof typeof Operation];

/** Negative codes a guest can see. Stable; documented in guest-sdk/abi.json. */
export const GuestError = {
  /** The object does not exist. */
  notFound: -1,
  /** A key, name or size is out of range. */
  invalid: -2,
  /** Not possible inside a storage part: calls, transactions, locks. */
  notInPart: -3,
  /** No function of that name. */
  unknownFunction: -4,
  /** Larger than a limit of this host. */
  tooLarge: -5,
  /** The object was changed since the version was read. */
  conflict: -6,
  tooDeep: -7,
  /** The stream is closed. */
  closed: -20,
  /** The records asked for are trimmed. */
  trimmed: -21,
  /** The stream is shorter than the condition says. */
  gap: -22,
  /** A transaction is open already: this function's, or that of a caller. */
  inTransaction: -40,
  /** No transaction is open that this function has begun. */
  noTransaction: -41,
  /** Calls that were started in the transaction have not been awaited. */
  openCalls: -42,
  /** This function does not hold the lock. */
  notHeld: -43,
  /** The request has no answer; `http_read` says why. */
  noAnswer: -60,
} as const;

export const Placement = { local: 0, ship: 1 } as const;

/** Values up to this size travel in one message; larger ones are staged in chunks. */
export const STAGE_CHUNK_BYTES = 1024 * 1024;

export interface ObjectReadArgs {
  readonly key: string;
  readonly offset: number;
  readonly maxBytes: number;
}

export interface ObjectWriteArgs {
  readonly key: string;
  /** The value is what was staged, and `value` is empty. */
  readonly staged: boolean;
  readonly value: Uint8Array;
}

export const objectReadArgs = {
  encode: (a: ObjectReadArgs) => new ByteWriter(64).text(a.key).f64(a.offset).u32(a.maxBytes).view(),
  decode: (bytes: Uint8Array): ObjectReadArgs => {
    const r = new ByteReader(bytes);
    return { key: r.text(), offset: r.f64(), maxBytes: r.u32() };
  },
};

/** The bytes of an objectRead or objectReadForUpdate reply: total size and version of the object, then the slice. */
export const objectReadReply = {
  encode: (sizeBytes: number, version: number, slice: Uint8Array) =>
    new ByteWriter(16 + slice.byteLength).f64(sizeBytes).f64(version).raw(slice).view(),
  decode: (bytes: Uint8Array) => {
    const r = new ByteReader(bytes);
    return { sizeBytes: r.f64(), version: r.f64(), slice: r.raw(r.remaining) };
  },
};

export const objectWriteArgs = {
  encode: (a: ObjectWriteArgs) =>
    new ByteWriter(64 + a.value.byteLength)
      .text(a.key)
      .u8(a.staged ? 1 : 0)
      .raw(a.value)
      .view(),
  decode: (bytes: Uint8Array): ObjectWriteArgs => {
    const r = new ByteReader(bytes);
    return { key: r.text(), staged: r.u8() === 1, value: r.raw(r.remaining) };
  },
};

/** Reply code 1: applied; GuestError.conflict: somebody else changed the object first. */
export const objectUpdateArgs = {
  encode: (a: ObjectWriteArgs & { readonly version: number }) =>
    new ByteWriter(64 + a.value.byteLength)
      .text(a.key)
      .f64(a.version)
      .u8(a.staged ? 1 : 0)
      .raw(a.value)
      .view(),
  decode: (bytes: Uint8Array): ObjectWriteArgs & { readonly version: number } => {
    const r = new ByteReader(bytes);
    const key = r.text();
    const version = r.f64();
    return { key, version, staged: r.u8() === 1, value: r.raw(r.remaining) };
  },
};

export const objectDeleteArgs = {
  encode: (key: string) => new ByteWriter(64).text(key).view(),
  decode: (bytes: Uint8Array) => ({ key: new ByteReader(bytes).text() }),
};

export const objectListArgs = {
  encode: (a: { prefix: string; after: string; limit: number }) =>
    new ByteWriter(64).text(a.prefix).text(a.after).u32(a.limit).view(),
  decode: (bytes: Uint8Array) => {
    const r = new ByteReader(bytes);
    return { prefix: r.text(), after: r.text(), limit: r.u32() };
  },
};

/** The bytes of an objectList reply; the code is the number of entries. */
export const objectListReply = {
  encode: (entries: readonly { key: string; sizeBytes: number }[]) => {
    const w = new ByteWriter(64 + entries.length * 32);
    for (const entry of entries) {
      w.text(entry.key).f64(entry.sizeBytes);
    }
    return w.view();
  },
  decode: (bytes: Uint8Array) => {
    const r = new ByteReader(bytes);
    const entries: { key: string; sizeBytes: number }[] = [];
    while (r.remaining > 0) {
      entries.push({ key: r.text(), sizeBytes: r.f64() });
    }
    return entries;
  },
};

/** `handle`: 0, 1, 2 … in the order of the guest's callStart operations. Posted: a function that does not exist shows at callAwait. */
export const callStartArgs = {
  encode: (a: { functionName: string; input: Uint8Array }) =>
    new ByteWriter(64 + a.input.byteLength).text(a.functionName).raw(a.input).view(),
  decode: (bytes: Uint8Array) => {
    const r = new ByteReader(bytes);
    return { functionName: r.text(), input: r.raw(r.remaining) };
  },
};

export const callStartAtArgs = {
  encode: (a: { tableIndex: number; input: Uint8Array }) =>
    new ByteWriter(8 + a.input.byteLength).u32(a.tableIndex).raw(a.input).view(),
  decode: (bytes: Uint8Array) => {
    const r = new ByteReader(bytes);
    return { tableIndex: r.u32(), input: r.raw(r.remaining) };
  },
};

export const callAwaitArgs = {
  encode: (handle: number) => new ByteWriter(8).u32(handle).view(),
  decode: (bytes: Uint8Array) => ({ handle: new ByteReader(bytes).u32() }),
};

/** What one reply holds of an output: no message keeps the main thread for long (H27). */
export const OUTPUT_SLICE_BYTES = 1024 * 1024;

/**
 * The bytes of a callAwait reply: the child's return value (0 = success); size and first slice of its output, or of the message of
 * its failure.
 */
export const callAwaitReply = {
  encode: (returnValue: number, sizeBytes: number, slice: Uint8Array) =>
    new ByteWriter(16 + slice.byteLength).i32(returnValue).f64(sizeBytes).raw(slice).view(),
  decode: (bytes: Uint8Array) => {
    const r = new ByteReader(bytes);
    return { returnValue: r.i32(), sizeBytes: r.f64(), slice: r.raw(r.remaining) };
  },
};

/** Only after callAwait. The reply's bytes are at most OUTPUT_SLICE_BYTES. */
export const callOutputArgs = {
  encode: (a: { handle: number; offset: number }) => new ByteWriter(16).u32(a.handle).f64(a.offset).view(),
  decode: (bytes: Uint8Array) => {
    const r = new ByteReader(bytes);
    return { handle: r.u32(), offset: r.f64() };
  },
};

export const sleepArgs = {
  encode: (durationMs: number) => new ByteWriter(8).f64(durationMs).view(),
  decode: (bytes: Uint8Array) => ({ durationMs: new ByteReader(bytes).f64() }),
};

export const partOfferArgs = {
  encode: (a: { key: string; tableIndex: number; usesSideModules: boolean }) =>
    new ByteWriter(64)
      .text(a.key)
      .u32(a.tableIndex)
      .u8(a.usesSideModules ? 1 : 0)
      .view(),
  decode: (bytes: Uint8Array) => {
    const r = new ByteReader(bytes);
    return { key: r.text(), tableIndex: r.u32(), usesSideModules: r.u8() === 1 };
  },
};

export const sideModuleOpenArgs = {
  encode: (path: string) => new ByteWriter(64).text(path).view(),
  decode: (bytes: Uint8Array) => new ByteReader(bytes).text(),
};

/** From where on. */
export const sideModuleReadArgs = {
  encode: (offset: number) => new ByteWriter(8).u32(offset).view(),
  decode: (bytes: Uint8Array) => new ByteReader(bytes).u32(),
};

/**
 * Reply to partShip. `done`: apply the state and return the value. `local`: the storage node refused or was lost, nothing has
 * happened, run the part here. `trapped`: the part trapped there, which is the call's own trap.
 */
export type PartAnswer =
  | { readonly kind: "done"; readonly value: number; readonly state: GuestState }
  | { readonly kind: "local" }
  | { readonly kind: "trapped"; readonly message: string };

export const partAnswer = {
  /** A state in shared memory is left where it is. */
  encode: (a: PartAnswer): Pick<OperationReply, "bytes" | "state"> => {
    const w = new ByteWriter(64);
    switch (a.kind) {
      case "done":
        w.u8(1).i32(a.value);
        return isShared(a.state.delta)
          ? { bytes: w.view(), state: a.state }
          : { bytes: w.raw(guestStateBytes.encode(a.state)).view() };
      case "local":
        return { bytes: w.u8(2).view() };
      case "trapped":
        return { bytes: w.u8(3).text(a.message).view() };
    }
  },
  decode: ({ bytes, state }: Pick<OperationReply, "bytes" | "state">): PartAnswer => {
    const r = new ByteReader(bytes);
    const kind = r.u8();
    if (kind === 1) {
      return { kind: "done", value: r.i32(), state: state ?? guestStateBytes.decode(r.raw(r.remaining)) };
    }
    return kind === 2 ? { kind: "local" } : { kind: "trapped", message: r.text() };
  },
};

/** `delayMs`: 0 for at once. */
export const callSpawnArgs = {
  encode: (a: { functionName: string; delayMs: number; input: Uint8Array }) =>
    new ByteWriter(64 + a.input.byteLength).text(a.functionName).f64(a.delayMs).raw(a.input).view(),
  decode: (bytes: Uint8Array) => {
    const r = new ByteReader(bytes);
    return { functionName: r.text(), delayMs: r.f64(), input: r.raw(r.remaining) };
  },
};

export const callSelectArgs = {
  encode: (handles: readonly number[]) => {
    const w = new ByteWriter(handles.length * 4);
    for (const handle of handles) {
      w.u32(handle);
    }
    return w.view();
  },
  decode: (bytes: Uint8Array) => {
    const r = new ByteReader(bytes);
    const handles: number[] = [];
    while (r.remaining > 0) {
      handles.push(r.u32());
    }
    return { handles };
  },
};

export const callCancelArgs = callAwaitArgs;

/** `isolation`: index into ISOLATIONS. Reply code 0: begun. */
export const beginArgs = {
  encode: (isolation: number) => new ByteWriter(8).u8(isolation).view(),
  decode: (bytes: Uint8Array) => ({ isolation: new ByteReader(bytes).u8() }),
};

/** Of lock, lockTry and unlock. */
export const lockArgs = {
  encode: (name: string) => new ByteWriter(64).text(name).view(),
  decode: (bytes: Uint8Array) => ({ name: new ByteReader(bytes).text() }),
};

/** The bytes of a lock or lockTry reply of code 1, or of lockTry's code 0: taken by others, token 0. */
export const lockReply = {
  encode: (token: number) => new ByteWriter(8).f64(token).view(),
  decode: (bytes: Uint8Array) => ({ token: new ByteReader(bytes).f64() }),
};

export const regionOpenArgs = {
  encode: (a: { name: string; sizeBytes: number; maxBytes: number }) =>
    new ByteWriter(64).text(a.name).u32(a.sizeBytes).u32(a.maxBytes).view(),
  decode: (bytes: Uint8Array) => {
    const r = new ByteReader(bytes);
    return { name: r.text(), sizeBytes: r.u32(), maxBytes: r.u32() };
  },
};

/** Of operations on a region with up to two numbers: grow(size), lock(mode: 0 read, 1 write), notify(offset, count). */
export const regionArgs = {
  encode: (handle: number, first = 0, second = 0) => new ByteWriter(16).u32(handle).u32(first).u32(second).view(),
  decode: (bytes: Uint8Array) => {
    const r = new ByteReader(bytes);
    return { handle: r.u32(), first: r.u32(), second: r.u32() };
  },
};

/** `timeoutMs`: below 0 for none. */
export const regionWaitArgs = {
  encode: (a: { handle: number; offset: number; expected: number; timeoutMs: number }) =>
    new ByteWriter(32).u32(a.handle).u32(a.offset).i32(a.expected).f64(a.timeoutMs).view(),
  decode: (bytes: Uint8Array) => {
    const r = new ByteReader(bytes);
    return { handle: r.u32(), offset: r.u32(), expected: r.i32(), timeoutMs: r.f64() };
  },
};

/** Where bytes of a region go in an object: they become its value, replace a part of it, or are added to its end. */
export const PushMode = { whole: 0, part: 1, end: 2 } as const;

/** Of pushes, pulls and snapshots: `length` bytes of the region from `offset`; `at` is where they are in the object `key`. */
export interface RegionRangeArgs {
  readonly handle: number;
  readonly offset: number;
  readonly length: number;
  readonly key: string;
  readonly at: number;
  /** A PushMode. */
  readonly mode: number;
}

export const regionRangeArgs = {
  encode: (a: RegionRangeArgs) =>
    new ByteWriter(64).u32(a.handle).u32(a.offset).u32(a.length).text(a.key).f64(a.at).u8(a.mode).view(),
  decode: (bytes: Uint8Array): RegionRangeArgs => {
    const r = new ByteReader(bytes);
    return { handle: r.u32(), offset: r.u32(), length: r.u32(), key: r.text(), at: r.f64(), mode: r.u8() };
  },
};

/** The bytes of a regionPull reply: size of the object. */
export const regionPullReply = {
  encode: (sizeBytes: number) => new ByteWriter(8).f64(sizeBytes).view(),
  decode: (bytes: Uint8Array) => ({ sizeBytes: new ByteReader(bytes).f64() }),
};
/** `headers`: lines "name: value". `once`: not sent again by a later attempt that does not know what came of it. */
export const httpRequestArgs = {
  encode: (a: { method: string; url: string; headers: string; once: boolean; body: Uint8Array }) =>
    new ByteWriter(256 + a.body.byteLength)
      .text(a.method)
      .text(a.url)
      .text(a.headers)
      .u8(a.once ? 1 : 0)
      .raw(a.body)
      .view(),
  decode: (bytes: Uint8Array) => {
    const r = new ByteReader(bytes);
    return { method: r.text(), url: r.text(), headers: r.text(), once: r.u8() === 1, body: r.raw(r.remaining) };
  },
};

/** `part`: 0 the head, 1 the body. */
export const httpReadArgs = {
  encode: (a: { part: number; offset: number }) => new ByteWriter(16).u8(a.part).f64(a.offset).view(),
  decode: (bytes: Uint8Array) => {
    const r = new ByteReader(bytes);
    return { part: r.u8(), offset: r.f64() };
  },
};

/** The bytes of an httpRead reply: size of the part, and a slice of at most OUTPUT_SLICE_BYTES. */
export const httpReadReply = {
  encode: (sizeBytes: number, slice: Uint8Array) => new ByteWriter(8 + slice.byteLength).f64(sizeBytes).raw(slice).view(),
  decode: (bytes: Uint8Array) => {
    const r = new ByteReader(bytes);
    return { sizeBytes: r.f64(), slice: r.raw(r.remaining) };
  },
};

/** The bytes of an mpiJoin reply. */
export const mpiJoinReply = {
  encode: (rank: number, size: number) => new ByteWriter(8).u32(rank).u32(size).view(),
  decode: (bytes: Uint8Array) => {
    const r = new ByteReader(bytes);
    return { rank: r.u32(), size: r.u32() };
  },
};

/** `waits`: until there is a frame. */
export const mpiTakeArgs = {
  encode: (waits: boolean) => new ByteWriter(1).u8(waits ? 1 : 0).view(),
  decode: (bytes: Uint8Array) => ({ waits: new ByteReader(bytes).u8() === 1 }),
};

/** A frame that another rank has sent. */
export interface MpiFrame {
  readonly from: number;
  readonly frame: Uint8Array;
}

/** The bytes of an mpiTake reply. */
export const mpiTakeReply = {
  encode: (frames: readonly MpiFrame[]) => {
    const w = new ByteWriter(frames.reduce((sum, { frame }) => sum + 6 + frame.byteLength, 0));
    for (const { from, frame } of frames) {
      w.u16(from).bytes(frame);
    }
    return w.view();
  },
  decode: (bytes: Uint8Array): MpiFrame[] => {
    const r = new ByteReader(bytes);
    const frames: MpiFrame[] = [];
    while (r.remaining > 0) {
      frames.push({ from: r.u16(), frame: r.bytes() });
    }
    return frames;
  },
};

export const mpiAbortArgs = {
  encode: (code: number) => new ByteWriter(4).i32(code).view(),
  decode: (bytes: Uint8Array) => ({ code: new ByteReader(bytes).i32() }),
};
