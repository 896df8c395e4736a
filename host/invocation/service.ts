/**
 * The invocation layer of one process.
 *
 * Owns: which instances run in this process. Does not own: how calls come in (CallIntake, CallsOfOthers, Recovery), their attempts
 * (InstanceRun), the log.
 */
import { NeapError } from "../../state/errors.ts";
import { type InstanceId, type LogBookId, quote } from "../../state/ids.ts";
import type { HeldLock } from "../../state/logbook/index.ts";
import { type CallTaker, NO_OTHER_NODES, type OtherNodes, Spread } from "../offload/index.ts";
import { CallIntake } from "./call-intake.ts";
import { CallsOfOthers } from "./calls-of-others.ts";
import { cancelInstance } from "./cancellation.ts";
import { Chronicle } from "./chronicle.ts";
import {
  type InstanceOutcome,
  type InstanceRunner,
  type InstanceSpec,
  type InvocationContext,
  shardOf,
  type Trace,
} from "./context.ts";
import { InstanceRun } from "./instance-run.ts";
import type {
  BrokenLock,
  CallAnswer,
  CallGraphNode,
  CallRequest,
  CallStatus,
  Invocations,
  LockBreaker,
  TimelineEntry,
} from "./invocation.ts";
import { LiveAttempts } from "./live-attempts.ts";
import { breakLock, brokenLocks, heldLocks } from "./lock-administration.ts";
import { Parking } from "./parking.ts";
import { after } from "./pause.ts";
import { Recovery } from "./recovery.ts";
import { Worlds } from "./world.ts";

export interface InvocationService extends Invocations, InstanceRunner {
  /** What this node does for others. */
  readonly ofOthers: CallsOfOthers;
  /** False: it stops, or has stopped. */
  readonly takesCalls: boolean;
  /** Starts to take over instances that nobody runs, every `intervalMs`. */
  startRecovery(intervalMs: number): void;
  /** Calls that wait without a sandbox and go on where they were. */
  readonly parked: { readonly calls: number; readonly sizeBytes: number };
  /**
   * Takes no more calls, waits up to `graceMs` for those that run. Calls that can be stopped in the middle go on at other nodes, where there
   * are any. What is logged and unfinished then is run at the next start, or goes on there.
   */
  drain(graceMs: number, nodes?: OtherNodes): Promise<void>;
  /** Up to `count` calls that compute go on at the first of the nodes that takes them, those first that have been here longest. Returns how many. */
  evacuate(count: number, takers: readonly CallTaker[]): number;
}

export function createInvocations(context: InvocationContext): InvocationService {
  return new Service(context);
}

class Service implements InvocationService {
  readonly #context: InvocationContext;
  readonly #attempts = new LiveAttempts();
  readonly #parking: Parking;
  readonly #worlds = new Worlds();
  readonly #running = new Map<InstanceId, { readonly run: InstanceRun; readonly outcome: Promise<InstanceOutcome> }>();
  readonly ofOthers: CallsOfOthers;
  readonly #intake: CallIntake;
  readonly #chronicle: Chronicle;
  readonly #recovery: Recovery;
  #draining = false;

  constructor(context: InvocationContext) {
    this.#context = context;
    this.#parking = new Parking(context.limits.parkedMaxBytes);
    const stops = () => this.#draining;
    this.#intake = new CallIntake(context, this, stops);
    const isElsewhere = (instance: InstanceId) => this.#running.get(instance)?.run.isElsewhere === true;
    this.ofOthers = new CallsOfOthers(context, this, this.#worlds, this.#parking, stops, isElsewhere);
    this.#chronicle = new Chronicle(context);
    this.#recovery = new Recovery(context, this);
  }

  call(request: CallRequest): Promise<CallAnswer> {
    return this.#intake.call(request);
  }

  run(spec: InstanceSpec, trace: Trace): Promise<InstanceOutcome> {
    const running = this.#running.get(spec.instance);
    if (running !== undefined) {
      return running.outcome;
    }
    const run = new InstanceRun({
      context: this.#context,
      runner: this,
      attempts: this.#attempts,
      parking: this.#parking,
      worlds: this.#worlds,
      spec,
      trace,
    });
    const outcome = this.#ran(run, spec);
    this.#running.set(spec.instance, { run, outcome });
    return outcome;
  }

  async #ran(run: InstanceRun, { tenant: name, instance }: InstanceSpec): Promise<InstanceOutcome> {
    const tenant = this.#context.tenancy.of(name);
    tenant.calls += 1;
    try {
      return await run.run();
    } finally {
      tenant.calls -= 1;
      this.#running.delete(instance);
    }
  }

  outcome(instance: InstanceId): Promise<InstanceOutcome> | undefined {
    return this.#running.get(instance)?.outcome;
  }

  stop(instance: InstanceId): void {
    this.#running.get(instance)?.run.stop();
  }

  beginLater(notBeforeMs: number): void {
    this.#recovery.lookAt(notBeforeMs);
  }

  async cancel(instance: InstanceId, tenant: LogBookId): Promise<CallStatus> {
    const shard = await shardOf(this.#context);
    const cancelled = await cancelInstance(shard, tenant, instance, (one) => this.stop(one));
    if (cancelled.kind === "unknown") {
      await shard.whenDurable(await shard.book(tenant).tail());
      throw unknownInstance(instance, tenant);
    }
    await shard.whenDurable(cancelled.end.seqnum);
    return this.#chronicle.statusOfInstance(instance, tenant);
  }

  status(callId: number, tenant: LogBookId | undefined): Promise<CallStatus> {
    return this.#chronicle.status(callId, tenant);
  }

  statusOfInstance(instance: InstanceId, tenant: LogBookId): Promise<CallStatus> {
    return this.#chronicle.statusOfInstance(instance, tenant);
  }

  timeline(instance: InstanceId, tenant: LogBookId): Promise<readonly TimelineEntry[]> {
    return this.#chronicle.timeline(instance, tenant);
  }

  graph(callId: number, tenant: LogBookId | undefined): Promise<CallGraphNode | null> {
    return this.#chronicle.graph(callId, tenant);
  }

  async unfinished(tenant: LogBookId): ReturnType<Invocations["unfinished"]> {
    const shard = await shardOf(this.#context);
    const unfinished = await shard.unfinished(tenant);
    await shard.whenDurable(await shard.book(tenant).tail());
    return unfinished;
  }

  async resume(instance: InstanceId, tenant: LogBookId): Promise<void> {
    const status = await this.#chronicle.statusOfInstance(instance, tenant);
    if (status.kind === "unknown") {
      throw unknownInstance(instance, tenant);
    }
    if (status.kind !== "parked") {
      throw new NeapError("NOT_PARKED", `instance ${instance} is ${stateOf(status)}, only one that is parked can be resumed`);
    }
    await this.#recovery.resume(instance, tenant);
  }

  async locks(tenant: LogBookId): Promise<readonly HeldLock[]> {
    return heldLocks(await shardOf(this.#context), tenant);
  }

  async brokenLocks(tenant: LogBookId): Promise<readonly BrokenLock[]> {
    return brokenLocks(await shardOf(this.#context), tenant);
  }

  async breakLock(name: string, tenant: LogBookId, by: LockBreaker): Promise<void> {
    const { holder, root } = await breakLock(await shardOf(this.#context), tenant, name, by);
    this.#context.log.warn("a lock was broken", { tenant, lock: name, instance: holder, root, by });
  }

  get parked(): InvocationService["parked"] {
    return { calls: this.#parking.calls, sizeBytes: this.#parking.usedBytes };
  }

  get takesCalls(): boolean {
    return !this.#draining;
  }

  startRecovery(intervalMs: number): void {
    this.#recovery.start(intervalMs);
  }

  evacuate(count: number, takers: readonly CallTaker[]): number {
    if (this.#parking.isFull) {
      return 0;
    }
    const leaving = Array.from(this.#running.values(), ({ run }) => run)
      .filter(({ mayLeave }) => mayLeave)
      .slice(0, count);
    for (const run of leaving) {
      run.leaveFor({ cause: "load", reason: "its node has too much to do", takers, accepts: () => true });
    }
    return leaving.length;
  }

  async drain(graceMs: number, nodes: OtherNodes = NO_OTHER_NODES): Promise<void> {
    this.#draining = true;
    this.#recovery.stop();
    const { promise: grace, resolve } = Promise.withResolvers<void>();
    const cancel = after(this.#context, graceMs, resolve);
    const running = [...this.#running.values()];
    const others = running.length > 0 ? await nodes() : [];
    const spread = new Spread(others);
    for (const { run } of others.length > 0 ? running : []) {
      run.handOver({ cause: "drain", reason: "its node stops", takers: spread.next(), accepts: () => true });
    }
    await Promise.race([Promise.allSettled(running.map(({ outcome }) => outcome)), grace]);
    cancel();
    for (const { run } of running) {
      run.leave();
    }
  }
}

function unknownInstance(instance: InstanceId, tenant: LogBookId): NeapError {
  return new NeapError("UNKNOWN_INSTANCE", `no instance of ${tenant} has the id ${quote(instance)}`);
}

function stateOf(status: Exclude<CallStatus, { kind: "unknown" }>): string {
  if (status.kind !== "completed") {
    return status.kind;
  }
  return status.result.cancelled === true ? "cancelled" : "done";
}
