/**
 * Payloads of the records that begin and end an instance. `init` records are encoded as they are; in `invoke` and `done` records a
 * step header comes first.
 */
import { ByteReader, ByteWriter } from "../../state/bytes.ts";
import { invariant } from "../../state/errors.ts";
import type { BlobName, InstanceId, SeqNum } from "../../state/ids.ts";
import { type BlobRefLike, type LogRecord, RecordKind } from "../../state/logbook/index.ts";
import { type Mode, modeCode, modeFromCode } from "../../state/logbook/modes.ts";
import { decodeStep, type Pins, SEED_BYTES } from "../../state/logbook/step-record.ts";
import type { ModuleHash } from "../modules/artefact.ts";
import { type RetryPolicy, readRetryPolicy, writeRetryPolicy } from "../modules/retry-policy.ts";
import type { CallLimits } from "../tenancy/index.ts";

/** Bytes that a record carries, or names when they are long. */
export type Payload =
  | { readonly kind: "inline"; readonly bytes: Uint8Array }
  | { readonly kind: "blob"; readonly ref: BlobRefLike };

/** Inputs and outputs up to this size travel inside the record. */
export const PAYLOAD_INLINE_MAX_BYTES = 64 * 1024;

/** What an instance runs, pinned for ever (F24): every attempt, on any node, has the same. */
export interface InstanceInit extends CallLimits {
  /** Or `<function>/<entry point>`. */
  readonly functionName: string;
  readonly module: ModuleHash;
  readonly input: Payload;
  /** What a program sees as its arguments, words with spaces between them; "" for none. */
  readonly commandLine: string;
  /** What runs in place of the module's entry: the function of its table at this index; null: the entry. */
  readonly tableIndex: number | null;
  /** What it sees as its environment, as `environmentText` has it. Not for logs. */
  readonly environment: string;
  readonly forbidPushDown: boolean;
  readonly objectMaxBytes: number;
  readonly retry: RetryPolicy;
  /** Of a child: it is cancelled when its caller ends without it (F40). */
  readonly bound: boolean;
  /** It does not begin before; 0 for at once. */
  readonly notBeforeMs: number;
  /** Calls above this one; bounded. */
  readonly depth: number;
  /** 0: none. */
  readonly callId: number;
  /** Of a child: not before any time that its caller may have seen. */
  readonly startedMs: number;
  /** The call at the top of the chain; "" for itself. */
  readonly root: InstanceId | "";
  /** The caller's transaction that a child is called in, encoded; null when there is none. */
  readonly transaction: Payload | null;
  /** SEED_BYTES; the seed of a child, whose other pins follow from its Invoke record. Zeros for a root. */
  readonly childSeed: Uint8Array;
  /** Ranks of the world that a call with MPI is; 0 for any other call. */
  readonly worldSize: number;
  /** Of these the one that it is. */
  readonly rank: number;
  /** Where the modes of scopes are looked up: 0 for the own initial cursor, of a child that of its root (F18). */
  readonly modeCursor: SeqNum;
  /** The function's own protocol, for scopes that nobody has chosen one for. */
  readonly protocol: Mode | null;
}

/** Whether it is a rank among others, with which it exchanges messages. */
export function isOfWorld({ worldSize }: Pick<InstanceInit, "worldSize">): boolean {
  return worldSize > 1;
}

export interface InstanceDone {
  /** 0 is success. */
  readonly returnValue: number;
  /** Empty unless the guest trapped, or no attempt could finish. */
  readonly trap: string;
  readonly output: Payload;
  /** What a child did in its caller's transaction, encoded; null when it was called outside of one. */
  readonly transaction: Payload | null;
  /**
   * CPU time of the run that has ended it, ms: of the function, its storage parts and what it called, in all attempts. Attempts of one
   * instance differ in it, so nothing may rest on it. Null: not known, as of a call that was cancelled, or of an earlier host.
   */
  readonly cpuMs: number | null;
}

/** How a cancelled call ends. */
export const CANCELLED: InstanceDone = {
  returnValue: 1,
  trap: "cancelled",
  output: { kind: "inline", bytes: new Uint8Array(0) },
  transaction: null,
  cpuMs: null,
};

export const NO_SEED = new Uint8Array(SEED_BYTES);
/**
 * 2: with the limits of wall time and output only, and without a command line; 3: without a table index and an environment; 4: without
 * a world; 5: without the function's sandboxes.
 */
const FORMATS = { oldest: 2, newest: 6 };
const NO_TABLE_INDEX = 2 ** 32 - 1;
const NO_LIMIT = Number.POSITIVE_INFINITY;
const LEGACY_MAX_DEPTH = 32;
const LEGACY_LOG_MAX_BYTES = 65_536;

const WORD_END = /[\s\0]+/;
const FORBID_PUSH_DOWN = 1;
const BOUND = 2;

/** As a sandbox takes it: the function's name comes first, and behind an empty word the environment. */
export function commandLineBytes(init: Pick<InstanceInit, "functionName" | "commandLine" | "environment">): Uint8Array {
  if (init.commandLine === "" && init.environment === "") {
    return Buffer.from(init.functionName);
  }
  const words = init.commandLine.split(WORD_END).filter((word) => word !== "");
  const environment = init.environment === "" ? [] : ["", init.environment];
  return Buffer.from([init.functionName, ...words, ...environment].join("\0"));
}

/** The data of a call that begins later, and the payload of a spawn: the owner reads the time in front. */
export function encodeLaterInit(init: InstanceInit): Uint8Array {
  return new ByteWriter(264).f64(init.notBeforeMs).raw(encodeInit(init)).take();
}

export function encodeInit(init: InstanceInit): Uint8Array {
  const w = new ByteWriter(256);
  w.u8(FORMATS.newest).text(init.functionName).text(init.module);
  w.u8((init.forbidPushDown ? FORBID_PUSH_DOWN : 0) | (init.bound ? BOUND : 0));
  w.f64(init.wallTimeMs).f64(init.outputMaxBytes).f64(init.objectMaxBytes);
  writeRetryPolicy(w, init.retry);
  w.u16(init.depth).u32(init.callId).f64(init.startedMs).raw(init.childSeed);
  w.f64(init.modeCursor).u8(modeCode(init.protocol));
  writePayload(w, init.input).text(init.root);
  writeOptional(w, init.transaction);
  w.f64(init.cpuTimeMs).f64(init.logMaxBytes).f64(init.stateMaxBytes).u8(init.callMaxDepth);
  return w
    .text(init.commandLine)
    .u32(init.tableIndex ?? NO_TABLE_INDEX)
    .text(init.environment)
    .u16(init.worldSize)
    .u16(init.rank)
    .f64(init.functionMaxSandboxes)
    .take();
}

export function decodeInit(bytes: Uint8Array, notBeforeMs = 0): InstanceInit {
  const r = new ByteReader(bytes);
  const format = r.u8();
  const { oldest, newest } = FORMATS;
  invariant(format >= oldest && format <= newest, `an INIT has format ${format}, this host reads ${oldest} to ${newest}`);
  const functionName = r.text();
  const module = r.text() as ModuleHash;
  const flags = r.u8();
  const common = {
    functionName,
    module,
    forbidPushDown: (flags & FORBID_PUSH_DOWN) !== 0,
    bound: (flags & BOUND) !== 0,
    notBeforeMs,
    wallTimeMs: r.f64(),
    outputMaxBytes: r.f64(),
    objectMaxBytes: r.f64(),
    retry: readRetryPolicy(r),
    depth: r.u16(),
    callId: r.u32(),
    startedMs: r.f64(),
    childSeed: r.raw(SEED_BYTES),
    modeCursor: r.f64() as SeqNum,
    protocol: modeFromCode(r.u8()),
    input: readPayload(r),
    root: r.text() as InstanceId | "",
    transaction: readOptional(r),
  };
  return format === 2
    ? {
        ...common,
        cpuTimeMs: NO_LIMIT,
        logMaxBytes: LEGACY_LOG_MAX_BYTES,
        stateMaxBytes: NO_LIMIT,
        callMaxDepth: LEGACY_MAX_DEPTH,
        functionMaxSandboxes: NO_LIMIT,
        commandLine: "",
        tableIndex: null,
        environment: "",
        worldSize: 0,
        rank: 0,
      }
    : {
        ...common,
        cpuTimeMs: r.f64(),
        logMaxBytes: r.f64(),
        stateMaxBytes: r.f64(),
        callMaxDepth: r.u8(),
        commandLine: r.text(),
        tableIndex: format === 3 ? null : readTableIndex(r),
        environment: format === 3 ? "" : r.text(),
        worldSize: format < 5 ? 0 : r.u16(),
        rank: format < 5 ? 0 : r.u16(),
        functionMaxSandboxes: format < 6 ? NO_LIMIT : r.f64(),
      };
}

function readTableIndex(r: ByteReader): number | null {
  const tableIndex = r.u32();
  return tableIndex === NO_TABLE_INDEX ? null : tableIndex;
}

/** From the first record of an instance. */
export function initOf(first: LogRecord): InstanceInit {
  switch (first.kind) {
    case RecordKind.init:
      return decodeInit(first.data);
    case RecordKind.delayed:
      return decodeLaterInit(first.data);
    case RecordKind.spawn:
      return decodeLaterInit(decodeStep(first.data).payload);
    default:
      return decodeInit(decodeStep(first.data).payload);
  }
}

function decodeLaterInit(bytes: Uint8Array): InstanceInit {
  const r = new ByteReader(bytes);
  const notBeforeMs = r.f64();
  return decodeInit(r.raw(r.remaining), notBeforeMs);
}

/**
 * The pins that follow from a child's Invoke record: it starts right there, so every attempt of it agrees (F28). Its clock is behind
 * neither its caller's nor the record's, whose times come from two machines (F35).
 */
export function childPins(invoke: { readonly seqnum: SeqNum; readonly timeMs: number }, init: InstanceInit): Pins {
  const timeMs = Math.max(invoke.timeMs, init.startedMs);
  return { initialCursor: invoke.seqnum, timeMs, seed: init.childSeed, nonce: NO_NONCE };
}

const NO_NONCE = new Uint8Array(8);

export function encodeDone(done: InstanceDone): Uint8Array {
  const w = writePayload(new ByteWriter(64).i32(done.returnValue).text(done.trap), done.output);
  writeOptional(w, done.transaction);
  return (done.cpuMs === null ? w : w.f64(done.cpuMs)).take();
}

/** From a `done` or `cancel` record. */
export function doneOf(record: LogRecord): InstanceDone {
  const r = new ByteReader(decodeStep(record.data).payload);
  const done = { returnValue: r.i32(), trap: r.text(), output: readPayload(r), transaction: readOptional(r) };
  return { ...done, cpuMs: r.remaining === 0 ? null : r.f64() };
}

export function payloadBlobs(payload: Payload | null): readonly BlobRefLike[] {
  return payload?.kind === "blob" ? [payload.ref] : [];
}

export function writePayload(w: ByteWriter, payload: Payload): ByteWriter {
  return payload.kind === "inline" ? w.u8(0).bytes(payload.bytes) : w.u8(1).text(payload.ref.name).f64(payload.ref.sizeBytes);
}

function writeOptional(w: ByteWriter, payload: Payload | null): ByteWriter {
  return payload === null ? w.u8(0) : writePayload(w.u8(1), payload);
}

function readOptional(r: ByteReader): Payload | null {
  return r.u8() === 0 ? null : readPayload(r);
}

export function readPayload(r: ByteReader): Payload {
  return r.u8() === 0
    ? { kind: "inline", bytes: r.bytes() }
    : { kind: "blob", ref: { name: r.text() as BlobName, sizeBytes: r.f64() } };
}
