/** Waits for the DONE of an instance that somebody else runs, here or on another node. */
import type { InstanceId, LogBookId } from "../../state/ids.ts";
import { MAX_SEQNUM } from "../../state/ids.ts";
import { endsInstance } from "../../state/logbook/index.ts";
import { stepTag } from "../../state/tags.ts";
import { parkReason } from "./attempt-notes.ts";
import { type InstanceOutcome, type InvocationContext, isSessionOver, shardOf } from "./context.ts";
import { pause } from "./pause.ts";
import { completedOutcome, expiredOutcome } from "./stored-outcome.ts";

const POLL_FIRST_MS = 2;
const POLL_MAX_MS = 100;

/**
 * The result once it is durable; `pending` when there is none after `timeoutMs`, or the instance is parked. Looks again and again,
 * as the one who runs the instance may be another node, or nobody until the recovery scanner takes it up.
 */
export async function awaitDone(
  context: InvocationContext,
  tenant: LogBookId,
  instance: InstanceId,
  timeoutMs: number,
): Promise<InstanceOutcome> {
  const { clock } = context;
  const giveUpMs = clock.monotonic() + timeoutMs;
  for (let waitMs = POLL_FIRST_MS; clock.monotonic() < giveUpMs; waitMs = Math.min(waitMs * 2, POLL_MAX_MS)) {
    try {
      const shard = await shardOf(context);
      const { record, tail } = await shard.book(tenant).readPrev(stepTag(instance), MAX_SEQNUM);
      if (record === null) {
        await shard.whenDurable(tail);
        return expiredOutcome(instance);
      }
      if (endsInstance(record.kind)) {
        await shard.whenDurable(record.seqnum);
        return completedOutcome(record);
      }
      const reason = await parkReason(shard, tenant, instance);
      if (reason !== null) {
        return { kind: "pending", parked: true, reason };
      }
    } catch (error) {
      if (!isSessionOver(error)) {
        throw error;
      }
    }
    await pause(context, waitMs);
  }
  return { kind: "pending", parked: false, reason: `no result after ${timeoutMs} ms; the call goes on` };
}
