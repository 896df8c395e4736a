/**
 * Takes calls in: mints instances, attaches duplicates to them, runs them, and tells what became of them.
 *
 * Owns: which instances run in this process. Does not own: their attempts (InstanceRun), the log.
 *
 * I1. Under one key or call id there is at most one instance, decided by the append of its INIT (F20, F30).
 * I2. A duplicate never runs: it waits for the DONE of the one that does.
 * I3. An accepted call is durable before it is acknowledged.
 */
import { NeapError } from "../../state/errors.ts";
import { type InstanceId, type LogBookId, MAX_SEQNUM, NO_SEQNUM, quote, type SeqNum, type Tag } from "../../state/ids.ts";
import { type HeldLock, type LogRecord, type NewRecord, RecordKind, type Shard } from "../../state/logbook/index.ts";
import { Drafts } from "../../state/objects/index.ts";
import { callIdTag, keyTag, STEP_TAG_PREFIX, stepTag } from "../../state/tags.ts";
import type { Artefact } from "../modules/artefact.ts";
import { callTarget, functionNameOf, TARGET_RULE } from "../modules/entry-points/index.ts";
import { environmentText } from "../modules/environment.ts";
import type { FunctionVersion } from "../modules/functions.ts";
import {
  type CallTaker,
  type MovedCall,
  type MoveReply,
  NO_OTHER_NODES,
  type NodeLoad,
  type OtherNodes,
  type OwnRanks,
  type RankAsk,
  type RankCall,
  type RankEnd,
  Spread,
  spreadRanks,
  type WorldAnswer,
  type WorldDesk,
} from "../offload/index.ts";
import { awaitDone } from "./await-done.ts";
import { cancelInstance } from "./cancellation.ts";
import { Chronicle } from "./chronicle.ts";
import {
  type InstanceOutcome,
  type InstanceRunner,
  type InstanceSpec,
  type InvocationContext,
  mintInstance,
  Trace,
  toNeapError,
} from "./context.ts";
import { answerRank, FarWorld } from "./far-world.ts";
import {
  decodeInit,
  encodeInit,
  encodeLaterInit,
  type InstanceInit,
  initOf,
  NO_SEED,
  type Payload,
  payloadBlobs,
} from "./instance-record.ts";
import { InstanceRun } from "./instance-run.ts";
import type { CallAnswer, CallGraphNode, CallRequest, CallStatus, Invocations, TimelineEntry } from "./invocation.ts";
import { LiveAttempts } from "./live-attempts.ts";
import { breakLock, heldLocks } from "./lock-administration.ts";
import { type RankPlaces, rankEnd } from "./mpi-operations.ts";
import { Parking } from "./parking.ts";
import { after } from "./pause.ts";
import { samePayload, toCallBytes, toPayload } from "./payloads.ts";
import { Recovery } from "./recovery.ts";
import { expiredOutcome } from "./stored-outcome.ts";
import { Worlds } from "./world.ts";

export interface InvocationService extends Invocations, InstanceRunner, CallTaker, OwnRanks {
  /** From now on ranks of worlds of this process run at other nodes, too, when these have less to do. */
  shareRanks(own: () => NodeLoad, nodes: OtherNodes): void;
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

/** How often a call is begun anew because the owner restarted before anything of it was durable. */
const CALL_TRIES_MAX = 5;
const CALL_ID_MAX = 2 ** 31 - 1;

class Service implements InvocationService {
  readonly #context: InvocationContext;
  readonly #attempts = new LiveAttempts();
  readonly #parking: Parking;
  readonly #worlds = new Worlds();
  #places: RankPlaces = async () => [];
  readonly #running = new Map<InstanceId, { readonly run: InstanceRun; readonly outcome: Promise<InstanceOutcome> }>();
  readonly #chronicle: Chronicle;
  readonly #recovery: Recovery;
  #draining = false;

  constructor(context: InvocationContext) {
    this.#context = context;
    this.#parking = new Parking(context.limits.parkedMaxBytes);
    this.#chronicle = new Chronicle(context);
    this.#recovery = new Recovery(context, this);
  }

  async call(request: CallRequest): Promise<CallAnswer> {
    if (this.#draining) {
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
      places: this.#places,
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

  isRunning(instance: InstanceId): boolean {
    return this.#running.has(instance);
  }

  stop(instance: InstanceId): void {
    this.#running.get(instance)?.run.stop();
  }

  beginLater(notBeforeMs: number): void {
    this.#recovery.lookAt(notBeforeMs);
  }

  async cancel(instance: InstanceId, tenant: LogBookId): Promise<CallStatus> {
    const shard = await this.#shard();
    const cancelled = await cancelInstance(shard, tenant, instance, (one) => this.stop(one));
    if (cancelled.kind === "unknown") {
      await shard.whenDurable(await shard.book(tenant).tail());
      throw new NeapError("UNKNOWN_INSTANCE", `no instance of ${tenant} has the id ${quote(instance)}`);
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
    const shard = await this.#shard();
    const unfinished = await shard.unfinished(tenant);
    await shard.whenDurable(await shard.book(tenant).tail());
    return unfinished;
  }

  resume(instance: InstanceId, tenant: LogBookId): Promise<void> {
    return this.#recovery.resume(instance, tenant);
  }

  async locks(tenant: LogBookId): Promise<readonly HeldLock[]> {
    return heldLocks(await this.#shard(), tenant);
  }

  async breakLock(name: string, tenant: LogBookId): Promise<void> {
    await breakLock(await this.#shard(), tenant, name);
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

  get name(): string {
    return this.#context.nodeName;
  }

  shareRanks(own: () => NodeLoad, nodes: OtherNodes): void {
    this.#places = async (count) => {
      const others = (await nodes()).flatMap(({ ranks, queue, workers }) =>
        ranks === undefined ? [] : [{ ranks, queue, workers }],
      );
      return spreadRanks(own(), others, count);
    };
  }

  async runRank({ tenant, instance, init: bytes }: RankCall, desk: WorldDesk): Promise<RankEnd> {
    if (this.#draining) {
      return { kind: "refused", reason: "the host is stopping" };
    }
    const shard = await this.#shard();
    const init = decodeInit(bytes);
    const root = init.root as InstanceId;
    await Promise.all([this.#context.functions.artefact(shard, init.module), shard.hold(tenant, instance)]);
    this.#worlds.attach(root, new FarWorld(desk, root));
    try {
      const { epoch } = shard;
      const trace = new Trace();
      return rankEnd(await this.run({ tenant, instance, init, epoch, begin: { kind: "logged" } }, trace), trace);
    } finally {
      this.#worlds.detach(root);
    }
  }

  ask(root: InstanceId, rank: number, what: RankAsk, seen: SeqNum, bytes: Uint8Array): Promise<WorldAnswer> {
    return answerRank(this.#worlds.own(root), rank, what, seen, bytes);
  }

  async take(call: MovedCall): Promise<MoveReply> {
    const { moves } = this.#context;
    const refusal = this.#draining ? "the host is stopping" : moves.refusal(call.cause);
    moves.count(call.cause, refusal === null ? "taken" : "turned away");
    if (refusal !== null) {
      return { kind: "refused", reason: refusal };
    }
    try {
      const trace = new Trace();
      const outcome = await this.#goOn(call, trace);
      if (moves.besideData) {
        trace.movedBytes = 0;
      }
      return toMoveReply(outcome, trace);
    } catch (error) {
      const { code, message } = toNeapError(error);
      return { kind: "refused", reason: `${code}: ${message}` };
    }
  }

  async #goOn(moved: MovedCall, trace: Trace): Promise<InstanceOutcome> {
    const shard = await this.#shard();
    const { tenant, instance, steps } = moved;
    const init = decodeInit(moved.init);
    await Promise.all([this.#context.functions.artefact(shard, init.module), shard.hold(tenant, instance)]);
    const { initialCursor } = steps.pins;
    const begin: InstanceSpec["begin"] =
      steps.origin === "unlogged" ? { kind: "unlogged", initialCursor, dependency: steps.dependency } : { kind: "logged" };
    return this.run({ tenant, instance, init, epoch: shard.epoch, begin, moved }, trace);
  }

  evacuate(count: number, takers: readonly CallTaker[]): number {
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

  async #shard(): Promise<Shard> {
    const { source, limits } = this.#context;
    return source.current() ?? (await source.available(limits.ownerTimeoutMs));
  }

  async #call(request: CallRequest): Promise<CallAnswer> {
    const { functions, random, source, tenancy } = this.#context;
    const shard = source.current() ?? (await this.#shard());
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
      return this.#answer(shard, instance, await this.run(spec, trace), trace);
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
      this.beginLater(init.notBeforeMs);
      return { kind: "accepted", instance, callId: init.callId };
    }
    const trace = traceOf(request);
    const { epoch } = shard;
    const outcome = this.run({ tenant: request.tenant, instance, init, epoch, begin: { kind: "logged" } }, trace);
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
    const running = this.#running.get(instance)?.outcome;
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
        return { kind: "pending", instance, parked: outcome.parked, reason: outcome.reason };
      case "failed":
        return { kind: "failed", instance, code: outcome.code, message: outcome.message };
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

function toMoveReply(outcome: InstanceOutcome, { executedAt, moves, movedBytes, readBytes, cpuMs }: Trace): MoveReply {
  const trace = { executedAt: [...executedAt], moves, movedBytes, readBytes, cpuMs };
  switch (outcome.kind) {
    case "completed": {
      const { done, output, seqnum } = outcome;
      return seqnum !== NO_SEQNUM || output.kind === "blob"
        ? { kind: "logged", trace }
        : { kind: "ended", returnValue: done.returnValue, trap: done.trap, output: output.bytes, trace };
    }
    case "pending":
      return { kind: "lost", reason: outcome.reason };
    case "failed":
      return { kind: "refused", reason: `${outcome.code}: ${outcome.message}` };
  }
}

/** Of the stream that the calls of its key or id are in. */
function keyTagOf({ key, functionName }: CallRequest): Tag | null {
  return key === undefined ? null : key.kind === "idempotency" ? keyTag(functionName, key.value) : callIdTag(key.value);
}

function traceOf({ traceOperations = false }: CallRequest): Trace {
  return new Trace(traceOperations ? [] : null);
}
