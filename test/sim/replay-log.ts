/** Guests' streams as the rules say they read: as of a position of the log, in which trims count by their own position (F36). */
import { RecordKind } from "../../state/logbook/index.ts";
import { decodeStep } from "../../state/logbook/step-record.ts";
import { decodeTrim } from "../../state/logbook/trim.ts";
import type { FinalLog } from "./final-log.ts";
import type { HistoryRecord } from "./log-history.ts";
import type { LogTail } from "./machine.ts";

export const guestStream = (name: string): string => `u/${name}`;

/** What is hidden from reads as of `at`. */
function goneUpTo(log: FinalLog, name: string, at: number): number {
  let gone = 0;
  for (const record of log.records) {
    if (record.kind === RecordKind.trim && record.seqnum <= at) {
      const { tag, upTo } = decodeTrim(record.data);
      if (tag === null || tag === guestStream(name)) {
        gone = Math.max(gone, Math.min(upTo, record.seqnum));
      }
    }
  }
  return gone;
}

/** As a ScriptedGuest puts it, and the record. */
export interface LogAnswer {
  readonly text: string;
  readonly record: HistoryRecord | undefined;
}

export function prevAt(log: FinalLog, name: string, max: number, at: number): LogAnswer {
  const gone = goneUpTo(log, name, at);
  const record = log.stream(guestStream(name)).findLast(({ seqnum }) => seqnum <= Math.min(max, at));
  return record === undefined && max > gone ? NONE : answer(record, gone);
}

export function nextAt(log: FinalLog, name: string, min: number, at: number): LogAnswer {
  const gone = goneUpTo(log, name, at);
  if (gone > 0 && min <= gone) {
    return answer(undefined, gone);
  }
  const record = log.stream(guestStream(name)).find(({ seqnum }) => seqnum >= min && seqnum <= at);
  return record === undefined ? NONE : answer(record, gone);
}

export function tailAt(log: FinalLog, name: string, at: number): LogTail {
  const records = log.stream(guestStream(name)).filter(({ seqnum }) => seqnum <= at);
  const last = records.at(-1)?.seqnum ?? 0;
  return { length: records.length, last, goneUpTo: goneUpTo(log, name, at), closed: false };
}

const NONE: LogAnswer = { text: "none", record: undefined };

function answer(record: HistoryRecord | undefined, gone: number): LogAnswer {
  return record === undefined || record.seqnum <= gone
    ? { text: `trimmed ${gone}`, record: undefined }
    : { text: `${record.seqnum} ${Buffer.from(decodeStep(record.data).payload)}`, record };
}
