/** Runs one attempt of an instance, with everything its guest may ask for. */
import type { InstanceId } from "../../state/ids.ts";
import { Fenced } from "../../state/protocols/index.ts";
import { decodeInherited, type TransactionEffects } from "../../state/txn/index.ts";
import { Attempt, type AttemptEnd, type PerformOperation } from "./attempt.ts";
import type { LiveAttempts } from "./live-attempts.ts";
import { measured } from "./operation-times.ts";
import { type OperationParts, Operations } from "./operations.ts";
import { fromPayload, guestInput } from "./payloads.ts";

const NO_CHILDREN: readonly InstanceId[] = [];

/** One attempt. */
export interface Execution extends Omit<OperationParts, "artefact" | "inherited"> {
  readonly attempts: LiveAttempts;
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
  const artefact = await functions.artefact(shard, init.module);
  const input = await guestInput(shard.blobs, init.input);
  const inherited = init.transaction === null ? null : decodeInherited(await fromPayload(shard.blobs, init.transaction));
  let operations = null as Operations | null;
  const asked = () => {
    operations ??= new Operations({ context, runner, spec, shard, steps, drafts, trace, lockTurns, artefact, inherited });
    return operations;
  };
  const perform: PerformOperation = (operation, args) => asked().perform(operation, args);
  trace.executedAt.add(nodeName);
  const attempt = new Attempt({
    pool,
    tenant,
    artefact,
    input,
    pins: steps.pins,
    depth: init.depth,
    limits: { wallTimeMs: init.wallTimeMs, outputMaxBytes: init.outputMaxBytes, logMaxBytes: limits.logMaxBytes },
    perform: trace.operations === null || init.depth > 0 ? perform : measured(perform, context.clock, trace.operations),
    onStop: () => {
      steps.fence(new Fenced("closed", "the attempt was stopped"));
      operations?.stop();
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
  await operations?.close();
  const effects = inherited === null ? null : effectsOf(end, asked().effects());
  return { end, bound: operations?.bound ?? NO_CHILDREN, effects };
}

/** What a trap leaves of a child's part in a transaction: what it has read and locked, but nothing that it wrote. */
function effectsOf(end: AttemptEnd, effects: TransactionEffects | null): TransactionEffects | null {
  return effects !== null && end.kind === "trapped" ? { ...effects, writes: new Map() } : effects;
}
