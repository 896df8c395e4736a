/** Runs storage parts for other nodes, or for the compute pool of this process, beside the data. */
import { NeapError } from "../../state/errors.ts";
import type { Shard } from "../../state/logbook/index.ts";
import { RecordKind } from "../../state/logbook/index.ts";
import { HalfmoonRead, type Origin, StepStream } from "../../state/protocols/index.ts";
import { stepTag } from "../../state/tags.ts";
import type { Functions } from "../modules/functions.ts";
import type { Admission, PartReply, PartRequest, StoragePool } from "../offload/index.ts";
import type { SandboxPool } from "../sandbox/index.ts";
import type { Log } from "../telemetry/index.ts";
import { Attempt, type AttemptEnd } from "./attempt.ts";
import { decodeInit, payloadBlobs } from "./instance-record.ts";
import { ObjectOperations } from "./object-operations.ts";
import { fromPayload } from "./payloads.ts";

export interface PartHostOptions {
  readonly name: string;
  /** The session of the node that asks: what a part appends is held by it. */
  readonly shard: Shard;
  readonly functions: Functions;
  readonly pool: SandboxPool;
  readonly admission: Admission;
  readonly log: Log;
  readonly objectMaxBytes: number;
  readonly logMaxBytes: number;
}

/**
 * H1. A refusal comes before the guest's first instruction (H16).
 * H2. The part is a peer of its instance: everything it does to the world is a step, so a part that runs twice happened once (F21).
 */
export class PartHost implements StoragePool {
  readonly name: string;
  readonly #options: PartHostOptions;
  readonly #running = new Map<string, Attempt>();

  constructor(options: PartHostOptions) {
    this.name = options.name;
    this.#options = options;
  }

  async run(request: PartRequest): Promise<PartReply> {
    const { admission } = this.#options;
    const refusal = admission.enter();
    if (refusal !== null) {
      return { kind: "refused", reason: refusal };
    }
    try {
      return await this.#admitted(request);
    } catch (error) {
      if (error instanceof NeapError) {
        return { kind: "lost", reason: `${error.code}: ${error.message}` };
      }
      throw error;
    } finally {
      admission.leave();
    }
  }

  cancel(request: PartRequest): void {
    const message = "the caller no longer waits for the part";
    this.#running.get(offerName(request))?.stop({ kind: "killed", reason: "cancelled", message });
  }

  async #admitted(request: PartRequest): Promise<PartReply> {
    const { functions, shard, pool, log } = this.#options;
    const artefact = await functions.artefact(shard, request.module);
    if (artefact.snapshot.hash !== request.part.snapshotHash) {
      return { kind: "refused", reason: "the module's snapshot is another one here" };
    }
    const init = decodeInit(request.init);
    const steps = await this.#resume(request);
    const protocol = new HalfmoonRead(steps, shard.blobs);
    const objects = new ObjectOperations(protocol, shard.blobs, this.#options.objectMaxBytes, () => {});
    const { tenant, instance } = request;
    const attempt = new Attempt({
      pool,
      artefact,
      input: await fromPayload(shard.blobs, init.input),
      pins: request.steps.pins,
      limits: { wallTimeMs: init.wallTimeMs, outputMaxBytes: init.outputMaxBytes, logMaxBytes: this.#options.logMaxBytes },
      part: request.part,
      perform: (operation, args) =>
        objects.perform(operation, args) ??
        Promise.reject(new NeapError("INTERNAL", `operation ${operation} is not allowed in a storage part`)),
      onLog: (text) => log.info(text, { tenant, instance, functionName: init.functionName }),
    });
    this.#running.set(offerName(request), attempt);
    const end = await attempt.ended;
    this.#running.delete(offerName(request));
    await objects.close();
    return toReply(end, steps);
  }

  async #resume(request: PartRequest): Promise<StepStream> {
    const { tenant, instance, steps: state } = request;
    const book = this.#options.shard.book(tenant);
    if (state.origin === "unlogged") {
      const init = decodeInit(request.init);
      const record = {
        kind: RecordKind.init,
        tags: [stepTag(instance)],
        data: request.init.slice(),
        blobs: payloadBlobs(init.input),
      };
      const origin: Origin = { kind: "unlogged", pins: state.pins, init: async () => record };
      return StepStream.resume(book, instance, origin, state, []);
    }
    const { records } = await book.readStream(stepTag(instance), state.position);
    return StepStream.resume(book, instance, { kind: state.origin, pins: state.pins }, state, records);
  }
}

function offerName(request: PartRequest): string {
  return `${request.instance}/${Buffer.from(request.steps.pins.nonce).toString("hex")}/${request.offer}`;
}

function toReply(end: AttemptEnd, steps: StepStream): PartReply {
  switch (end.kind) {
    case "returned":
      return end.state === undefined
        ? { kind: "lost", reason: "the part left no state" }
        : { kind: "done", value: end.value, steps: steps.state(), state: end.state, cpuMs: end.cpuMs };
    case "trapped":
      return { kind: "trapped", message: end.message, steps: steps.state(), cpuMs: end.cpuMs };
    case "killed":
      return { kind: "lost", reason: end.message };
    case "displaced":
      return { kind: "lost", reason: "displaced by another call" };
    case "fenced":
      return { kind: "lost", reason: end.fenced.message };
    case "failed":
      return { kind: "lost", reason: `${end.error.code}: ${end.error.message}` };
  }
}
