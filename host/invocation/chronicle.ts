/** What the log tells about calls: their status and the tree of calls they made. Every answer waits until it is durable (F8). */
import { hasCode } from "../../state/errors.ts";
import { type InstanceId, type LogBookId, MAX_SEQNUM, NO_SEQNUM, type SeqNum, type Tag } from "../../state/ids.ts";
import { endsInstance, kindName, type LogRecord, RecordKind, type Shard, startsCall } from "../../state/logbook/index.ts";
import { attemptTag, callIdTag, STEP_TAG_PREFIX, stepTag } from "../../state/tags.ts";
import { parkReason } from "./attempt-notes.ts";
import { childOf } from "./cancellation.ts";
import { type InvocationContext, shardOf } from "./context.ts";
import { doneOf, type InstanceDone, initOf } from "./instance-record.ts";
import type { CallDescription, CallGraphNode, CallStatus, TimelineEntry } from "./invocation.ts";
import { toCallBytes } from "./payloads.ts";

/** The records of an instance, read once. */
interface Story {
  readonly description: CallDescription;
  readonly steps: readonly LogRecord[];
  readonly end: { readonly done: InstanceDone; readonly isCancelled: boolean } | null;
}

export class Chronicle {
  readonly #context: InvocationContext;

  constructor(context: InvocationContext) {
    this.#context = context;
  }

  async status(callId: number, tenant: LogBookId | undefined): Promise<CallStatus> {
    const shard = await shardOf(this.#context);
    const found = await this.#find(shard, callId, tenant);
    return found === null ? { kind: "unknown" } : this.#statusOf(shard, found.tenant, found.instance);
  }

  async statusOfInstance(instance: InstanceId, tenant: LogBookId): Promise<CallStatus> {
    return this.#statusOf(await shardOf(this.#context), tenant, instance);
  }

  async timeline(instance: InstanceId, tenant: LogBookId): Promise<readonly TimelineEntry[]> {
    const shard = await shardOf(this.#context);
    const steps = await this.#records(shard, tenant, stepTag(instance));
    const notes = await this.#records(shard, tenant, attemptTag(instance));
    const last = steps.at(-1)?.seqnum ?? (await shard.book(tenant).tail());
    await shard.whenDurable(Math.max(last, notes.at(-1)?.seqnum ?? NO_SEQNUM) as SeqNum);
    return [
      ...steps.map((record, position) => timelineEntry(record, position)),
      ...notes.map((record) => timelineEntry(record, null)),
    ].sort((a, b) => a.seqnum - b.seqnum);
  }

  async graph(callId: number, tenant: LogBookId | undefined): Promise<CallGraphNode | null> {
    const shard = await shardOf(this.#context);
    const found = await this.#find(shard, callId, tenant);
    return found === null ? null : this.#node(shard, found.tenant, found.instance);
  }

  /** The instance of a call id; without a tenant only if one tenant alone uses the id (H26). */
  async #find(
    shard: Shard,
    callId: number,
    tenant: LogBookId | undefined,
  ): Promise<{ tenant: LogBookId; instance: InstanceId } | null> {
    const books = tenant === undefined ? await shard.books() : [tenant];
    const found: { tenant: LogBookId; instance: InstanceId }[] = [];
    let tail: SeqNum = NO_SEQNUM;
    for (const book of books) {
      const read = await shard.book(book).readPrev(callIdTag(callId), MAX_SEQNUM);
      const { record } = read;
      tail = read.tail;
      if (record !== null) {
        found.push({ tenant: book, instance: record.tags[0]?.slice(STEP_TAG_PREFIX.length) as InstanceId });
      }
    }
    const [only] = found;
    if (only === undefined || found.length > 1) {
      // The id may be unknown because a collection has let go of it.
      await shard.whenDurable(tail);
      return null;
    }
    return only;
  }

  async #statusOf(shard: Shard, tenant: LogBookId, instance: InstanceId): Promise<CallStatus> {
    const story = await this.#story(shard, tenant, instance);
    if (story === null) {
      return { kind: "unknown" };
    }
    const call = story.description;
    if (story.end !== null) {
      const { done, isCancelled } = story.end;
      const { returnValue, trap, output } = done;
      const result = {
        returnValue,
        output: toCallBytes(shard.blobs, output),
        ...(trap !== "" && { trap }),
        ...(isCancelled && { cancelled: true as const }),
      };
      return { kind: "completed", call, result };
    }
    const reason = await parkReason(shard, tenant, instance);
    if (reason !== null) {
      return { kind: "parked", call, reason };
    }
    const { notBeforeMs } = call;
    const waits = notBeforeMs !== null && story.steps.length === 0 && this.#context.clock.now() < notBeforeMs;
    return waits ? { kind: "delayed", call, notBeforeMs } : { kind: "running", call };
  }

  async #node(shard: Shard, tenant: LogBookId, instance: InstanceId): Promise<CallGraphNode | null> {
    const story = await this.#story(shard, tenant, instance);
    if (story === null) {
      return null;
    }
    const chained: CallGraphNode[] = [];
    for (const step of story.steps) {
      const node = startsCall(step.kind) ? await this.#node(shard, tenant, childOf(step)) : null;
      if (node !== null) {
        chained.push(node);
      }
    }
    const returnValue = story.end?.done.returnValue ?? null;
    return { call: story.description, returnValue, chained };
  }

  async #story(shard: Shard, tenant: LogBookId, instance: InstanceId): Promise<Story | null> {
    const records = await this.#records(shard, tenant, stepTag(instance));
    const first = records[0];
    if (first === undefined) {
      await shard.whenDurable(await shard.book(tenant).tail());
      return null;
    }
    const last = records.at(-1) ?? first;
    await shard.whenDurable(last.seqnum);
    const init = initOf(first);
    const end = endsInstance(last.kind) ? { done: doneOf(last), isCancelled: last.kind === RecordKind.cancel } : null;
    const description: CallDescription = {
      instance,
      tenant,
      functionName: init.functionName,
      tableIndex: init.tableIndex,
      callId: init.callId === 0 ? null : init.callId,
      input: toCallBytes(shard.blobs, init.input),
      startedMs: init.startedMs,
      notBeforeMs: init.notBeforeMs === 0 ? null : init.notBeforeMs,
      finishedMs: end === null ? null : last.timeMs,
      cpuMs: end?.done.cpuMs ?? null,
    };
    return { description, steps: records.slice(1), end };
  }

  async #records(shard: Shard, tenant: LogBookId, tag: Tag): Promise<readonly LogRecord[]> {
    try {
      return (await shard.book(tenant).readStream(tag, 0)).records;
    } catch (error) {
      if (hasCode(error, "TRIMMED")) {
        return [];
      }
      throw error;
    }
  }
}

function timelineEntry({ kind, seqnum, timeMs, tags }: LogRecord, position: number | null): TimelineEntry {
  return { position, kind: kindName(kind), seqnum, timeMs, tags: tags.slice(1) };
}
