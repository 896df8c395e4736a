/** A call that goes on at another node where it was stopped here (F22). */
import { ByteReader, ByteWriter } from "../../state/bytes.ts";
import { type InstanceId, type LogBookId, logBookId } from "../../state/ids.ts";
import type { StepStreamState } from "../../state/protocols/index.ts";
import type { OperationReply } from "../sandbox/sandbox.ts";
import { readSteps, writeSteps } from "./part.ts";

/** `drain`: its node stops; `data`: it keeps reading what is over there; `load`: its node has too much to do. */
export const MOVE_CAUSES = ["drain", "data", "load"] as const;
export type MoveCause = (typeof MOVE_CAUSES)[number];

export interface MovedCall {
  readonly tenant: LogBookId;
  readonly instance: InstanceId;
  /** What INIT would say, encoded: the call may log its first step over there. */
  readonly init: Uint8Array;
  readonly steps: StepStreamState;
  /** The calls that it has started, by handle; `code`: what waiting for one answers that could not be started. */
  readonly children: readonly MovedChild[];
  readonly guest: Uint8Array;
  /** Of the operation that the guest waits for; null: it asks for it again, or waits for none. */
  readonly answer: OperationReply | null;
  readonly cause: MoveCause;
  /** What it has written so far. */
  readonly writtenBytes: number;
  /** How often it has moved, this time included. */
  readonly moves: number;
  /** CPU time that its guest has taken so far. */
  readonly cpuMs: number;
  /** CPU time of its run so far: also of earlier attempts, its storage parts, and what it has called. */
  readonly runCpuMs: number;
}

export type MovedChild = { readonly instance: InstanceId; readonly bound: boolean } | { readonly code: number };

export type MoveReply =
  /** Its DONE is in the log. */
  | { readonly kind: "logged"; readonly trace: MovedTrace }
  /** It has ended and logged nothing; all it rests on is durable. */
  | {
      readonly kind: "ended";
      readonly returnValue: number;
      readonly trap: string;
      readonly output: Uint8Array;
      readonly trace: MovedTrace;
    }
  /** It did not begin over there. */
  | { readonly kind: "refused"; readonly reason: string }
  /** What became of it is not known; what it logged is in the log. */
  | { readonly kind: "lost"; readonly reason: string };

/** What a run at another node adds to the trace of the call. */
export interface MovedTrace {
  readonly executedAt: readonly string[];
  readonly moves: readonly MoveTrace[];
  readonly movedBytes: number;
  readonly readBytes: number;
  readonly cpuMs: number;
}

export interface MoveTrace {
  readonly from: string;
  readonly to: string;
  /** Why: "the node stops", "has read …" */
  readonly reason: string;
  /** Of the stopped call. */
  readonly sizeBytes: number;
}

/** A node that goes on with calls of others. */
export interface CallTaker {
  /** Name of the node, for the trace. */
  readonly name: string;
  /** Goes on with the call until it has ended. Never rejects: a lost node is a `lost` reply. */
  take(call: MovedCall): Promise<MoveReply>;
}

/** Why a call leaves its node, and where it may go. */
export interface Departure {
  readonly cause: MoveCause;
  /** For the trace. */
  readonly reason: string;
  /** The first one that does not refuse takes it. */
  readonly takers: readonly CallTaker[];
  /** Whether it shall go although so many bytes go with it. */
  accepts(sizeBytes: number): boolean;
}

/** Without its guest, which may be large. */
export function encodeMovedCall(call: MovedCall): Uint8Array {
  const { children, answer } = call;
  const w = new ByteWriter(1024 + (answer?.bytes.byteLength ?? 0));
  w.text(call.tenant).text(call.instance).bytes(call.init);
  writeSteps(w, call.steps).u32(children.length);
  for (const child of children) {
    if ("code" in child) {
      w.u8(REFUSED).i32(child.code);
    } else {
      w.u8(child.bound ? BOUND : STARTED).text(child.instance);
    }
  }
  w.u8(MOVE_CAUSES.indexOf(call.cause)).f64(call.writtenBytes).u32(call.moves).f64(call.cpuMs).f64(call.runCpuMs);
  w.u8(answer === null ? 0 : 1);
  if (answer !== null) {
    w.i32(answer.code).f64(answer.timeMs).bytes(answer.bytes);
  }
  return w.view();
}

/** @throws RangeError, TypeError or NeapError for bytes that are no moved call */
export function decodeMovedCall(bytes: Uint8Array, guest: Uint8Array): MovedCall {
  const r = new ByteReader(bytes);
  const tenant = logBookId(r.text());
  const instance = r.text() as InstanceId;
  const init = r.bytes();
  const steps = readSteps(r);
  const children: MovedChild[] = [];
  for (let left = r.u32(); left > 0; left--) {
    const kind = r.u8();
    children.push(kind === REFUSED ? { code: r.i32() } : { instance: r.text() as InstanceId, bound: kind === BOUND });
  }
  const cause = MOVE_CAUSES[r.u8()];
  if (cause === undefined) {
    throw new RangeError("unknown cause of a move");
  }
  const [writtenBytes, moves, cpuMs, runCpuMs] = [r.f64(), r.u32(), r.f64(), r.f64()];
  const answer = r.u8() === 0 ? null : { code: r.i32(), timeMs: r.f64(), bytes: r.bytes() };
  return { tenant, instance, init, steps, children, answer, guest, cause, writtenBytes, moves, cpuMs, runCpuMs };
}

const STARTED = 0;
const BOUND = 1;
const REFUSED = 2;
