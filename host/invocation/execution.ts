/** Runs one attempt of an instance, with everything its guest may ask for. */
import { NeapError } from "../../state/errors.ts";
import type { InstanceId } from "../../state/ids.ts";
import type { Shard } from "../../state/logbook/index.ts";
import type { Drafts } from "../../state/objects/index.ts";
import { Fenced, ScopedObjects, type StepStream } from "../../state/protocols/index.ts";
import { decodeInherited, HeldLocks, type TransactionEffects, Transactions } from "../../state/txn/index.ts";
import { Attempt, type AttemptEnd, type PerformOperation } from "./attempt.ts";
import { AttemptWait } from "./attempt-wait.ts";
import { Callees } from "./callee.ts";
import { ChildOperations } from "./child-operations.ts";
import type { InstanceRunner, InstanceSpec, InvocationContext, Trace } from "./context.ts";
import type { LiveAttempts } from "./live-attempts.ts";
import { LockOperations } from "./lock-operations.ts";
import type { LockTurns } from "./lock-turns.ts";
import { LogOperations } from "./log-operations.ts";
import { ObjectOperations } from "./object-operations.ts";
import { measured } from "./operation-times.ts";
import { PartOperations } from "./part-operations.ts";
import { fromPayload, guestInput } from "./payloads.ts";
import { SleepOperations } from "./sleep-operations.ts";
import { SpawnOperations } from "./spawn-operations.ts";
import { TransactionOperations } from "./transaction-operations.ts";

export interface Execution {
  readonly context: InvocationContext;
  readonly runner: InstanceRunner;
  readonly attempts: LiveAttempts;
  readonly spec: InstanceSpec;
  readonly shard: Shard;
  readonly steps: StepStream;
  /** Where the attempt stores values and inputs; ended by who runs it, after DONE. */
  readonly drafts: Drafts;
  readonly trace: Trace;
  /** Of all attempts of the run: who waits keeps its place. */
  readonly lockTurns: LockTurns;
  /** Told the attempt when it has begun. */
  readonly begun: (attempt: Attempt) => void;
}

/** How an attempt ended, the children that it started bound to it, and what it did in its caller's transaction. */
export interface Executed {
  readonly end: AttemptEnd;
  readonly bound: readonly InstanceId[];
  /** Of a child that was called in a transaction. */
  readonly effects: TransactionEffects | null;
}

/** The end of the attempt: nothing of it is under way any more, and unless it is a result `steps` is fenced. */
export async function execute(execution: Execution): Promise<Executed> {
  const { context, runner, attempts, spec, shard, steps, drafts, trace, lockTurns, begun } = execution;
  const { functions, pool, limits, log, nodeName } = context;
  const { init, tenant, instance, signal } = spec;
  const [artefact, input] = await Promise.all([functions.artefact(shard, init.module), guestInput(shard.blobs, init.input)]);
  const inherited = init.transaction === null ? null : decodeInherited(await fromPayload(shard.blobs, init.transaction));
  const held = new HeldLocks(steps, init.root === "" ? instance : init.root);
  const plain = new ScopedObjects(steps, drafts, init);
  const transactions = new Transactions({ plain, steps, blobs: drafts, locks: held, timers: context.timers, inherited });
  const objects = new ObjectOperations(transactions, drafts, init.objectMaxBytes, trace.moved);
  const transacting = new TransactionOperations(steps, transactions);
  const logs = new LogOperations(steps, init.wallTimeMs);
  const wait = new AttemptWait(context.timers, Math.min(init.wallTimeMs / 2, limits.suspendAfterMs));
  const locks = new LockOperations({ shard, tenant, steps, held, transactions, turns: lockTurns, wait });
  const callees = new Callees({ context, shard, drafts, tenant, steps, caller: init });
  const children = new ChildOperations({
    context,
    runner,
    shard,
    drafts,
    tenant,
    steps,
    transactions,
    caller: init,
    trace,
    callees,
    wait,
  });
  const spawns = new SpawnOperations({ context, runner, shard, tenant, steps, callees });
  const sleep = new SleepOperations(steps, context, wait);
  const parts = new PartOperations({ offload: context.offload, tenant, steps, transactions, artefact, init, trace, nodeName });
  trace.executedAt.add(nodeName);
  const perform: PerformOperation = (operation, args) =>
    objects.perform(operation, args) ??
    logs.perform(operation, args) ??
    children.perform(operation, args) ??
    spawns.perform(operation, args) ??
    sleep.perform(operation, args) ??
    transacting.perform(operation, args) ??
    locks.perform(operation, args) ??
    parts.perform(operation, args) ??
    Promise.reject(new NeapError("INTERNAL", `unknown operation ${operation}`));
  const attempt = new Attempt({
    pool,
    artefact,
    input,
    pins: steps.pins,
    depth: init.depth,
    limits: { wallTimeMs: init.wallTimeMs, outputMaxBytes: init.outputMaxBytes, logMaxBytes: limits.logMaxBytes },
    perform: trace.operations === null || init.depth > 0 ? perform : measured(perform, context.clock, trace.operations),
    onStop: () => {
      steps.fence(new Fenced("closed", "the attempt was stopped"));
      logs.close();
      wait.close();
      parts.close();
    },
    onLog: (text) => log.info(text, { tenant, instance, functionName: init.functionName }),
  });
  const abort = () => {
    if (!steps.logged) {
      attempt.stop({ kind: "killed", reason: "cancelled", message: "the client went away" });
    }
  };
  signal?.addEventListener("abort", abort);
  if (signal?.aborted === true) {
    abort();
  }
  attempts.add(shard, attempt);
  begun(attempt);
  const end = await attempt.ended;
  attempts.delete(shard, attempt);
  signal?.removeEventListener("abort", abort);
  await objects.close();
  return { end, bound: children.bound, effects: effectsOf(end, transactions) };
}

/** What a trap leaves of a child's part in a transaction: what it has read and locked, but nothing that it wrote. */
function effectsOf(end: AttemptEnd, transactions: Transactions): TransactionEffects | null {
  const effects = transactions.effects();
  return effects !== null && end.kind === "trapped" ? { ...effects, writes: new Map() } : effects;
}
