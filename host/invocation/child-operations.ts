/** A guest's calls of other functions: start, await, select, cancel. */
import { crc32 } from "node:zlib";
import { NeapError } from "../../state/errors.ts";
import { type InstanceId, type LogBookId, NO_SEQNUM } from "../../state/ids.ts";
import { endsInstance, RecordKind, type Shard } from "../../state/logbook/index.ts";
import { type Fingerprint, fingerprint } from "../../state/logbook/step-record.ts";
import type { Drafts } from "../../state/objects/index.ts";
import type { StepStream } from "../../state/protocols/index.ts";
import { stepTag } from "../../state/tags.ts";
import { blobsOf, decodeEffects, encodeInherited, type InheritedTransaction, type Transactions } from "../../state/txn/index.ts";
import {
  callAwaitArgs,
  callAwaitReply,
  callCancelArgs,
  callOutputArgs,
  callSelectArgs,
  callStartArgs,
  callStartAtArgs,
  GuestError,
  Operation,
  OUTPUT_SLICE_BYTES,
} from "../abi/operations.ts";
import type { MovedChild, RankEnd, RankHost } from "../offload/index.ts";
import type { OperationReply } from "../sandbox/sandbox.ts";
import type { AttemptWait } from "./attempt-wait.ts";
import type { Callees, Place } from "./callee.ts";
import { cancelInstance, childOf } from "./cancellation.ts";
import {
  type InstanceOutcome,
  type InstanceRunner,
  type InstanceSpec,
  type InvocationContext,
  mintInstance,
  type Trace,
  toNeapError,
} from "./context.ts";
import { childPins, encodeInit, type InstanceInit, initOf, type Payload, payloadBlobs } from "./instance-record.ts";
import { rankEnd } from "./mpi-operations.ts";
import { plainReply } from "./object-operations.ts";
import { fromPayload, payloadSize, payloadSlice, toPayload } from "./payloads.ts";
import { type Contender, selectFirst } from "./select-step.ts";
import { completedOutcome } from "./stored-outcome.ts";

type MakeInit = (place: Place) => Promise<InstanceInit>;

/** A started call: its outcome to come, or the code its await answers. */
export type Child =
  | {
      readonly kind: "running";
      readonly instance: InstanceId;
      readonly bound: boolean;
      readonly outcome: Promise<InstanceOutcome>;
      /** The transaction that it was called in and was not joined to yet. */
      transaction: InheritedTransaction | null;
    }
  | { readonly kind: "refused"; readonly code: number };

/**
 * Owns: the calls this attempt has started. Does not own: the calls' runs, which go on when the attempt ends.
 *
 * C1. The Invoke record is the child's INIT (F16): a child exists exactly if its caller's step does.
 * C2. A child's result reaches the guest only from the record that ended it, and moves the caller's cursor to it (F17). So an await
 *     needs no record of the caller's own: a replay finds the same end.
 * C3. Which of several children ended first depends on luck, so it is a step.
 * C4. A cancel changes another stream, so it is a step first: an attempt that may not go on cancels nothing.
 */
export class ChildOperations {
  readonly #context: InvocationContext;
  readonly #runner: InstanceRunner;
  readonly #shard: Shard;
  readonly #drafts: Drafts;
  readonly #tenant: LogBookId;
  readonly #steps: StepStream;
  readonly #transactions: Transactions;
  readonly #caller: InstanceInit;
  readonly #trace: Trace;
  readonly #callees: Callees;
  readonly #wait: AttemptWait;
  readonly #children: Child[] = [];
  /** The other ranks of a world whose rank 0 the attempt is. */
  readonly #ranks: InstanceId[] = [];

  constructor(options: {
    context: InvocationContext;
    runner: InstanceRunner;
    shard: Shard;
    drafts: Drafts;
    tenant: LogBookId;
    steps: StepStream;
    transactions: Transactions;
    caller: InstanceInit;
    trace: Trace;
    callees: Callees;
    wait: AttemptWait;
    /** That the attempt has started at another node. */
    started: readonly MovedChild[];
  }) {
    this.#context = options.context;
    this.#runner = options.runner;
    this.#shard = options.shard;
    this.#drafts = options.drafts;
    this.#tenant = options.tenant;
    this.#steps = options.steps;
    this.#transactions = options.transactions;
    this.#caller = options.caller;
    this.#trace = options.trace;
    this.#callees = options.callees;
    this.#wait = options.wait;
    this.#children.push(...options.started.map((child) => this.#startedElsewhere(child)));
  }

  /** What has been started, by handle. */
  get started(): readonly MovedChild[] {
    return this.#children.map((child) =>
      child.kind === "refused" ? { code: child.code } : { instance: child.instance, bound: child.bound },
    );
  }

  /** Started calls that are cancelled when the caller ends without them (F40). */
  get bound(): readonly InstanceId[] {
    const bound = this.#children.flatMap((child) => (child.kind === "running" && child.bound ? [child.instance] : []));
    return [...bound, ...this.#ranks];
  }

  /** @returns null when `operation` is not one of children */
  perform(operation: number, args: Uint8Array): Promise<OperationReply> | null {
    switch (operation) {
      case Operation.callStart:
        return this.#start(args, false);
      case Operation.callStartBound:
        return this.#start(args, true);
      case Operation.callStartAt:
        return this.#startAt(args);
      case Operation.callAwait:
        return this.#await(args);
      case Operation.callOutput:
        return this.#output(args);
      case Operation.callSelect:
        return this.#select(args);
      case Operation.callCancel:
        return this.#cancel(args);
      default:
        return null;
    }
  }

  async #start(args: Uint8Array, bound: boolean): Promise<OperationReply> {
    const { functionName, input } = callStartArgs.decode(args);
    if (this.#isTooDeep()) {
      return plainReply(0);
    }
    const version = await this.#callees.resolve(functionName);
    if (version === null) {
      this.#children.push({ kind: "refused", code: GuestError.unknownFunction });
      return plainReply(0);
    }
    return this.#begin(bound ? `bound ${version.name}` : version.name, input, bound, (place) =>
      this.#callees.init(version, input, place),
    );
  }

  async #startAt(args: Uint8Array): Promise<OperationReply> {
    const { tableIndex, input } = callStartAtArgs.decode(args);
    return this.#isTooDeep()
      ? plainReply(0)
      : this.#begin(`at ${tableIndex}`, input, false, (place) => this.#callees.initAt(tableIndex, input, place));
  }

  /** Whether the caller may call nobody; the call it asks for is refused then. */
  #isTooDeep(): boolean {
    const isTooDeep = this.#caller.depth >= this.#caller.callMaxDepth;
    if (isTooDeep) {
      this.#children.push({ kind: "refused", code: GuestError.tooDeep });
    }
    return isTooDeep;
  }

  /** @param callee  what is called, for the fingerprint */
  async #begin(callee: string, input: Uint8Array, bound: boolean, init: MakeInit): Promise<OperationReply> {
    this.#callees.checkMayBegin();
    const transaction = this.#transactions.give();
    const spec = await this.#invoke(fingerprint(callee, crc32(input)), bound, transaction, init);
    this.#context.faults.at("dispatch:before");
    const outcome = this.#runner.run(spec, this.#trace.called());
    this.#context.faults.at("dispatch:after");
    this.#children.push({ kind: "running", instance: spec.instance, bound, outcome, transaction });
    return plainReply(0);
  }

  /** @throws OVERLOADED, WORLD_LOST  no world of so many ranks beside this one may begin */
  checkMayStartRanks(count: number): void {
    if (this.#caller.depth >= this.#caller.callMaxDepth) {
      throw new NeapError("WORLD_LOST", `the other ranks are called functions, and callMaxDepth is ${this.#caller.callMaxDepth}`);
    }
    this.#callees.checkMayBegin(count);
  }

  /**
   * Starts another rank of the caller's world, bound to it.
   * @param host  where it runs, unless it is refused there; null: here
   * @returns what comes of it; null when an attempt before this one has started it
   */
  async startRank(rank: number, host: RankHost | null): Promise<{ readonly end: Promise<RankEnd> } | null> {
    const { worldSize } = this.#caller;
    const init: MakeInit = (place) => this.#callees.initRank(rank, place);
    const spec = await this.#invoke(fingerprint(`rank ${rank} of ${worldSize}`, 0), true, null, init);
    this.#ranks.push(spec.instance);
    if (spec.begin.kind === "logged") {
      return null;
    }
    return { end: host === null ? this.#runRank(spec) : this.#runRankAt(host, spec) };
  }

  async #runRank(spec: InstanceSpec): Promise<RankEnd> {
    const trace = this.#trace.called();
    return rankEnd(await this.#runner.run(spec, trace), trace);
  }

  async #runRankAt(host: RankHost, spec: InstanceSpec): Promise<RankEnd> {
    const { tenant, instance, init } = spec;
    try {
      const end = await host.runRank({ tenant, instance, init: encodeInit(init) });
      if (end.kind === "refused") {
        return await this.#runRank(spec);
      }
      this.#trace.executedAt.add(host.name);
      this.#trace.computed(end.cpuMs);
      return end;
    } catch (error) {
      const failure = `was lost with its node: ${toNeapError(error).message}`;
      return { kind: "ended", failure, dependency: NO_SEQNUM, cpuMs: 0 };
    }
  }

  #startedElsewhere(child: MovedChild): Child {
    if ("code" in child) {
      return { kind: "refused", code: child.code };
    }
    const outcome = this.#follow(child.instance);
    // Nobody may ever ask.
    outcome.catch(() => {});
    return { kind: "running", ...child, outcome, transaction: null };
  }

  /** The outcome of a call that may run at another node as well: both are peers. */
  async #follow(instance: InstanceId): Promise<InstanceOutcome> {
    const { records } = await this.#shard.book(this.#tenant).readStream(stepTag(instance), 0);
    const [first, last] = [records[0], records.at(-1)];
    if (first === undefined || last === undefined) {
      throw new NeapError("INTERNAL", `nothing of the called instance ${instance} is in the log`);
    }
    const { epoch } = this.#shard;
    return endsInstance(last.kind)
      ? completedOutcome(last)
      : this.#runner.run(
          { tenant: this.#tenant, instance, init: initOf(first), epoch, begin: { kind: "logged" } },
          this.#trace.called(),
        );
  }

  async #invoke(
    called: Fingerprint,
    bound: boolean,
    inherited: InheritedTransaction | null,
    makeInit: MakeInit,
  ): Promise<InstanceSpec> {
    const child = mintInstance(this.#shard, this.#context.random);
    const depth = this.#caller.depth + 1;
    const root = this.#caller.root === "" ? this.#steps.instance : this.#caller.root;
    const transaction = inherited === null ? null : await toPayload(this.#drafts, encodeInherited(inherited));
    const modeCursor = this.#caller.modeCursor === NO_SEQNUM ? this.#steps.pins.initialCursor : this.#caller.modeCursor;
    const init = await makeInit({ bound, notBeforeMs: 0, depth, root, transaction, modeCursor });
    const { record, theirs } = await this.#steps.step({
      kind: RecordKind.invoke,
      fingerprint: called,
      payload: encodeInit(init),
      tags: [stepTag(child)],
      when: [{ tag: stepTag(child), length: 0 }],
      blobs: [...payloadBlobs(init.input), ...payloadBlobs(init.transaction), ...blobsOf(inherited?.writes)],
    });
    const { epoch } = this.#shard;
    if (theirs === null) {
      return { tenant: this.#tenant, instance: child, init, epoch, begin: { kind: "child", pins: childPins(record, init) } };
    }
    return { tenant: this.#tenant, instance: childOf(theirs), init: initOf(theirs), epoch, begin: { kind: "logged" } };
  }

  async #await(args: Uint8Array): Promise<OperationReply> {
    const child = this.#children[callAwaitArgs.decode(args).handle];
    if (child === undefined) {
      return plainReply(GuestError.invalid);
    }
    if (child.kind === "refused") {
      return plainReply(child.code);
    }
    const outcome = ended(await this.#wait.for(child.outcome));
    this.#steps.consulted(outcome.dependency);
    this.#steps.join(outcome.seqnum);
    if (child.transaction !== null) {
      const effects = outcome.done.transaction;
      const decoded = effects === null ? null : decodeEffects(await fromPayload(this.#shard.blobs, effects));
      this.#transactions.join(child.transaction, decoded);
      child.transaction = null;
    }
    const told = toldOf(outcome);
    const slice = await payloadSlice(this.#shard.blobs, told, 0, OUTPUT_SLICE_BYTES);
    const bytes = callAwaitReply.encode(outcome.done.returnValue, payloadSize(told), slice);
    return { code: 0, timeMs: outcome.timeMs, bytes };
  }

  /** Of a call that was awaited: the record that ended it holds its output for as long as the caller's stream is there. */
  async #output(args: Uint8Array): Promise<OperationReply> {
    const { handle, offset } = callOutputArgs.decode(args);
    const child = this.#children[handle];
    if (child?.kind !== "running") {
      return plainReply(GuestError.invalid);
    }
    const told = toldOf(ended(await child.outcome));
    return { code: 0, timeMs: 0, bytes: await payloadSlice(this.#shard.blobs, told, offset, OUTPUT_SLICE_BYTES) };
  }

  async #select(args: Uint8Array): Promise<OperationReply> {
    const { handles } = callSelectArgs.decode(args);
    const contenders: Contender[] = [];
    for (const handle of handles) {
      const child = this.#children[handle];
      if (child === undefined) {
        return plainReply(GuestError.invalid);
      }
      contenders.push({ handle, ended: child.kind === "refused" ? null : child.outcome.then(ended) });
    }
    return plainReply(await selectFirst(contenders, this.#steps, this.#wait));
  }

  /** 1: cancelled, now or before. 0: it had ended, and its result stands. */
  async #cancel(args: Uint8Array): Promise<OperationReply> {
    const { handle } = callCancelArgs.decode(args);
    const child = this.#children[handle];
    if (child === undefined) {
      return plainReply(GuestError.invalid);
    }
    if (child.kind === "refused") {
      return plainReply(0);
    }
    await this.#steps.step({
      kind: RecordKind.cancelCall,
      fingerprint: fingerprint("", handle),
      payload: new Uint8Array(0),
    });
    const cancelled = await cancelInstance(this.#shard, this.#tenant, child.instance, (one) => this.#runner.stop(one));
    if (cancelled.kind === "unknown") {
      throw new NeapError("INTERNAL", `nothing of the called instance ${child.instance} is in the log`);
    }
    const { kind, seqnum, timeMs } = cancelled.end;
    this.#steps.join(seqnum);
    return plainReply(kind === RecordKind.cancel ? 1 : 0, timeMs);
  }
}

/** What the caller gets of a call: its output, or why there is none. */
function toldOf({ done, output }: Extract<InstanceOutcome, { kind: "completed" }>): Payload {
  return done.trap === "" ? output : { kind: "inline", bytes: Buffer.from(done.trap) };
}

/** @throws OUTCOME_PENDING  the call could not be brought to its end here */
function ended(outcome: InstanceOutcome): Extract<InstanceOutcome, { kind: "completed" }> {
  if (outcome.kind !== "completed") {
    const reason = outcome.kind === "pending" ? outcome.reason : outcome.message;
    throw new NeapError("OUTCOME_PENDING", `a called function could not be finished here: ${reason}`);
  }
  return outcome;
}
