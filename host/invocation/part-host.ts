/** Runs storage parts for other nodes, or for the compute pool of this process, beside the data. */
import { NeapError } from "../../state/errors.ts";
import type { Shard } from "../../state/logbook/index.ts";
import { Drafts } from "../../state/objects/index.ts";
import { Fenced, ScopedObjects, type StepStream } from "../../state/protocols/index.ts";
import type { Functions } from "../modules/functions.ts";
import type { Admission, PartReply, PartRequest, StoragePool } from "../offload/index.ts";
import type { SandboxPool } from "../sandbox/index.ts";
import type { Log } from "../telemetry/index.ts";
import type { Tenancy } from "../tenancy/index.ts";
import { Attempt, type AttemptEnd } from "./attempt.ts";
import { toNeapError } from "./context.ts";
import { FileOperations } from "./file-operations.ts";
import { decodeInit } from "./instance-record.ts";
import { LogOperations } from "./log-operations.ts";
import { ObjectOperations } from "./object-operations.ts";
import { lateInput } from "./payloads.ts";
import { resumeSteps } from "./resumed-steps.ts";
import { StateMeter } from "./state-meter.ts";
import { stepBook } from "./step-book.ts";

export interface PartHostOptions {
  readonly name: string;
  /** The session of the node that asks: what a part appends is held by it. */
  readonly shard: Shard;
  readonly functions: Functions;
  readonly pool: SandboxPool;
  readonly admission: Admission;
  readonly log: Log;
  readonly tenancy: Tenancy;
  /** Steps are answered before they are durable. */
  readonly runAhead: boolean;
}

/** A part that was admitted. */
interface RunningPart {
  /** Null while it is being prepared. */
  attempt: Attempt | null;
  isCancelled: boolean;
}

/** The state of the part has it. */
const IN_THE_STATE = new Uint8Array(0);
const CANCELLED = "the caller no longer waits for the part";

/**
 * H1. A refusal comes before the guest's first instruction (H16).
 * H2. The part is a peer of its instance: everything it does to the world is a step, so a part that runs twice happened once (F21).
 * H3. When the reply is given nothing of the part is under way any more. Parts of a session end with it (F1).
 */
export class PartHost implements StoragePool {
  readonly name: string;
  readonly #options: PartHostOptions;
  readonly #running = new Map<string, RunningPart>();

  constructor(options: PartHostOptions) {
    this.name = options.name;
    this.#options = options;
    void options.shard.ended.then(() => this.#cancelAll());
  }

  async run(request: PartRequest): Promise<PartReply> {
    const { admission } = this.#options;
    const refusal = admission.enter();
    if (refusal !== null) {
      return { kind: "refused", reason: refusal };
    }
    const offer = offerName(request);
    const part: RunningPart = { attempt: null, isCancelled: false };
    this.#running.set(offer, part);
    try {
      return await this.#admitted(request, part);
    } catch (error) {
      const { code, message } = toNeapError(error);
      if (code === "INTERNAL") {
        this.#options.log.error("a storage part failed unexpectedly", { instance: request.instance, error });
      }
      return { kind: "lost", reason: `${code}: ${message}`, mayGoOn: true };
    } finally {
      this.#running.delete(offer);
      admission.leave();
    }
  }

  cancel(request: PartRequest): void {
    cancelPart(this.#running.get(offerName(request)));
  }

  #cancelAll(): void {
    for (const part of this.#running.values()) {
      cancelPart(part);
    }
  }

  async #admitted(request: PartRequest, part: RunningPart): Promise<PartReply> {
    const { functions, shard, pool, log, tenancy } = this.#options;
    const artefact = await functions.artefact(shard, request.module);
    if (artefact.snapshot.hash !== request.part.snapshotHash) {
      return { kind: "refused", reason: "the module's snapshot is another one here" };
    }
    const init = decodeInit(request.init);
    const book = stepBook(shard, request.tenant, this.#options.runAhead);
    const steps = await resumeSteps(book, request.instance, request.steps, init, request.init);
    const fail = (error: unknown) => part.attempt?.stop({ kind: "failed", error: toNeapError(error) });
    const input = lateInput(shard.blobs, init.input, fail);
    if (part.isCancelled) {
      return { kind: "lost", reason: CANCELLED, mayGoOn: false };
    }
    const protocol = new ScopedObjects(steps, shard.blobs, init);
    const drafts = new Drafts(shard.blobs);
    const meter = new StateMeter(init.stateMaxBytes, request.writtenBytes);
    const objects = new ObjectOperations(protocol, drafts, init.objectMaxBytes, meter, () => {});
    const files = new FileOperations(protocol);
    const logs = new LogOperations(steps, init.wallTimeMs, meter);
    const { tenant, instance } = request;
    part.attempt = new Attempt({
      pool,
      tenant,
      artefact,
      input,
      commandLine: IN_THE_STATE,
      depth: init.depth,
      pins: request.steps.pins,
      limits: init,
      sandboxesMax: tenancy.of(tenant).limits.tenantMaxSandboxes,
      part: request.part,
      perform: (operation, args) =>
        objects.perform(operation, args) ??
        files.perform(operation, args) ??
        logs.perform(operation, args) ??
        Promise.reject(new NeapError("INTERNAL", `operation ${operation} is not allowed in a storage part`)),
      onStop: () => {
        steps.fence(new Fenced("closed", "the part was stopped"));
        logs.close();
      },
      onLog: (text) => log.info(text, { tenant, instance, functionName: init.functionName }),
    });
    try {
      const end = await part.attempt.ended;
      await objects.close();
      return toReply(end, steps, meter);
    } finally {
      drafts.end();
    }
  }
}

function cancelPart(part: RunningPart | undefined): void {
  if (part !== undefined) {
    part.isCancelled = true;
    part.attempt?.stop({ kind: "killed", reason: "cancelled", message: CANCELLED });
  }
}

function offerName(request: PartRequest): string {
  return `${request.instance}/${Buffer.from(request.steps.pins.nonce).toString("hex")}/${request.offer}`;
}

function toReply(end: AttemptEnd, stream: StepStream, { writtenBytes }: StateMeter): PartReply {
  const left = { steps: stream.state(), reads: stream.reads.made, writtenBytes };
  const lost = (reason: string): PartReply => ({ kind: "lost", reason, mayGoOn: stream.isAppending });
  switch (end.kind) {
    case "returned":
      return end.state === undefined
        ? lost("the part left no state")
        : { kind: "done", value: end.value, state: end.state, cpuMs: end.cpuMs, ...left };
    case "trapped":
      return { kind: "trapped", message: end.message, cpuMs: end.cpuMs, ...left };
    case "killed":
      return lost(end.message);
    case "displaced":
      return lost("displaced by another call");
    case "suspended":
    case "moved":
      return lost("it waits for long");
    case "fenced":
      return lost(end.fenced.message);
    case "failed":
      return lost(`${end.error.code}: ${end.error.message}`);
  }
}
