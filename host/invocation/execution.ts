/** Runs one attempt of an instance, with everything its guest may ask for. */
import { NeapError } from "../../state/errors.ts";
import type { InstanceId } from "../../state/ids.ts";
import { Fenced, type StepStream, type StepStreamState } from "../../state/protocols/index.ts";
import { decodeInherited, type TransactionEffects } from "../../state/txn/index.ts";
import { Operation } from "../abi/operations.ts";
import { usesRegions, usesThreads } from "../modules/artefact.ts";
import { calledEntryPoint, functionNameOf } from "../modules/entry-points/index.ts";
import type { MovedCall } from "../offload/index.ts";
import type { OperationReply } from "../sandbox/sandbox.ts";
import { Attempt, type AttemptEnd, type PerformOperation, Suspended } from "./attempt.ts";
import type { Parker } from "./attempt-wait.ts";
import { runCpuMs, toNeapError } from "./context.ts";
import type { InstanceHistory } from "./instance-history.ts";
import { commandLineBytes, encodeInit, isOfWorld } from "./instance-record.ts";
import type { LiveAttempts } from "./live-attempts.ts";
import type { WorldEnd } from "./mpi-operations.ts";
import { measured } from "./operation-times.ts";
import { type OperationParts, Operations } from "./operations.ts";
import type { Parking } from "./parking.ts";
import { fromPayload, lateInput } from "./payloads.ts";
import type { RunRegions } from "./run-regions.ts";

const NO_CHILDREN: readonly InstanceId[] = [];
/** What they answer comes from the storage node. */
const READS: ReadonlySet<number> = new Set([
  Operation.objectRead,
  Operation.objectReadForUpdate,
  Operation.objectList,
  Operation.logReadPrev,
  Operation.logReadNext,
]);

type Made = "artefact" | "inherited" | "parker" | "started" | "writtenBytes" | "regions" | "fail";

/** One attempt. */
export interface Execution extends Omit<OperationParts, Made> {
  readonly attempts: LiveAttempts;
  readonly parking: Parking;
  readonly history: InstanceHistory;
  /** Of all attempts of the run. */
  readonly runRegions: RunRegions;
  /** Told the attempt when it has begun, and what tells whether its guest waits for a time, a call or a lock. */
  readonly begun: (attempt: Attempt, isWaiting: () => boolean) => void;
  /** As `AttemptOptions.outputUsed`. */
  readonly outputUsed: Promise<void>;
  /** The attempt is over, as one that waits for nothing, when it has replayed all there is. */
  readonly replayOnly: boolean;
  /** The attempt goes on where it was stopped at another node. */
  readonly moved: MovedCall | null;
}

/** How an attempt ended, the children that it started bound to it, and what it did in its caller's transaction. */
export interface Executed {
  readonly end: AttemptEnd;
  readonly bound: readonly InstanceId[];
  /** Of a child that was called in a transaction. */
  readonly effects: TransactionEffects | null;
  /** The call as another node goes on with it; null unless the attempt has ended so, and in a place where that is possible. */
  readonly moves: MovedCall | null;
  readonly readBytes: number;
  /** Of an attempt that was a rank. */
  readonly world: WorldEnd | null;
}

/** The end of the attempt: nothing of it is under way any more, and unless it is a result `steps` is fenced. */
export async function execute(execution: Execution): Promise<Executed> {
  const { context, runner, attempts, parking, history, spec, shard, steps, drafts, trace, lockTurns, runRegions } = execution;
  const { begun, moved, worlds, outputUsed } = execution;
  const { functions, pool, tenancy, log, nodeName, moves: policy } = context;
  const { init, tenant, instance, signal } = spec;
  const artefact = await functions.artefact(shard, init.module);
  if (init.tableIndex === null) {
    calledEntryPoint(artefact, init.functionName);
  }
  const fail = (error: unknown) => attempt.stop({ kind: "failed", error: toNeapError(error) });
  const input = lateInput(shard.blobs, init.input, fail);
  const inherited = init.transaction === null ? null : decodeInherited(await fromPayload(shard.blobs, init.transaction));
  if ((usesThreads(artefact) || usesRegions(artefact)) && isOfWorld(init)) {
    throw new NeapError(
      "NOT_SUPPORTED",
      `mpi_world_size is ${init.worldSize}: a function with threads or memory regions has one rank`,
    );
  }
  const regions = usesRegions(artefact) ? runRegions.session(context.regions, tenant) : null;
  if (regions !== null) {
    steps.leaveOutValues();
  } else if (usesRegions(artefact)) {
    return { end: { kind: "displaced" }, bound: NO_CHILDREN, effects: null, moves: null, readBytes: 0, world: null };
  }
  let operations = null as Operations | null;
  const parker: Parker = {
    park: (until) => attempt.park(until),
    letGo: () => history.letGo(shard, steps),
    goOn: () => history.goOn(steps),
  };
  const asked = () => {
    const started = moved?.children ?? [];
    operations ??= new Operations({
      context,
      runner,
      spec,
      shard,
      steps,
      drafts,
      trace,
      lockTurns,
      parker,
      artefact,
      inherited,
      started,
      writtenBytes: moved?.writtenBytes ?? 0,
      regions,
      worlds,
      fail,
    });
    return operations;
  };
  const { replayOnly } = execution;
  /** The steps when the last operation began. */
  let before: StepStreamState | null = null;
  let readBytes = 0;
  const reads = artefact.migratable && !init.forbidPushDown ? policy.data.watch(artefact.hash, moved?.moves ?? 0) : null;
  const plain: PerformOperation = (operation, args) => {
    const act = () => asked().perform(operation, args);
    return replayOnly ? replay(steps, act) : act();
  };
  const movable: PerformOperation = async (operation, args) => {
    before = steps.state();
    const reply = await plain(operation, args);
    if (READS.has(operation)) {
      readBytes += reply.bytes.byteLength;
      reads?.read(reply.bytes.byteLength);
    }
    return reply;
  };
  const perform = artefact.migratable ? movable : plain;
  trace.executedAt.add(nodeName);
  const { limits } = tenancy.of(tenant);
  const attempt = new Attempt({
    pool,
    tenant,
    artefact,
    input,
    commandLine: commandLineBytes(init),
    tableIndex: init.tableIndex ?? undefined,
    pins: steps.pins,
    depth: init.depth,
    limits: moved === null ? init : { ...init, cpuTimeMs: Math.max(1, init.cpuTimeMs - moved.cpuMs) },
    sandboxesMax: limits.tenantMaxSandboxes,
    ...(init.functionMaxSandboxes < limits.tenantMaxSandboxes && {
      ofFunction: { name: functionNameOf(init.functionName), sandboxesMax: init.functionMaxSandboxes },
    }),
    threads: { callMax: limits.callMaxThreads, tenantMax: limits.tenantMaxThreads },
    // What is in memory regions stays here, and locks of them end with the guest; so do messages of ranks.
    ...(isOfWorld(init) && { ranks: init.rank === 0 ? init.worldSize : 0 }),
    ...(artefact.migratable &&
      regions === null &&
      !isOfWorld(init) && {
        parking,
        mayMove: () => inherited === null && (operations?.mayMove ?? true),
        departs: () => (parking.isFull ? null : (reads?.departure() ?? null)),
      }),
    ...(moved !== null && { frozen: { bytes: moved.guest, ...(moved.answer !== null && { answer: moved.answer }) } }),
    outputUsed,
    perform: trace.operations === null ? perform : measured(perform, context.clock, trace.operations),
    onMove: () => operations?.breakOff(),
    onStop: () => {
      steps.fence(new Fenced("closed", "the attempt was stopped"));
      operations?.stop();
    },
    ...(regions !== null && { arena: regions.memory, onGone: () => regions.guestGone() }),
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
  begun(attempt, () => operations?.isWaiting ?? false);
  const end = await attempt.ended;
  trace.computed(attempt.cpuMs);
  attempts.delete(shard, attempt);
  signal?.removeEventListener("abort", abort);
  await operations?.close();
  const world = (await operations?.endWorld(end)) ?? null;
  trace.read(readBytes);
  if (end.kind === "returned" && moved === null) {
    policy.data.learn(artefact.hash, readBytes);
  }
  const effects = inherited === null ? null : effectsOf(end, asked().effects());
  const moves =
    end.kind === "moved" && (operations?.mayMove ?? true)
      ? {
          ...{ tenant, instance, init: encodeInit(init), guest: end.guest, answer: end.answer },
          steps: end.isUndone && before !== null ? before : steps.state(),
          children: operations?.started ?? moved?.children ?? [],
          cause: end.departure.cause,
          writtenBytes: operations?.writtenBytes ?? moved?.writtenBytes ?? 0,
          moves: (moved?.moves ?? 0) + 1,
          cpuMs: (moved?.cpuMs ?? 0) + attempt.cpuMs,
          runCpuMs: runCpuMs(spec, trace),
        }
      : null;
  return { end, bound: operations?.bound ?? NO_CHILDREN, effects, moves, readBytes, world };
}

/** @throws Suspended  the operation was the last one in the log */
async function replay(steps: StepStream, perform: () => Promise<OperationReply>): Promise<OperationReply> {
  const wasReplaying = steps.replaying;
  const reply = await perform();
  if (wasReplaying && !steps.replaying) {
    throw new Suspended(Promise.resolve());
  }
  return reply;
}

/** What a failure leaves of a child's part in a transaction: what it has read and locked, but nothing that it or its calls wrote. */
function effectsOf(end: AttemptEnd, effects: TransactionEffects | null): TransactionEffects | null {
  return effects === null || end.kind === "returned"
    ? effects
    : { ...effects, writes: new Map(), unawaited: false, lost: effects.lost || effects.unawaited };
}
