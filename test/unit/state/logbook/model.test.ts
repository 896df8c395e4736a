import fc from "fast-check";
import { expect, test } from "vitest";
import { type LogBookId, MAX_SEQNUM, NO_SEQNUM, type SeqNum, type Tag } from "../../../../state/ids.ts";
import { type Condition, type LogRecord, type NewRecord, RecordKind } from "../../../../state/logbook/index.ts";
import { MemoryJournal } from "../../../support/memory-journal.ts";
import { at, bytes, openTestShard } from "../../../support/open-shard.ts";

const BOOKS = ["alice", "bob"] as LogBookId[];
const TAGS = ["t/a", "t/b", "o/c", "i/d"] as Tag[];

interface Known {
  readonly book: LogBookId;
  readonly seqnum: SeqNum;
  readonly tags: readonly Tag[];
  readonly text: string;
}

/** The specification: a list of records. */
class Model {
  records: Known[] = [];

  stream(book: LogBookId, tag: Tag): Known[] {
    return this.records.filter((one) => one.book === book && one.tags.includes(tag));
  }

  /** As LogBook.append answers, without its details. */
  outcome(book: LogBookId, when: readonly Condition[]): string {
    for (const condition of when) {
      const stream = this.stream(book, condition.tag);
      if (!("length" in condition)) {
        const last = "last" in condition ? condition.last : condition.newest;
        if ((stream.at(-1)?.seqnum ?? NO_SEQNUM) !== last) {
          return `conflict ${condition.tag} ${stream.at(-1)?.text}`;
        }
      } else if (stream.length !== condition.length) {
        return stream.length > condition.length
          ? `conflict ${condition.tag} ${stream[condition.length]?.text}`
          : `badPosition ${condition.tag} ${stream.length}`;
      }
    }
    return "appended";
  }
}

const text = (record: LogRecord | null): string | undefined =>
  record === null ? undefined : Buffer.from(record.data).toString();

const tagsArbitrary = fc.uniqueArray(fc.constantFrom(...TAGS), { maxLength: 3 });
const appendArbitrary = fc.record({
  do: fc.constant("append" as const),
  book: fc.constantFrom(...BOOKS),
  records: fc.array(tagsArbitrary, { minLength: 1, maxLength: 3 }),
  when: fc.array(
    fc.record({
      tag: fc.constantFrom(...TAGS),
      by: fc.constantFrom("length" as const, "last" as const),
      error: fc.integer({ min: -1, max: 1 }),
    }),
    { maxLength: 2 },
  ),
});
const stepArbitrary = fc.oneof(
  { arbitrary: appendArbitrary, weight: 8 },
  { arbitrary: fc.record({ do: fc.constant("flush" as const) }), weight: 3 },
  { arbitrary: fc.record({ do: fc.constant("crash" as const), size: fc.constantFrom(0, 1 << 20) }), weight: 1 },
);

test("[2] [9] whatever is appended, read, flushed and crashed, the log is the list of what was accepted and not lost", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(stepArbitrary, { maxLength: 40, size: "max" }), async (steps) => {
      const model = new Model();
      let current = await openTestShard({ journal: new MemoryJournal() });
      let durable = await current.shard.book("alice" as LogBookId).tail();
      current.journal.automatic = false;
      let made = 0;
      for (const step of steps) {
        if (step.do === "flush") {
          const tail = await current.shard.book("alice" as LogBookId).tail();
          const landed = current.shard.whenDurable(tail);
          while (current.journal.flush());
          await landed;
          durable = tail;
        } else if (step.do === "crash") {
          const acknowledged = durable;
          const journal = current.journal.crash();
          current = await openTestShard({
            journal,
            blobs: current.blobs,
            time: current.time,
            options: { recentMaxBytes: step.size },
          });
          journal.automatic = false;
          durable = await current.shard.book("alice" as LogBookId).tail();
          const recovered = durable - 1;
          expect(recovered).toBeGreaterThanOrEqual(acknowledged);
          model.records = model.records.filter((one) => one.seqnum <= recovered);
        } else {
          const book = current.shard.book(step.book);
          const when = step.when.map(({ tag, by, error }): Condition => {
            const stream = model.stream(step.book, tag);
            return by === "length"
              ? { tag, length: Math.max(0, stream.length + error) }
              : { tag, last: stream.at(-1 + Math.min(error, 0))?.seqnum ?? NO_SEQNUM };
          });
          const records = step.records.map(
            (tags): NewRecord => ({ kind: RecordKind.write, tags, data: bytes(`record ${made++}`) }),
          );
          const expected = model.outcome(step.book, when);
          const result = await book.append({ records, when });
          if (result.kind === "appended") {
            records.forEach(({ tags, data }, i) => {
              const seqnum = at(result.seqnum - records.length + 1 + i);
              model.records.push({ book: step.book, seqnum, tags, text: Buffer.from(data).toString() });
            });
          }
          const detail =
            result.kind === "conflict"
              ? ` ${result.tag} ${text(result.existing)}`
              : result.kind === "badPosition"
                ? ` ${result.tag} ${result.length}`
                : "";
          expect(`${result.kind}${detail}`).toBe(expected);
        }
        await compare(current.shard.book("alice" as LogBookId), model);
        await compare(current.shard.book("bob" as LogBookId), model);
      }
    }),
    { numRuns: 150 },
  );
});

async function compare(
  book: ReturnType<Awaited<ReturnType<typeof openTestShard>>["shard"]["book"]>,
  model: Model,
): Promise<void> {
  for (const tag of TAGS) {
    const expected = model.stream(book.id, tag);
    const { records, length } = await book.readStream(tag, 0);
    expect(length).toBe(expected.length);
    expect(records.map((one) => [one.seqnum, text(one), one.tags])).toEqual(
      expected.map((one) => [one.seqnum, one.text, one.tags]),
    );
    const middle = expected[expected.length >> 1]?.seqnum ?? NO_SEQNUM;
    for (const max of [at(Math.max(0, middle - 1)), middle, MAX_SEQNUM]) {
      expect(text((await book.readPrev(tag, max)).record)).toBe(expected.findLast((one) => one.seqnum <= max)?.text);
    }
  }
}
