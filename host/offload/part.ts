/** A storage part on its way to the node that holds the data, and back (H15). */
import { ByteReader, ByteWriter } from "../../state/bytes.ts";
import { type InstanceId, type LogBookId, logBookId, seqNum } from "../../state/ids.ts";
import { NONCE_BYTES, SEED_BYTES } from "../../state/logbook/step-record.ts";
import {
  type MadeRead,
  type Reading,
  readFound,
  readMade,
  type StepStreamState,
  writeFound,
  writeMade,
} from "../../state/protocols/index.ts";
import type { ModuleHash } from "../modules/artefact.ts";
import type { GuestState, PartStart } from "../sandbox/sandbox.ts";

export interface PartRequest {
  readonly tenant: LogBookId;
  readonly instance: InstanceId;
  /** Counts the parts this attempt has offered; with the pins' nonce it names the offer (F21). */
  readonly offer: number;
  readonly module: ModuleHash;
  /** What INIT would say, encoded: the part may be where the instance logs its first step. */
  readonly init: Uint8Array;
  readonly steps: StepStreamState;
  /** What the call has written so far. */
  readonly writtenBytes: number;
  readonly part: PartStart;
}

export type PartReply =
  | {
      readonly kind: "done";
      readonly value: number;
      readonly steps: StepStreamState;
      readonly reads: readonly MadeRead[] | null;
      /** What the call, with the part, has written. */
      readonly writtenBytes: number;
      readonly state: GuestState;
      readonly cpuMs: number;
    }
  /** The part's own doing, as if it had trapped at the caller (F17). */
  | {
      readonly kind: "trapped";
      readonly message: string;
      readonly steps: StepStreamState;
      readonly reads: readonly MadeRead[] | null;
      readonly writtenBytes: number;
      readonly cpuMs: number;
    }
  /** Not one instruction was run. */
  | { readonly kind: "refused"; readonly reason: string }
  /**
   * It was ended over there, and what it logged is in the log; or, with `mayGoOn`, that may come yet: nobody has heard of its end, or of
   * that of its last append.
   */
  | { readonly kind: "lost"; readonly reason: string; readonly mayGoOn: boolean };

const ORIGINS = ["unlogged", "initialised", "pinned"] as const;

export function writeSteps(w: ByteWriter, s: StepStreamState): ByteWriter {
  w.u8(ORIGINS.indexOf(s.origin))
    .u32(s.position)
    .f64(s.cursor)
    .f64(s.dependency)
    .u8(s.touched ? 1 : 0)
    .u8(s.isChild ? 1 : 0)
    .f64(s.base)
    .u32(s.writes)
    .f64(s.readsFrom);
  w.f64(s.pins.initialCursor).f64(s.pins.timeMs).raw(s.pins.seed).raw(s.pins.nonce);
  if (s.reading === null) {
    return w.u8(0);
  }
  const { key, end, found } = s.reading;
  return writeFound(w.u8(1).text(key).f64(end), found);
}

export function readSteps(r: ByteReader): StepStreamState {
  const origin = ORIGINS[r.u8()];
  if (origin === undefined) {
    throw new RangeError("unknown origin of a step stream");
  }
  const position = r.u32();
  const cursor = seqNum(r.f64());
  const dependency = seqNum(r.f64());
  const touched = r.u8() === 1;
  const isChild = r.u8() === 1;
  const base = seqNum(r.f64());
  const writes = r.u32();
  const readsFrom = seqNum(r.f64());
  const pins = { initialCursor: seqNum(r.f64()), timeMs: r.f64(), seed: r.raw(SEED_BYTES), nonce: r.raw(NONCE_BYTES) };
  const reading = r.u8() === 0 ? null : readReading(r);
  return { origin, pins, position, cursor, dependency, touched, isChild, base, writes, readsFrom, reading };
}

function readReading(r: ByteReader): Reading {
  return { key: r.text(), end: r.f64(), found: readFound(r) };
}

export function encodePartRequest(p: PartRequest): Uint8Array {
  const { delta, hostState } = p.part.state;
  const w = new ByteWriter(512 + delta.byteLength + hostState.byteLength);
  w.text(p.tenant).text(p.instance).u32(p.offer).text(p.module).bytes(p.init);
  return writeSteps(w, p.steps)
    .f64(p.writtenBytes)
    .text(p.part.snapshotHash)
    .u32(p.part.tableIndex)
    .bytes(delta)
    .bytes(hostState)
    .view();
}

/** @throws RangeError, TypeError or NeapError for bytes that are no request */
export function decodePartRequest(bytes: Uint8Array): PartRequest {
  const r = new ByteReader(bytes);
  return {
    tenant: logBookId(r.text()),
    instance: r.text() as InstanceId,
    offer: r.u32(),
    module: r.text() as ModuleHash,
    init: r.bytes(),
    steps: readSteps(r),
    writtenBytes: r.f64(),
    part: { snapshotHash: r.text(), tableIndex: r.u32(), state: { delta: r.bytes(), hostState: r.bytes() } },
  };
}

export function encodePartReply(reply: PartReply): Uint8Array {
  const w = new ByteWriter(256);
  switch (reply.kind) {
    case "done":
      w.u8(1).i32(reply.value).f64(reply.cpuMs).f64(reply.writtenBytes);
      writeMade(writeSteps(w, reply.steps), reply.reads);
      return w.bytes(reply.state.delta).bytes(reply.state.hostState).view();
    case "trapped":
      w.u8(2).text(reply.message).f64(reply.cpuMs).f64(reply.writtenBytes);
      return writeMade(writeSteps(w, reply.steps), reply.reads).view();
    case "refused":
      return w.u8(3).text(reply.reason).view();
    case "lost":
      return w
        .u8(4)
        .text(reply.reason)
        .u8(reply.mayGoOn ? 1 : 0)
        .view();
  }
}

/** @throws RangeError or TypeError for bytes that are no reply */
export function decodePartReply(bytes: Uint8Array): PartReply {
  const r = new ByteReader(bytes);
  switch (r.u8()) {
    case 1: {
      const value = r.i32();
      const [cpuMs, writtenBytes] = [r.f64(), r.f64()];
      const [steps, reads] = [readSteps(r), readMade(r)];
      return { kind: "done", value, cpuMs, writtenBytes, steps, reads, state: { delta: r.bytes(), hostState: r.bytes() } };
    }
    case 2: {
      const message = r.text();
      const [cpuMs, writtenBytes] = [r.f64(), r.f64()];
      return { kind: "trapped", message, cpuMs, writtenBytes, steps: readSteps(r), reads: readMade(r) };
    }
    case 3:
      return { kind: "refused", reason: r.text() };
    case 4:
      return { kind: "lost", reason: r.text(), mayGoOn: r.u8() === 1 };
    default:
      throw new RangeError("unknown kind of part reply");
  }
}
