/**
 * How a run ends its instance: the DONE of a result, or a parked root.
 *
 * Owns: nothing that lasts. Does not own: which end it is (InstanceRun, Retries).
 */
import type { NeapError } from "../../state/errors.ts";
import { type InstanceId, NO_SEQNUM } from "../../state/ids.ts";
import type { Shard } from "../../state/logbook/index.ts";
import { Drafts } from "../../state/objects/index.ts";
import { Fenced, type StepStream } from "../../state/protocols/index.ts";
import { blobsOf, encodeEffects, type TransactionEffects } from "../../state/txn/index.ts";
import { park } from "./attempt-notes.ts";
import { cancelInstance, cancelLeft } from "./cancellation.ts";
import {
  type InstanceOutcome,
  type InstanceRunner,
  type InstanceSpec,
  type InvocationContext,
  runCpuMs,
  type Trace,
} from "./context.ts";
import type { InstanceHistory } from "./instance-history.ts";
import { encodeDone, type InstanceDone, type Payload, payloadBlobs } from "./instance-record.ts";
import { toPayload } from "./payloads.ts";
import type { Refusal, Retries, Verdict } from "./retries.ts";
import type { RunRegions } from "./run-regions.ts";
import { completedOutcome } from "./stored-outcome.ts";

/** What the guest did. */
export interface Result {
  readonly returnValue: number;
  readonly trap: string;
  readonly output: Uint8Array;
  /** In the caller's transaction. */
  readonly effects: TransactionEffects | null;
}

interface EndParts {
  readonly context: InvocationContext;
  readonly runner: InstanceRunner;
  readonly spec: InstanceSpec;
  readonly trace: Trace;
}

const EMPTY = new Uint8Array(0);
/** Of an output that is on disk: a longer one is not held in memory for a client that takes it slowly, a shorter one not read back. */
const KEPT_MAX_BYTES = 64 * 1024;

export class InstanceEnd {
  readonly #context: InvocationContext;
  readonly #runner: InstanceRunner;
  readonly #spec: InstanceSpec;
  readonly #trace: Trace;
  readonly #history: InstanceHistory;
  readonly #retries: Retries;
  readonly #runRegions: RunRegions;

  constructor({ context, runner, spec, trace }: EndParts, history: InstanceHistory, retries: Retries, runRegions: RunRegions) {
    this.#context = context;
    this.#runner = runner;
    this.#spec = spec;
    this.#trace = trace;
    this.#history = history;
    this.#retries = retries;
    this.#runRegions = runRegions;
  }

  /** With what the guest did: logged if anything is. `bound`: children that end with it (F40). */
  async completed(shard: Shard, steps: StepStream, bound: readonly InstanceId[], result: Result): Promise<Verdict> {
    if (steps.logged) {
      return this.#logDone(shard, steps, bound, result);
    }
    if (this.#runRegions.used) {
      // What it has seen there, others may have computed from what is not durable yet (F23).
      steps.consulted(await steps.book.tail());
    }
    const { returnValue, trap, output } = result;
    const made: Payload = { kind: "inline", bytes: output };
    const done: InstanceDone = { returnValue, trap, output: made, transaction: null, cpuMs: this.#cpuMs };
    const { dependency } = steps;
    return this.committed(shard, { kind: "completed", done, output: made, seqnum: NO_SEQNUM, timeMs: 0, dependency });
  }

  /**
   * Output commit: nothing of the outcome leaves before the journal is durable up to all it rests on (F8). A root's outcome waits
   * here, a child's reaches only its caller.
   */
  async committed(shard: Shard, outcome: InstanceOutcome): Promise<Verdict> {
    if (outcome.kind === "completed" && this.#spec.init.depth === 0) {
      await shard.whenDurable(outcome.dependency);
    }
    return outcome;
  }

  /** With what the function may not do, as its own failure. */
  async refuse(shard: Shard, steps: StepStream, { error: { code, message }, effects }: Refusal): Promise<Verdict> {
    steps.consulted(await steps.book.tail());
    return this.#endWith(shard, steps, `${code}: ${message}`, effects);
  }

  /** A child gets a DONE of its own, so that its caller can go on; a root is parked (F17). */
  async giveUp(shard: Shard, steps: StepStream, { code, message }: NeapError): Promise<Verdict> {
    const { tenant, instance, init } = this.#spec;
    if (!steps.logged) {
      return { kind: "failed", code, message };
    }
    if (init.depth > 0) {
      return this.#endWith(shard, steps, `ended by the host: ${message}`, null);
    }
    await this.#history.pin(shard);
    await park(shard, tenant, instance, message);
    this.#context.log.error(`parked: ${message}`, { tenant, instance });
    return { kind: "pending", parked: true, reason: message };
  }

  /** The instance was ended by others, or by the host: its bound children may be left (F40). */
  async cancelLeft(shard: Shard): Promise<void> {
    const { tenant, instance } = this.#spec;
    await cancelLeft(shard, tenant, instance, (one) => this.#runner.stop(one));
  }

  async #logDone(shard: Shard, steps: StepStream, bound: readonly InstanceId[], result: Result): Promise<Verdict> {
    const { returnValue, trap, output, effects } = result;
    const drafts = new Drafts(shard.blobs);
    try {
      const transaction = effects === null ? null : await toPayload(drafts, encodeEffects(effects));
      const stored = await toPayload(drafts, output);
      const done: InstanceDone = { returnValue, trap, output: stored, transaction, cpuMs: this.#cpuMs };
      const blobs = [...payloadBlobs(done.output), ...payloadBlobs(transaction), ...blobsOf(effects?.writes)];
      const { record, theirs } = await steps.done(encodeDone(done), blobs);
      // After DONE, which says that this attempt's end is the instance's; before the answer, so that nothing changes once it is out.
      for (const child of bound) {
        await cancelInstance(shard, this.#spec.tenant, child, (one) => this.#runner.stop(one));
      }
      if (theirs !== null) {
        // A peer was faster, and may have seen something else: under unsafe, or in memory regions.
        return await this.committed(shard, completedOutcome(theirs));
      }
      const { seqnum, timeMs } = record;
      return await this.committed(shard, {
        kind: "completed",
        done,
        output: output.byteLength <= KEPT_MAX_BYTES ? { kind: "inline", bytes: output } : stored,
        seqnum,
        timeMs,
        dependency: steps.dependency,
      });
    } catch (error) {
      if (error instanceof Fenced) {
        return this.#retries.afterFence(error);
      }
      throw error;
    } finally {
      drafts.end();
    }
  }

  /** The instance ends where its log does, with no attempt under way that knows its children (F40). */
  async #endWith(shard: Shard, steps: StepStream, trap: string, effects: TransactionEffects | null): Promise<Verdict> {
    steps.skipToEnd();
    const verdict = await this.completed(shard, steps, [], { returnValue: 1, trap, output: EMPTY, effects });
    if (steps.logged) {
      await this.cancelLeft(shard);
    }
    return verdict;
  }

  get #cpuMs(): number {
    return runCpuMs(this.#spec, this.#trace);
  }
}
