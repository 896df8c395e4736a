/** Runs one attempt of an instance, with everything its guest may ask for. */
import { NeapError } from "../../state/errors.ts";
import type { Shard } from "../../state/logbook/index.ts";
import { Fenced, ScopedObjects, type StepStream } from "../../state/protocols/index.ts";
import { Attempt, type AttemptEnd, type PerformOperation } from "./attempt.ts";
import { ChildOperations } from "./child-operations.ts";
import type { InstanceRunner, InstanceSpec, InvocationContext, Trace } from "./context.ts";
import type { LiveAttempts } from "./live-attempts.ts";
import { ObjectOperations } from "./object-operations.ts";
import { measured } from "./operation-times.ts";
import { PartOperations } from "./part-operations.ts";
import { fromPayload } from "./payloads.ts";

export interface Execution {
  readonly context: InvocationContext;
  readonly runner: InstanceRunner;
  readonly attempts: LiveAttempts;
  readonly spec: InstanceSpec;
  readonly shard: Shard;
  readonly steps: StepStream;
  readonly trace: Trace;
}

/** The end of the attempt: nothing of it is under way any more, and unless it is a result `steps` is fenced. */
export async function execute({ context, runner, attempts, spec, shard, steps, trace }: Execution): Promise<AttemptEnd> {
  const { functions, pool, limits, log, nodeName } = context;
  const { init, tenant, instance, signal } = spec;
  const [artefact, input] = await Promise.all([functions.artefact(shard, init.module), fromPayload(shard.blobs, init.input)]);
  const protocol = new ScopedObjects(steps, shard.blobs, init);
  const objects = new ObjectOperations(protocol, shard.blobs, init.objectMaxBytes, trace.moved);
  const children = new ChildOperations({ context, runner, shard, tenant, steps, caller: init, trace });
  const parts = new PartOperations({ offload: context.offload, tenant, steps, artefact, init, trace, nodeName });
  trace.executedAt.add(nodeName);
  const perform: PerformOperation = (operation, args) =>
    objects.perform(operation, args) ??
    children.perform(operation, args) ??
    parts.perform(operation, args) ??
    Promise.reject(new NeapError("INTERNAL", `unknown operation ${operation}`));
  const attempt = new Attempt({
    pool,
    artefact,
    input,
    pins: steps.pins,
    limits: { wallTimeMs: init.wallTimeMs, outputMaxBytes: init.outputMaxBytes, logMaxBytes: limits.logMaxBytes },
    perform: trace.operations === null || init.depth > 0 ? perform : measured(perform, context.clock, trace.operations),
    onStop: () => {
      steps.fence(new Fenced("closed", "the attempt was stopped"));
      children.close();
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
  const end = await attempt.ended;
  attempts.delete(shard, attempt);
  signal?.removeEventListener("abort", abort);
  await objects.close();
  return end;
}
