/** A guest's calls that nobody joins: at once, or after a delay. */
import { crc32 } from "node:zlib";
import { type LogBookId, NO_SEQNUM } from "../../state/ids.ts";
import { RecordKind, type Shard } from "../../state/logbook/index.ts";
import { fingerprint } from "../../state/logbook/step-record.ts";
import type { StepStream } from "../../state/protocols/index.ts";
import { stepTag } from "../../state/tags.ts";
import { callSpawnArgs, GuestError, Operation } from "../abi/operations.ts";
import type { OperationReply } from "../sandbox/sandbox.ts";
import type { Callees } from "./callee.ts";
import { childOf } from "./cancellation.ts";
import { type InstanceRunner, type InstanceSpec, type InvocationContext, mintInstance, Trace } from "./context.ts";
import { encodeLaterInit, payloadBlobs } from "./instance-record.ts";
import { plainReply } from "./object-operations.ts";

/**
 * N1. The Spawn record is the call's INIT (F16): once it is durable the call runs, whatever becomes of its caller.
 * N2. The call is outside the caller's cursor and slot. Its cursor, time and seed are those of its own beginning (F28).
 * N3. A call with a delay is begun by nobody before its time; until then it pins its input only (F25).
 */
export class SpawnOperations {
  readonly #context: InvocationContext;
  readonly #runner: InstanceRunner;
  readonly #shard: Shard;
  readonly #tenant: LogBookId;
  readonly #steps: StepStream;
  readonly #callees: Callees;

  constructor(options: {
    context: InvocationContext;
    runner: InstanceRunner;
    shard: Shard;
    tenant: LogBookId;
    steps: StepStream;
    callees: Callees;
  }) {
    this.#context = options.context;
    this.#runner = options.runner;
    this.#shard = options.shard;
    this.#tenant = options.tenant;
    this.#steps = options.steps;
    this.#callees = options.callees;
  }

  /** @returns null when `operation` is not callSpawn */
  perform(operation: number, args: Uint8Array): Promise<OperationReply> | null {
    return operation === Operation.callSpawn ? this.#spawn(args) : null;
  }

  async #spawn(args: Uint8Array): Promise<OperationReply> {
    const { functionName, input, delayMs } = callSpawnArgs.decode(args);
    const version = await this.#callees.resolve(functionName);
    if (version === null) {
      return plainReply(GuestError.unknownFunction);
    }
    if (delayMs === 0) {
      this.#callees.checkMayBegin();
    }
    const { clock, random } = this.#context;
    const minted = mintInstance(this.#shard, random);
    const notBeforeMs = delayMs === 0 ? 0 : clock.now() + delayMs;
    const init = await this.#callees.init(version, input, {
      bound: false,
      notBeforeMs,
      depth: 0,
      root: "",
      transaction: null,
      modeCursor: NO_SEQNUM,
    });
    const { theirs } = await this.#steps.step({
      kind: RecordKind.spawn,
      fingerprint: fingerprint(`${delayMs} ${version.name}`, crc32(input)),
      payload: encodeLaterInit(init),
      tags: [stepTag(minted)],
      when: [{ tag: stepTag(minted), length: 0 }],
      blobs: payloadBlobs(init.input),
    });
    if (theirs !== null) {
      // An attempt before this one has begun it, or the recovery scanner does.
      return { code: 0, timeMs: 0, bytes: Buffer.from(childOf(theirs)) };
    }
    this.#dispatch({ tenant: this.#tenant, instance: minted, init, epoch: this.#shard.epoch, begin: { kind: "logged" } });
    return { code: 0, timeMs: 0, bytes: Buffer.from(minted) };
  }

  #dispatch(spec: InstanceSpec): void {
    this.#context.faults.at("dispatch:before");
    if (spec.init.notBeforeMs > 0) {
      this.#runner.beginLater(spec.init.notBeforeMs);
    } else {
      void this.#runner.run(spec, new Trace());
    }
    this.#context.faults.at("dispatch:after");
  }
}
