/** What all parts of the contract share. */
import { expect } from "vitest";
import { type LogBookId, NO_SEQNUM, type SeqNum, type Tag } from "../../../state/ids.ts";
import { type AppendResult, type LogBook, type NewRecord, RecordKind, type Shard } from "../../../state/logbook/index.ts";

/** What the suite needs from an implementation. */
export interface LogBookHarness {
  readonly shard: Shard;
  /** Ends the owner as a crash does and begins its next epoch: records that nobody waited for may be lost. */
  restart(): Promise<Shard>;
  /** Lets go of what nobody can read any more. */
  collect(): Promise<void>;
  /** Lets time pass at the owner. */
  advance(durationMs: number): void;
  stop(): Promise<void>;
}

/** The implementation that the running test has for itself. */
export interface OpenLogBook {
  harness: LogBookHarness;
  shard: Shard;
}

export const ALICE = "alice" as LogBookId;
export const BOB = "bob" as LogBookId;
export const x = "t/x" as Tag;
export const y = "t/y" as Tag;
export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
export const write = (text: string, ...tags: Tag[]): NewRecord => ({ kind: RecordKind.write, tags, data: bytes(text) });
export const texts = (records: readonly { data: Uint8Array }[]): string[] =>
  records.map((one) => Buffer.from(one.data).toString());

export function seqnumOf(result: AppendResult): SeqNum {
  expect(result.kind).toBe("appended");
  return result.kind === "appended" ? result.seqnum : NO_SEQNUM;
}

export const next = (seqnum: SeqNum): SeqNum => (seqnum + 1) as SeqNum;

/** All records of a stream, one `readNext` after the other. */
export async function walk(book: LogBook, tag: Tag, from: SeqNum, at?: SeqNum): Promise<string[]> {
  const found: string[] = [];
  for (let min = from; ; ) {
    const { record } = await book.readNext(tag, min, at);
    if (record === null) {
      return found;
    }
    found.push(...texts([record]));
    min = next(record.seqnum);
  }
}
