/** A guest's calls of other functions: start, await; and its sleep. */
import { crc32 } from "node:zlib";
import { hasCode, NeapError } from "../../state/errors.ts";
import type { InstanceId, LogBookId } from "../../state/ids.ts";
import { RecordKind, type Shard } from "../../state/logbook/index.ts";
import { fingerprint, SEED_BYTES } from "../../state/logbook/step-record.ts";
import { Fenced, type StepStream } from "../../state/protocols/index.ts";
import { STEP_TAG_PREFIX, stepTag } from "../../state/tags.ts";
import { callAwaitArgs, callAwaitReply, callStartArgs, GuestError, Operation, sleepArgs } from "../abi/operations.ts";
import type { FunctionVersion } from "../modules/functions.ts";
import type { OperationReply } from "../sandbox/sandbox.ts";
import { Suspended } from "./attempt.ts";
import {
  CALL_DEPTH_MAX,
  delay,
  type InstanceOutcome,
  type InstanceRunner,
  type InstanceSpec,
  type InvocationContext,
  mintInstance,
  type Trace,
} from "./context.ts";
import { childPins, encodeInit, type InstanceInit, initOf, payloadBlobs } from "./instance-record.ts";
import { plainReply } from "./object-operations.ts";
import { toPayload } from "./payloads.ts";

/** A started call: its outcome to come, or the code its await answers. */
type Child =
  | { readonly kind: "running"; readonly outcome: Promise<InstanceOutcome> }
  | { readonly kind: "refused"; readonly code: number };

/**
 * Owns: the calls this attempt has started, and its waits. Does not own: the calls' runs, which go on when the attempt ends.
 *
 * C1. The Invoke record is the child's INIT (F16): a child exists exactly if its caller's step does.
 * C2. A child's result reaches the guest only from its DONE record, and moves the caller's cursor to it (F17).
 */
export class ChildOperations {
  readonly #context: InvocationContext;
  readonly #runner: InstanceRunner;
  readonly #shard: Shard;
  readonly #tenant: LogBookId;
  readonly #steps: StepStream;
  readonly #caller: InstanceInit;
  readonly #trace: Trace;
  readonly #children: Child[] = [];
  /** Ends the wait that is under way. */
  #stopWaiting: (reason: Fenced | Suspended) => void = () => {};

  constructor(options: {
    context: InvocationContext;
    runner: InstanceRunner;
    shard: Shard;
    tenant: LogBookId;
    steps: StepStream;
    caller: InstanceInit;
    trace: Trace;
  }) {
    this.#context = options.context;
    this.#runner = options.runner;
    this.#shard = options.shard;
    this.#tenant = options.tenant;
    this.#steps = options.steps;
    this.#caller = options.caller;
    this.#trace = options.trace;
  }

  /** The attempt was stopped: it no longer waits for calls or for time to pass. The calls go on. */
  close(): void {
    this.#stopWaiting(new Fenced("closed", "the attempt was stopped"));
  }

  /** @returns null when `operation` is not one of calls */
  perform(operation: number, args: Uint8Array): Promise<OperationReply> | null {
    switch (operation) {
      case Operation.callStart:
        return this.#start(args);
      case Operation.callAwait:
        return this.#await(args);
      case Operation.sleep:
        return this.#sleep(args);
      default:
        return null;
    }
  }

  async #start(args: Uint8Array): Promise<OperationReply> {
    const { functionName, input } = callStartArgs.decode(args);
    const version = this.#caller.depth < CALL_DEPTH_MAX ? await this.#resolve(functionName) : null;
    if (version === null) {
      this.#children.push({ kind: "refused", code: GuestError.unknownFunction });
      return plainReply(0);
    }
    const spec = await this.#invoke(version, input);
    this.#context.faults.at("dispatch:before");
    const outcome = this.#runner.run(spec, this.#trace);
    this.#context.faults.at("dispatch:after");
    this.#children.push({ kind: "running", outcome });
    return plainReply(0);
  }

  /** The callee at the cursor, so that every replay calls the same version or none. */
  async #resolve(functionName: string): Promise<FunctionVersion | null> {
    try {
      this.#steps.touch();
      const { version } = await this.#context.functions.resolve(this.#shard, this.#tenant, functionName, this.#steps.cursor);
      this.#steps.consulted(version.seqnum);
      return version;
    } catch (error) {
      if (hasCode(error, "UNKNOWN_FUNCTION") || hasCode(error, "BAD_NAME")) {
        return null;
      }
      throw error;
    }
  }

  async #invoke(version: FunctionVersion, input: Uint8Array): Promise<InstanceSpec> {
    const { random, clock } = this.#context;
    const { pins } = this.#steps;
    const child = mintInstance(this.#shard, random);
    const init: InstanceInit = {
      functionName: version.name,
      module: version.hash,
      input: await toPayload(this.#shard.blobs, input),
      forbidPushDown: this.#caller.forbidPushDown,
      wallTimeMs: this.#caller.wallTimeMs,
      outputMaxBytes: this.#caller.outputMaxBytes,
      objectMaxBytes: this.#caller.objectMaxBytes,
      depth: this.#caller.depth + 1,
      callId: 0,
      startedMs: Math.max(clock.now(), pins.timeMs),
      childSeed: random.bytes(SEED_BYTES),
    };
    const { record, theirs } = await this.#steps.step({
      kind: RecordKind.invoke,
      fingerprint: fingerprint(version.name, crc32(input)),
      payload: encodeInit(init),
      tags: [stepTag(child)],
      when: [{ tag: stepTag(child), length: 0 }],
      blobs: payloadBlobs(init.input),
    });
    const { epoch } = this.#shard;
    if (theirs === null) {
      return { tenant: this.#tenant, instance: child, init, epoch, begin: { kind: "child", pins: childPins(record, init) } };
    }
    const instance = theirs.tags[1]?.slice(STEP_TAG_PREFIX.length) as InstanceId;
    return { tenant: this.#tenant, instance, init: initOf(theirs), epoch, begin: { kind: "logged" } };
  }

  async #await(args: Uint8Array): Promise<OperationReply> {
    const child = this.#children[callAwaitArgs.decode(args).handle];
    if (child === undefined) {
      return plainReply(GuestError.invalid);
    }
    if (child.kind === "refused") {
      return plainReply(child.code);
    }
    const outcome = await this.#waitFor(child.outcome);
    if (outcome.kind !== "completed") {
      const reason = outcome.kind === "pending" ? outcome.reason : outcome.message;
      throw new NeapError("OUTCOME_PENDING", `a called function could not be finished here: ${reason}`);
    }
    this.#steps.consulted(outcome.dependency);
    this.#steps.join(outcome.seqnum);
    const { returnValue, trap } = outcome.done;
    const bytes = callAwaitReply.encode(returnValue, trap === "" ? outcome.output : Buffer.from(trap));
    return { code: 0, timeMs: outcome.timeMs, bytes };
  }

  async #sleep(args: Uint8Array): Promise<OperationReply> {
    const { durationMs } = sleepArgs.decode(args);
    const { record } = await this.#steps.step({
      kind: RecordKind.sleep,
      fingerprint: fingerprint("", durationMs),
      payload: new Uint8Array(0),
    });
    const wakeMs = record.timeMs + durationMs;
    // The record's time is the owner's; a clock that is behind it must not make the guest sleep longer than it asked for.
    const restMs = Math.min(wakeMs - this.#context.clock.now(), durationMs);
    if (restMs > this.#waitMaxMs) {
      throw new Suspended(delay(this.#context.timers, restMs));
    }
    if (restMs > 0) {
      await this.#waitFor(delay(this.#context.timers, restMs));
    }
    return plainReply(0, wakeMs);
  }

  /** Rejects when the attempt is stopped first, or when the wait takes too long for a guest to keep its sandbox. */
  async #waitFor<T>(awaited: Promise<T>): Promise<T> {
    const { promise: stopped, reject } = Promise.withResolvers<never>();
    this.#stopWaiting = reject;
    const cancel = this.#context.timers.after(this.#waitMaxMs, () => reject(new Suspended(awaited)));
    try {
      return await Promise.race([awaited, stopped]);
    } finally {
      cancel();
    }
  }

  /**
   * A guest that waits for half of its wall time gives its sandbox back, so that waiting is no reason to end it, and those it waits
   * for find a place to run.
   */
  get #waitMaxMs(): number {
    return this.#caller.wallTimeMs / 2;
  }
}
