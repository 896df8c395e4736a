/** What the invocation layer is given, and the words its parts share. */
import { InvariantBroken, NeapError } from "../../state/errors.ts";
import type { InstanceId, LogBookId, SeqNum } from "../../state/ids.ts";
import type { Shard, ShardSource } from "../../state/logbook/index.ts";
import type { Pins } from "../../state/logbook/step-record.ts";
import type { Clock, Faults, Random, Timers } from "../../state/ports.ts";
import type { Regions } from "../../state/regions/index.ts";
import type { Egress } from "../egress/index.ts";
import type { Functions } from "../modules/functions.ts";
import type { RetryPolicy } from "../modules/retry-policy.ts";
import type { MovedCall, MovedTrace, Moves, MoveTrace, Offload } from "../offload/index.ts";
import type { SandboxPool } from "../sandbox/index.ts";
import type { Log } from "../telemetry/index.ts";
import type { Tenancy } from "../tenancy/index.ts";
import type { InstanceDone, InstanceInit, Payload } from "./instance-record.ts";
import type { CallTrace, OperationTrace, PartTrace } from "./invocation.ts";

export interface InvocationContext {
  readonly source: ShardSource;
  readonly functions: Functions;
  readonly tenancy: Tenancy;
  readonly pool: SandboxPool;
  readonly offload: Offload;
  readonly moves: Moves;
  readonly regions: Regions;
  readonly egress: Egress;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  readonly faults: Faults;
  /** "compute@<node>": for the trace. */
  readonly nodeName: string;
  /** Steps are answered before they are durable. */
  readonly runAhead: boolean;
  readonly limits: InvocationLimits;
}

export interface InvocationLimits {
  /** An attempt that waits longer gives its sandbox back, and goes on from its bytes if it is migratable, else by a replay. */
  readonly suspendAfterMs: number;
  /** Of all attempts that wait without a sandbox. */
  readonly parkedMaxBytes: number;
  readonly objectMaxBytes: number;
  /** Hosts may so often die with an attempt that the scanner began before the instance is parked (F27). */
  readonly attemptsMax: number;
  /** Of functions that have none of their own. */
  readonly retry: RetryPolicy;
  /** How long a call waits for an owner that is out of reach. */
  readonly ownerTimeoutMs: number;
}

/** What shall be run, and what is known of its place in the log. */
export interface InstanceSpec {
  readonly tenant: LogBookId;
  readonly instance: InstanceId;
  readonly init: InstanceInit;
  /** The owner's epoch in which `begin` holds: in another one what it rests on may be lost (F1). */
  readonly epoch: number;
  /**
   * `unlogged`: nothing is in the log; reads begin at `initialCursor`. `child`: the Invoke record was just appended and pins all.
   * `logged`: read the stream. `pinsFirst`: this host may be the last one to run it, so what it has read is pinned as soon as a
   * replay has come to the end of the log (F25, F27).
   */
  readonly begin:
    | { readonly kind: "unlogged"; readonly initialCursor: SeqNum; readonly dependency: SeqNum }
    | { readonly kind: "child"; readonly pins: Pins }
    | { readonly kind: "logged"; readonly pinsFirst?: boolean };
  /** The client has gone: stop if nothing is logged (H28). */
  readonly signal?: AbortSignal;
  /** It goes on where it was stopped at another node. */
  readonly moved?: MovedCall;
}

export type InstanceOutcome =
  | {
      readonly kind: "completed";
      readonly done: InstanceDone;
      /** In memory of a call that has just run, else as its DONE has it. */
      readonly output: Payload;
      /** Of the DONE record; 0 when nothing was logged. */
      readonly seqnum: SeqNum;
      readonly timeMs: number;
      /** Nothing of this may leave before that is durable (F8). */
      readonly dependency: SeqNum;
    }
  | { readonly kind: "pending"; readonly parked: boolean; readonly reason: string }
  | { readonly kind: "failed"; readonly code: string; readonly message: string };

/** Runs instances; each at most once at a time in this process. */
export interface InstanceRunner {
  run(spec: InstanceSpec, trace: Trace): Promise<InstanceOutcome>;
  /** Of an instance that is under way here. */
  outcome(instance: InstanceId): Promise<InstanceOutcome> | undefined;
  /** A record has ended the instance: an attempt of it that runs here is stopped, a wait is over. */
  stop(instance: InstanceId): void;
  /** A call that begins later is in the log: somebody looks for it when its time has come. */
  beginLater(notBeforeMs: number): void;
}

/** Gathers where a run of a call took place, what it moved and took; also what the calls did that it made. */
export class Trace {
  readonly executedAt: Set<string>;
  readonly parts: PartTrace[];
  readonly moves: MoveTrace[];
  movedBytes = 0;
  /** What the call has read of objects and of the log. */
  readBytes = 0;
  /** CPU time of guests that have ended. */
  cpuMs = 0;
  /** Null: they are not measured. */
  readonly operations: OperationTrace[] | null;
  readonly #caller: Trace | null;

  constructor(operations: OperationTrace[] | null = null, caller: Trace | null = null) {
    this.executedAt = caller?.executedAt ?? new Set();
    this.parts = caller?.parts ?? [];
    this.moves = caller?.moves ?? [];
    this.operations = operations;
    this.#caller = caller;
  }

  /** Of a call that this one makes. */
  called(): Trace {
    return new Trace(null, this);
  }

  readonly moved = (sizeBytes: number): void => {
    this.movedBytes += sizeBytes;
    this.#caller?.moved(sizeBytes);
  };

  read(sizeBytes: number): void {
    this.readBytes += sizeBytes;
    this.#caller?.read(sizeBytes);
  }

  computed(cpuMs: number): void {
    this.cpuMs += cpuMs;
    this.#caller?.computed(cpuMs);
  }

  /** What the call did at another node, where it has moved to. */
  add({ executedAt, moves, movedBytes, readBytes, cpuMs }: MovedTrace): void {
    for (const name of executedAt) {
      this.executedAt.add(name);
    }
    this.moves.push(...moves);
    this.moved(movedBytes);
    this.read(readBytes);
    this.computed(cpuMs);
  }

  /** Of a call of which nothing ran here: null. */
  get knownCpuMs(): number | null {
    return this.executedAt.size === 0 ? null : this.cpuMs;
  }

  /** Of a finished call. @param done  what it has come to: an answer that is asked for again says the same of its CPU time */
  view(done: Pick<InstanceDone, "cpuMs">): CallTrace {
    const { parts, moves, movedBytes, operations } = this;
    const executedAt = this.executedAt.size === 0 ? ["stored"] : [...this.executedAt];
    const cpuMs = done.cpuMs ?? this.knownCpuMs;
    return { executedAt, parts, moves, movedBytes, cpuMs, ...(operations !== null && operations.length > 0 && { operations }) };
  }
}

/** CPU time of a call up to now, ms: in this run, and before it has moved here. */
export function runCpuMs({ moved }: Pick<InstanceSpec, "moved">, { cpuMs }: Trace): number {
  return (moved?.runCpuMs ?? 0) + cpuMs;
}

/** @throws OWNER_UNAVAILABLE */
export async function shardOf({ source, limits }: Pick<InvocationContext, "source" | "limits">): Promise<Shard> {
  return source.current() ?? (await source.available(limits.ownerTimeoutMs));
}

export function mintInstance(shard: Shard, random: Random): InstanceId {
  return `${shard.epoch.toString(36)}-${Buffer.from(random.bytes(12)).toString("base64url")}` as InstanceId;
}

/** An unexpected error is one of this call's only; an InvariantBroken is passed on, as it must stop the process. */
export function toNeapError(error: unknown): NeapError {
  if (error instanceof InvariantBroken) {
    throw error;
  }
  return error instanceof NeapError
    ? error
    : new NeapError("INTERNAL", "an unexpected error, the host's log has the details", { cause: error });
}

/** The session is over: whatever used it is run again with the next one. */
export function isSessionOver(error: unknown): boolean {
  return error instanceof NeapError && (error.code === "EPOCH_CHANGED" || error.code === "OWNER_UNAVAILABLE");
}
