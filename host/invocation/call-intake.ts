/**
 * Takes calls in: mints instances, attaches duplicates to them, and tells what became of them.
 *
 * Owns: nothing that lasts. Does not own: the runs (service), the log.
 *
 * I1. Under one key or call id there is at most one instance, decided by the append of its INIT (F20, F30).
 * I2. A duplicate never runs: it waits for the DONE of the one that does.
 * I3. An accepted call is durable before it is acknowledged.
 */
import { NeapError } from "../../state/errors.ts";
import { type InstanceId, MAX_SEQNUM, NO_SEQNUM, quote, type SeqNum, type Tag } from "../../state/ids.ts";
import { type LogRecord, type NewRecord, RecordKind, type Shard } from "../../state/logbook/index.ts";
import { Drafts } from "../../state/objects/index.ts";
import { callIdTag, keyTag, STEP_TAG_PREFIX, stepTag } from "../../state/tags.ts";
import type { Artefact } from "../modules/artefact.ts";
import { callTarget, functionNameOf, TARGET_RULE } from "../modules/entry-points/index.ts";
import { environmentText } from "../modules/environment.ts";
import type { FunctionVersion } from "../modules/functions.ts";
import { awaitDone } from "./await-done.ts";
import {
  type InstanceOutcome,
  type InstanceRunner,
  type InstanceSpec,
  type InvocationContext,
  mintInstance,
  shardOf,
  Trace,
} from "./context.ts";
import {
  encodeInit,
  encodeLaterInit,
  type InstanceInit,
  initOf,
  NO_SEED,
  type Payload,
  payloadBlobs,
} from "./instance-record.ts";
import type { CallAnswer, CallRequest } from "./invocation.ts";
import { samePayload, toCallBytes, toPayload } from "./payloads.ts";
import { expiredOutcome } from "./stored-outcome.ts";

/** How often a call is begun anew because the owner restarted before anything of it was durable. */
const CALL_TRIES_MAX = 5;
const CALL_ID_MAX = 2 ** 31 - 1;

export class CallIntake {
  readonly #context: InvocationContext;
  readonly #runner: InstanceRunner;
  readonly #stops: () => boolean;

  /** @param stops  whether nothing is taken in any more */
  constructor(context: InvocationContext, runner: InstanceRunner, stops: () => boolean) {
    this.#context = context;
    this.#runner = runner;
    this.#stops = stops;
  }

  async call(request: CallRequest): Promise<CallAnswer> {
    if (this.#stops()) {
      throw new NeapError("SHUTTING_DOWN", "the host is stopping");
    }
    if (callTarget(request.functionName) === null) {
      throw new NeapError("BAD_NAME", `function is ${quote(request.functionName)}, must be ${TARGET_RULE}`);
    }
    for (let tries = 1; ; tries += 1) {
      const answer = await this.#call(request);
      const lost = answer.kind === "failed" && answer.code === "EPOCH_CHANGED";
      const mayBegin = request.input instanceof Uint8Array && tries < CALL_TRIES_MAX;
      if (!lost || !mayBegin) {
        return answer;
      }
    }
  }

  async #call(request: CallRequest): Promise<CallAnswer> {
    const { functions, random, source, tenancy } = this.#context;
    const shard = source.current() ?? (await shardOf(this.#context));
    const { version, tail } = await functions.resolve(shard, request.tenant, functionNameOf(request.functionName));
    if (request.check !== undefined) {
      await this.#check(shard, request, await functions.artefact(shard, version.hash), request.check);
    }
    tenancy.of(request.tenant).checkMayBegin();
    checkWorld(request, tenancy.of(request.tenant).limits.tenantMaxThreads);
    const instance = mintInstance(shard, random);
    const drafts = new Drafts(shard.blobs);
    try {
      // A long input becomes a blob before anything may name it, also when nothing ever will.
      const init = this.#init(request, version, await toPayload(drafts, request.input));
      if (request.key !== undefined || request.answer === "accepted") {
        return await this.#logged(shard, drafts, request, instance, init);
      }
      const trace = traceOf(request);
      const spec: InstanceSpec = {
        tenant: request.tenant,
        instance,
        init,
        epoch: shard.epoch,
        begin: { kind: "unlogged", initialCursor: tail, dependency: version.seqnum },
        ...(request.signal !== undefined && { signal: request.signal }),
      };
      return this.#answer(shard, instance, await this.#runner.run(spec, trace), trace);
    } finally {
      drafts.end();
    }
  }

  /** A duplicate is not refused: its call has happened, with whatever module there was then. */
  async #check(shard: Shard, request: CallRequest, artefact: Artefact, check: NonNullable<CallRequest["check"]>): Promise<void> {
    try {
      await check(artefact);
    } catch (error) {
      const tag = keyTagOf(request);
      const { record } = tag === null ? { record: null } : await shard.book(request.tenant).readPrev(tag, MAX_SEQNUM);
      if (record === null) {
        throw error;
      }
    }
  }

  #init(request: CallRequest, version: FunctionVersion, input: Payload): InstanceInit {
    const { limits, tenancy, clock } = this.#context;
    const nowMs = clock.now();
    const { delayMs = 0 } = request;
    const bounds = tenancy.of(request.tenant).callLimits(version.limits);
    // Field by field: spread into the middle of an object they take 1 µs and more.
    return {
      functionName: request.functionName,
      module: version.hash,
      input,
      commandLine: request.commandLine ?? "",
      tableIndex: request.tableIndex ?? null,
      environment: environmentText(version.environment),
      forbidPushDown: request.forbidPushDown,
      wallTimeMs: bounds.wallTimeMs,
      cpuTimeMs: bounds.cpuTimeMs,
      outputMaxBytes: bounds.outputMaxBytes,
      logMaxBytes: bounds.logMaxBytes,
      stateMaxBytes: bounds.stateMaxBytes,
      callMaxDepth: bounds.callMaxDepth,
      functionMaxSandboxes: bounds.functionMaxSandboxes,
      objectMaxBytes: limits.objectMaxBytes,
      retry: version.retry ?? limits.retry,
      bound: false,
      notBeforeMs: delayMs === 0 ? 0 : nowMs + delayMs,
      depth: 0,
      callId: request.key?.kind === "callId" ? request.key.value : 0,
      startedMs: nowMs,
      root: "",
      transaction: null,
      childSeed: NO_SEED,
      worldSize: request.worldSize ?? 0,
      rank: 0,
      modeCursor: NO_SEQNUM,
      protocol: version.protocol,
    };
  }

  /** A call whose INIT is appended at once: keyed or to be acknowledged. */
  async #logged(
    shard: Shard,
    drafts: Drafts,
    request: CallRequest,
    instance: InstanceId,
    wanted: InstanceInit,
  ): Promise<CallAnswer> {
    const { tenant, key } = request;
    const book = shard.book(tenant);
    for (;;) {
      const callId = wanted.callId === 0 && request.answer === "accepted" ? this.#drawCallId() : wanted.callId;
      const init: InstanceInit = { ...wanted, callId };
      const keyTags = key?.kind === "idempotency" ? [keyTag(request.functionName, key.value)] : [];
      const idTags = callId === 0 ? [] : [callIdTag(callId)];
      const record: NewRecord = {
        kind: init.notBeforeMs > 0 ? RecordKind.delayed : RecordKind.init,
        tags: [stepTag(instance), ...keyTags, ...idTags],
        data: init.notBeforeMs > 0 ? encodeLaterInit(init) : encodeInit(init),
        blobs: payloadBlobs(init.input),
      };
      const conditions = [...keyTags, ...idTags].map((tag) => ({ tag, last: 0 as SeqNum }));
      const result = await book.append({ records: [record], when: conditions });
      if (result.kind === "appended") {
        return this.#begin(shard, request, instance, init, result.seqnum);
      }
      if (result.kind !== "conflict") {
        throw new NeapError("INTERNAL", `INIT of a new instance was answered ${result.kind}`);
      }
      const wasDrawn = key?.kind !== "callId" && result.tag === idTags[0];
      if (!wasDrawn) {
        await shard.whenDurable(result.tail);
        return this.#attach(shard, drafts, request, wanted.input, result.existing);
      }
    }
  }

  #drawCallId(): number {
    const bits = Buffer.from(this.#context.random.bytes(4)).readUInt32LE();
    return (bits % CALL_ID_MAX) + 1;
  }

  async #begin(
    shard: Shard,
    request: CallRequest,
    instance: InstanceId,
    init: InstanceInit,
    seqnum: SeqNum,
  ): Promise<CallAnswer> {
    if (init.notBeforeMs > 0) {
      await shard.whenDurable(seqnum);
      this.#runner.beginLater(init.notBeforeMs);
      return { kind: "accepted", instance, callId: init.callId };
    }
    const trace = traceOf(request);
    const { epoch } = shard;
    const outcome = this.#runner.run({ tenant: request.tenant, instance, init, epoch, begin: { kind: "logged" } }, trace);
    if (request.answer === "result") {
      return this.#answer(shard, instance, await outcome, trace);
    }
    await shard.whenDurable(seqnum);
    return { kind: "accepted", instance, callId: init.callId };
  }

  /** A duplicate: same request → the same answer, another one → refused (F30). What it says rests on durable records only (F8). */
  async #attach(
    shard: Shard,
    drafts: Drafts,
    request: CallRequest,
    input: Payload,
    first: LogRecord | null,
  ): Promise<CallAnswer> {
    if (first === null) {
      throw new NeapError("RESULT_EXPIRED", "the call is finished and its result is no longer kept");
    }
    const theirs = initOf(first);
    const instance = first.tags[0]?.slice(STEP_TAG_PREFIX.length) as InstanceId;
    await this.#checkSame(shard, request, input, theirs);
    // The one that runs may run for long.
    drafts.end();
    if (request.answer === "accepted") {
      const { record } = await shard.book(request.tenant).readPrev(stepTag(instance), MAX_SEQNUM);
      return record === null
        ? this.#answer(shard, instance, expiredOutcome(instance), new Trace())
        : { kind: "accepted", instance, callId: theirs.callId };
    }
    const running = this.#runner.outcome(instance);
    const outcome = running ?? awaitDone(this.#context, request.tenant, instance, theirs.wallTimeMs);
    return this.#answer(shard, instance, await outcome, new Trace());
  }

  async #checkSame(shard: Shard, request: CallRequest, input: Payload, theirs: InstanceInit): Promise<void> {
    const isSame =
      theirs.functionName === request.functionName &&
      theirs.tableIndex === (request.tableIndex ?? null) &&
      theirs.commandLine === (request.commandLine ?? "") &&
      theirs.worldSize === (request.worldSize ?? 0);
    if (isSame && (await samePayload(shard.blobs, input, theirs.input))) {
      return;
    }
    if (request.key?.kind === "callId") {
      const taken = `call id ${request.key.value} belongs to another call, of function ${quote(theirs.functionName)}`;
      throw new NeapError("CALL_ID_TAKEN", taken);
    }
    throw new NeapError(
      "IDEMPOTENCY_MISMATCH",
      `the Idempotency-Key ${quote(request.key?.value ?? "")} was used with another input or command line`,
    );
  }

  #answer(shard: Shard, instance: InstanceId, outcome: InstanceOutcome, trace: Trace): CallAnswer {
    switch (outcome.kind) {
      case "completed": {
        const { returnValue, trap } = outcome.done;
        // The session may be another one by now.
        const { blobs } = this.#context.source.current() ?? shard;
        const result = { returnValue, output: toCallBytes(blobs, outcome.output), ...(trap !== "" && { trap }) };
        return { kind: "completed", instance, result, trace: trace.view(outcome.done) };
      }
      case "pending":
        return { kind: "pending", instance, cpuMs: trace.knownCpuMs, parked: outcome.parked, reason: outcome.reason };
      case "failed":
        return { kind: "failed", instance, cpuMs: trace.knownCpuMs, code: outcome.code, message: outcome.message };
    }
  }
}

/** @throws BAD_REQUEST  the call would have more ranks than its tenant may have threads */
function checkWorld({ tenant, worldSize = 0 }: CallRequest, tenantMaxThreads: number): void {
  if (worldSize > tenantMaxThreads) {
    const text = `the call is to have ${worldSize} ranks, tenant ${tenant} may have ${tenantMaxThreads} (tenantMaxThreads)`;
    throw new NeapError("BAD_REQUEST", text);
  }
}

/** Of the stream that the calls of its key or id are in. */
function keyTagOf({ key, functionName }: CallRequest): Tag | null {
  return key === undefined ? null : key.kind === "idempotency" ? keyTag(functionName, key.value) : callIdTag(key.value);
}

function traceOf({ traceOperations = false }: CallRequest): Trace {
  return new Trace(traceOperations ? [] : null);
}
