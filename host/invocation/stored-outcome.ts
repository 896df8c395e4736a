/** Outcomes as the log tells them. */
import type { InstanceId } from "../../state/ids.ts";
import type { LogRecord } from "../../state/logbook/index.ts";
import type { InstanceOutcome } from "./context.ts";
import { doneOf } from "./instance-record.ts";

/** The outcome that a DONE record holds. */
export function completedOutcome(record: LogRecord): InstanceOutcome {
  const done = doneOf(record);
  const { seqnum, timeMs } = record;
  return { kind: "completed", done, output: done.output, seqnum, timeMs, dependency: seqnum };
}

/** The step stream is collected; something still leads to it. */
export function expiredOutcome(instance: InstanceId): InstanceOutcome {
  return { kind: "failed", code: "RESULT_EXPIRED", message: `instance ${instance} is finished and its result is no longer kept` };
}
