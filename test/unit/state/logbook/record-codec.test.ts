import fc from "fast-check";
import { expect, test } from "vitest";
import type { BlobName, LogBookId, SeqNum, Tag } from "../../../../state/ids.ts";
import type { Condition, NewRecord } from "../../../../state/logbook/index.ts";
import { RecordKind } from "../../../../state/logbook/index.ts";
import { Frame, readFrame, type StoredRecord } from "../../../../state/logbook/record-codec.ts";

const tagArbitrary = fc.string({ unit: "grapheme", minLength: 1, maxLength: 60 }).map((one) => one as Tag);
const seqnumArbitrary = fc.maxSafeNat().map((one) => one as SeqNum);
const conditionArbitrary: fc.Arbitrary<Condition> = fc.oneof(
  fc.record({ tag: tagArbitrary, length: fc.nat() }),
  fc.record({ tag: tagArbitrary, last: seqnumArbitrary }),
);
const entryArbitrary = fc.record({
  book: fc.constantFrom("alice" as LogBookId, "bob" as LogBookId, "" as const),
  timeMs: fc.maxSafeNat(),
  kind: fc.constantFrom(...Object.values(RecordKind)),
  tags: fc.uniqueArray(tagArbitrary, { maxLength: 5 }),
  data: fc.uint8Array({ maxLength: 100 }),
  initialCursor: fc.option(seqnumArbitrary, { nil: undefined }),
  blobs: fc.array(
    fc.record({ name: fc.stringMatching(/^[0-9a-f]{32,64}$/).map((one) => one as BlobName), sizeBytes: fc.maxSafeNat() }),
    { maxLength: 3 },
  ),
  when: fc.array(conditionArbitrary, { maxLength: 3 }),
  /** Whether conditions name the record's own tags. */
  own: fc.boolean(),
});

function newRecord({
  kind,
  tags,
  data,
  blobs,
  initialCursor,
}: {
  kind: RecordKind;
  tags: Tag[];
  data: Uint8Array;
  blobs: NewRecord["blobs"] & {};
  initialCursor: SeqNum | undefined;
}): NewRecord {
  return initialCursor === undefined ? { kind, tags, data, blobs } : { kind, tags, data, blobs, initialCursor };
}

test("a frame gives back every record as it was added, whatever is in it", () => {
  fc.assert(
    fc.property(
      fc.array(entryArbitrary, { minLength: 1, maxLength: 10 }),
      fc.integer({ min: 10, max: 500 }),
      (entries, capacityBytes) => {
        const frame = new Frame(7 as SeqNum, capacityBytes);
        const expected = entries.map((entry, i) => {
          const when = entry.own && entry.tags[0] !== undefined ? [{ tag: entry.tags[0], length: i }, ...entry.when] : entry.when;
          const record = newRecord(entry);
          const offset = frame.add(entry.book, record, entry.timeMs, when);
          return { ...record, book: entry.book, timeMs: entry.timeMs, when, offset };
        });
        const read: unknown[] = [];
        readFrame(frame.payload(), ({ sizeBytes, data, ...head }, seqnum, offset) => {
          expect(seqnum).toBe(7 + read.length);
          expect(sizeBytes).toBeGreaterThan(0);
          read.push({ ...head, data: new Uint8Array(data), offset });
        });
        expect(read).toEqual(expected);
      },
    ),
  );
});

test("what is taken back from a frame is not in it, and the next record still names its LogBook", () => {
  const frame = new Frame(1 as SeqNum, 16);
  const record: NewRecord = { kind: RecordKind.write, tags: ["t/x" as Tag], data: new Uint8Array([1]) };
  frame.add("alice" as LogBookId, record, 1);
  const { length, count } = frame;
  frame.add("bob" as LogBookId, record, 2);
  frame.rewind(length, count);
  frame.add("alice" as LogBookId, record, 3);
  const read: StoredRecord[] = [];
  readFrame(frame.payload(), (one) => read.push(one));
  expect(read.map((one) => [one.book, one.timeMs])).toEqual([
    ["alice", 1],
    ["alice", 3],
  ]);
});

test("bytes that are not a frame of records end in a RangeError and nothing else", () => {
  const frame = new Frame(1 as SeqNum, 16);
  const blobs = [{ name: "ab".repeat(16) as BlobName, sizeBytes: 5 }];
  frame.add("alice" as LogBookId, { kind: RecordKind.write, tags: ["t/x" as Tag], data: new Uint8Array(20), blobs }, 1, [
    { tag: "t/y" as Tag, length: 3 },
  ]);
  const whole = frame.payload();
  for (let cut = 0; cut < whole.byteLength; cut++) {
    expect(() => readFrame(whole.slice(0, cut), () => {})).toThrow(RangeError);
  }
  fc.assert(
    fc.property(fc.nat(whole.byteLength - 1), fc.nat(255), (offset, value) => {
      const damaged = whole.slice();
      damaged[offset] = value;
      try {
        readFrame(damaged, () => {});
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    }),
  );
});
