/** The contract of the invocation layer, as the HTTP routes see it. */
import type { InstanceId, LogBookId, SeqNum } from "../../state/ids.ts";
import type { HeldLock, LockBreak } from "../../state/logbook/index.ts";
import type { Artefact } from "../modules/artefact.ts";
import type { MoveTrace } from "../offload/index.ts";

export type { MoveTrace } from "../offload/index.ts";

/** Bytes in memory; or a stream, which becomes a blob as it comes, is read once at most, and is left unread when the call is refused. */
export type CallInput = Uint8Array | AsyncIterable<Uint8Array>;

/** Bytes in memory; or those of a blob, which is held while they are read, until the iterator has ended or returned. */
export type CallBytes = Uint8Array | StoredBytes;

export interface StoredBytes {
  readonly sizeBytes: number;
  /** Pieces of at most BLOB_CHUNK_BYTES. Its first one may fail with BLOB_MISSING: the call was collected. */
  readonly pieces: AsyncIterable<Uint8Array>;
}

export interface CallRequest {
  readonly tenant: LogBookId;
  /** Or `<function>/<entry point>`. */
  readonly functionName: string;
  readonly input: CallInput;
  /** Given the module that the call would run, before anything of it is logged. What it throws refuses the call. */
  readonly check?: ((artefact: Artefact) => void | Promise<void>) | undefined;
  /** What runs instead of the module's entry: the function of its table at this index. Left out: the entry. */
  readonly tableIndex?: number | undefined;
  /** What a program sees as its arguments behind the function's name, words with spaces between them. Called functions get the same. */
  readonly commandLine?: string;
  /**
   * Makes the request idempotent. `idempotency`: scope (tenant, function, value); another input is IDEMPOTENCY_MISMATCH (422).
   * `callId`: scope (tenant, value), 1 … 2^31−1; another function or input is CALL_ID_TAKEN (409).
   */
  readonly key?:
    | { readonly kind: "idempotency"; readonly value: string }
    | { readonly kind: "callId"; readonly value: number }
    | undefined;
  /** `accepted`: answer with a call id as soon as the call is durable. */
  readonly answer: "result" | "accepted";
  /** The call begins so much later; only with `accepted`. 0: at once. */
  readonly delayMs?: number;
  readonly forbidPushDown: boolean;
  /** Of a call with MPI: its ranks, of which this call is the first. 0: any other call. */
  readonly worldSize?: number;
  /** Measure the operations: the answer's trace has them. */
  readonly traceOperations?: boolean;
  /** The client has gone away: an instance that has logged nothing is stopped (H28). */
  readonly signal?: AbortSignal;
}

export type CallAnswer =
  | { readonly kind: "completed"; readonly instance: InstanceId; readonly result: CallResult; readonly trace: CallTrace }
  /** Durable: it will run whatever happens. */
  | { readonly kind: "accepted"; readonly instance: InstanceId; readonly callId: number }
  /** Logged and not finished: it goes on, or is parked; ask again with the same key or by the id (F17). */
  | (Unfinished & { readonly kind: "pending"; readonly parked: boolean; readonly reason: string })
  /** The attempt was ended by the host, and nothing had been logged: nothing happened. `code` is one of host/errors.ts. */
  | (Unfinished & { readonly kind: "failed"; readonly code: string; readonly message: string });

export interface Unfinished {
  readonly instance: InstanceId;
  /** What its attempts in this run have taken until now; null: not known, as of a call that others run. */
  readonly cpuMs: number | null;
}

/** What the guest did. */
export interface CallResult {
  /** 0 is success. A trap counts as 1. */
  readonly returnValue: number;
  readonly output: CallBytes;
  /** Set when the guest trapped or aborted. */
  readonly trap?: string;
  /** It was cancelled; `trap` says so too. */
  readonly cancelled?: true;
}

/** Where a call ran, what it moved and took, for the answer's headers. Of an answer from the log only the CPU time is known. */
export interface CallTrace {
  /** Node names, in order of first use, "stored" when the answer came from the log. */
  readonly executedAt: readonly string[];
  readonly parts: readonly PartTrace[];
  /** The nodes from which it was moved in the middle. */
  readonly moves: readonly MoveTrace[];
  /** Bytes of objects, deltas and records' values that crossed between pools or nodes for this call. */
  readonly movedBytes: number;
  /**
   * Of the function, its storage parts and the functions that it called, in all attempts of the run that has ended it; the same in a stored
   * answer. Null: not known, as of one that an earlier host has stored, or of a call that was cancelled.
   */
  readonly cpuMs: number | null;
  /** Of the last attempt, in order, those of a called function or a storage part left out. Only if asked for, and if it ran. */
  readonly operations?: readonly OperationTrace[];
}

export interface OperationTrace {
  /** A name of `Operation`. */
  readonly kind: string;
  /** From its turn among the attempt's operations until its reply; the hop between threads is not in it. */
  readonly durationMs: number;
}

export interface PartTrace {
  readonly executedAt: string;
  /** Why: "marked", "forbidden", "refused: no free slot" … */
  readonly reason: string;
  readonly deltaOutBytes: number;
  readonly deltaBackBytes: number;
}

export type CallStatus =
  | { readonly kind: "unknown" }
  | { readonly kind: "running"; readonly call: CallDescription }
  /** It has not begun, and will not before `notBeforeMs`. */
  | { readonly kind: "delayed"; readonly call: CallDescription; readonly notBeforeMs: number }
  | { readonly kind: "completed"; readonly call: CallDescription; readonly result: CallResult }
  | { readonly kind: "parked"; readonly call: CallDescription; readonly reason: string };

export interface CallDescription {
  readonly instance: InstanceId;
  readonly tenant: LogBookId;
  /** Or `<function>/<entry point>`. */
  readonly functionName: string;
  /** Of what ran instead of the module's entry; null: the entry. */
  readonly tableIndex: number | null;
  readonly callId: number | null;
  readonly input: CallBytes;
  readonly startedMs: number;
  readonly notBeforeMs: number | null;
  readonly finishedMs: number | null;
  /** As in its `CallTrace`; null while it has not finished, too. */
  readonly cpuMs: number | null;
}

/** A record of an instance's step stream, or about its attempts. */
export interface TimelineEntry {
  /** Place in the step stream, from 0; null for a record about attempts. */
  readonly position: number | null;
  /** "init", "write", "invoke", "done" … */
  readonly kind: string;
  readonly seqnum: SeqNum;
  readonly timeMs: number;
  /** The other streams that the record is in: "o/<object>", "i/<child>" … */
  readonly tags: readonly string[];
}

export interface CallGraphNode {
  readonly call: CallDescription;
  readonly returnValue: number | null;
  readonly chained: readonly CallGraphNode[];
}

/** Whose token it was: the administrator's, or the tenant's. Anyone: the host asks for none. */
export type LockBreaker = "administrator" | "tenant" | "anyone";

/** A lock that was taken from its holder. */
export interface BrokenLock extends LockBreak {
  readonly brokenMs: number;
  readonly seqnum: SeqNum;
}

export interface Invocations {
  /**
   * A streamed input whose blob is lost with its owner's epoch is `failed` with EPOCH_CHANGED: only its sender can send it again.
   * @throws what a streamed input throws, what `check` throws, UNKNOWN_FUNCTION, IDEMPOTENCY_MISMATCH, CALL_ID_TAKEN, OVERLOADED, RESULT_EXPIRED, and what state/errors.ts lists
   */
  call(request: CallRequest): Promise<CallAnswer>;
  /** By call id; `tenant` undefined looks in all LogBooks, and an id that several tenants use is `unknown` then. Waits for durability (F8). */
  status(callId: number, tenant: LogBookId | undefined): Promise<CallStatus>;
  statusOfInstance(instance: InstanceId, tenant: LogBookId): Promise<CallStatus>;
  /** What the log holds of an instance, in its order; empty when it holds nothing. */
  timeline(instance: InstanceId, tenant: LogBookId): Promise<readonly TimelineEntry[]>;
  /** The tree of chained calls, from the log. */
  graph(callId: number, tenant: LogBookId | undefined): Promise<CallGraphNode | null>;
  /** Unfinished instances of a tenant with their attempts and whether they are parked. */
  unfinished(tenant: LogBookId): Promise<readonly { instance: InstanceId; attempts: number; parked: boolean }[]>;
  /** Lets a parked instance run again. @throws UNKNOWN_INSTANCE; NOT_PARKED when it is running, delayed or done */
  resume(instance: InstanceId, tenant: LogBookId): Promise<void>;
  /**
   * Ends a call that is in the log: its result is `cancelled`, what it did so far stays, what it has called goes on unless it is
   * bound to it. A call that is finished stays as it is. Durable when this resolves with what then is known of the call.
   * @throws UNKNOWN_INSTANCE  nothing of it is in the log, or not any more
   */
  cancel(instance: InstanceId, tenant: LogBookId): Promise<CallStatus>;
  /** Locks that are held, in the order of their names. */
  locks(tenant: LogBookId): Promise<readonly HeldLock[]>;
  /** The last locks that were broken, newest first. */
  brokenLocks(tenant: LogBookId): Promise<readonly BrokenLock[]>;
  /** Takes a lock from whoever holds it; durable when it resolves. @throws UNKNOWN_LOCK when nobody holds it */
  breakLock(name: string, tenant: LogBookId, by: LockBreaker): Promise<void>;
}
