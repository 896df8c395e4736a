import fc from "fast-check";
import { expect, test } from "vitest";
import { type LogBookId, MAX_SEQNUM, NO_SEQNUM, type SeqNum, type Tag } from "../../../../state/ids.ts";
import {
  type Condition,
  type LogBook,
  type LogRecord,
  type NewRecord,
  RecordKind,
  trimRecord,
} from "../../../../state/logbook/index.ts";
import { NAMES_TAG } from "../../../../state/tags.ts";
import { MemoryJournal } from "../../../support/memory-journal.ts";
import { at, bytes, openTestShard } from "../../../support/open-shard.ts";

const BOOKS = ["alice", "bob"] as LogBookId[];
const OBJECT = "o/c" as Tag;
const TAGS = ["t/a", "t/b", OBJECT, "i/d"] as Tag[];

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
          // The owner's mark of a new object: as the request finds the LogBook.
          const isNew = model.stream(step.book, OBJECT).length === 0;
          const result = await book.append({ records, when });
          if (result.kind === "appended") {
            records.forEach(({ tags, data }, i) => {
              const seqnum = at(result.seqnum - records.length + 1 + i);
              const stored = isNew && tags.includes(OBJECT) ? [...tags, NAMES_TAG] : tags;
              model.records.push({ book: step.book, seqnum, tags: stored, text: Buffer.from(data).toString() });
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

async function compare(book: LogBook, model: Model): Promise<void> {
  for (const tag of [...TAGS, NAMES_TAG]) {
    const expected = model.stream(book.id, tag);
    const { records, length } = await book.readStream(tag, 0);
    expect(length).toBe(expected.length);
    expect(records.map((one) => [one.seqnum, text(one), one.tags])).toEqual(
      expected.map((one) => [one.seqnum, one.text, one.tags]),
    );
    const middle = expected[expected.length >> 1]?.seqnum ?? NO_SEQNUM;
    for (const max of [at(Math.max(0, middle - 1)), middle, MAX_SEQNUM]) {
      expect(text((await book.readPrev(tag, max)).record)).toBe(expected.findLast((one) => one.seqnum <= max)?.text);
      expect(text((await book.readNext(tag, max)).record)).toBe(expected.find((one) => one.seqnum >= max)?.text);
      const until = expected.filter((one) => one.seqnum <= max);
      expect(text((await book.readNext(tag, at(0), max)).record)).toBe(until[0]?.text);
      expect(await book.tailOf(tag, max)).toMatchObject({ length: until.length, last: until.at(-1)?.seqnum ?? NO_SEQNUM });
    }
  }
}

const GUEST_TAGS = ["u/a", "u/b"] as Tag[];

/** The specification of the streams of guests: records, and which trim hides what from when on. */
class GuestModel {
  records: { readonly seqnum: SeqNum; readonly tags: readonly Tag[]; readonly text: string; readonly closes: boolean }[] = [];
  trims: { readonly seqnum: SeqNum; readonly tag: Tag | null; readonly upTo: number }[] = [];

  stream(tag: Tag, until: SeqNum = MAX_SEQNUM): GuestModel["records"] {
    return this.records.filter(({ seqnum, tags }) => seqnum <= until && tags.includes(tag));
  }

  closing(tag: Tag, until: SeqNum = MAX_SEQNUM): GuestModel["records"][number] | undefined {
    return this.stream(tag, until).find(({ closes }) => closes);
  }

  gone(tag: Tag, until: SeqNum): number {
    const trims = this.trims.filter((trim) => trim.seqnum <= until && (trim.tag === null || trim.tag === tag));
    return Math.max(0, ...trims.map(({ seqnum, upTo }) => Math.min(seqnum, upTo)));
  }

  prev(tag: Tag, max: SeqNum, until: SeqNum): string {
    const gone = this.gone(tag, until);
    const found = this.stream(tag, until).findLast(({ seqnum }) => seqnum <= max);
    if (found !== undefined && found.seqnum > gone) {
      return found.text;
    }
    return found !== undefined || (gone > 0 && max <= gone) ? "TRIMMED" : "none";
  }

  next(tag: Tag, min: SeqNum, until: SeqNum): string {
    const gone = this.gone(tag, until);
    return gone > 0 && min <= gone ? "TRIMMED" : (this.stream(tag, until).find(({ seqnum }) => seqnum >= min)?.text ?? "none");
  }

  lose(after: number): void {
    this.records = this.records.filter(({ seqnum }) => seqnum <= after);
    this.trims = this.trims.filter(({ seqnum }) => seqnum <= after);
  }
}

const answered = (read: Promise<{ record: LogRecord | null }>): Promise<string> =>
  read.then(
    ({ record }) => text(record) ?? "none",
    (error: { code: string }) => error.code,
  );

const someTags = fc.uniqueArray(fc.constantFrom(...GUEST_TAGS), { minLength: 1 });
const back = fc.nat(6);
const guestStepArbitrary = fc.oneof(
  { arbitrary: fc.record({ do: fc.constantFrom("append" as const), tags: someTags }), weight: 8 },
  { arbitrary: fc.record({ do: fc.constantFrom("close" as const), tags: someTags }), weight: 1 },
  { arbitrary: fc.record({ do: fc.constant("trim" as const), tag: fc.constantFrom(null, ...GUEST_TAGS), back }), weight: 3 },
  { arbitrary: fc.record({ do: fc.constant("collect" as const) }), weight: 2 },
  { arbitrary: fc.record({ do: fc.constant("flush" as const) }), weight: 2 },
  { arbitrary: fc.record({ do: fc.constant("crash" as const) }), weight: 1 },
);

test("[13] F36: whatever is trimmed, closed, collected and crashed, reads of every position find what was there, or TRIMMED", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(guestStepArbitrary, { maxLength: 40, size: "max" }), async (steps) => {
      const model = new GuestModel();
      let current = await openTestShard({ journal: new MemoryJournal() });
      const book = () => current.shard.book("alice" as LogBookId);
      let floor = NO_SEQNUM;
      for (const [made, step] of steps.entries()) {
        current.journal.automatic = step.do === "flush" || step.do === "collect";
        if (step.do === "append" || step.do === "close") {
          const kind = RecordKind[step.do];
          const result = await book().append({ records: [{ kind, tags: step.tags, data: bytes(`${made}`) }] });
          const closed = step.tags.find((tag) => model.closing(tag) !== undefined);
          if (result.kind === "appended") {
            model.records.push({ seqnum: result.seqnum, tags: step.tags, text: `${made}`, closes: step.do === "close" });
          }
          expect(result.kind === "closed" ? result.tag : undefined).toBe(closed);
          if (result.kind === "closed") {
            const closing = model.closing(result.tag);
            const isGone = (closing?.seqnum ?? 0) <= model.gone(result.tag, MAX_SEQNUM);
            expect(text(result.done)).toBe(isGone ? undefined : closing?.text);
          }
        } else if (step.do === "trim") {
          const upTo = at(Math.max(0, (await book().tail()) - step.back));
          const result = await book().append({ records: [trimRecord({ tag: step.tag, upTo })] });
          model.trims.push({ seqnum: result.kind === "appended" ? result.seqnum : NO_SEQNUM, tag: step.tag, upTo });
        } else if (step.do === "crash") {
          const journal = current.journal.crash();
          current = await openTestShard({ journal, blobs: current.blobs, time: current.time, options: { recentMaxBytes: 0 } });
          model.lose((await book().tail()) - 1);
        } else if (step.do === "collect") {
          floor = await book().tail();
          await current.shard.collect();
        }
        if (current.journal.automatic) {
          await current.shard.whenDurable(await book().tail());
        }
        const tail = await book().tail();
        for (const tag of GUEST_TAGS) {
          for (const until of [floor, at(Math.max(floor, tail - 3)), tail, MAX_SEQNUM]) {
            for (const seqnum of [NO_SEQNUM, at(tail >> 1), at(Math.max(0, tail - 2)), tail, MAX_SEQNUM]) {
              expect(await answered(book().readPrev(tag, seqnum, until))).toBe(model.prev(tag, seqnum, until));
              expect(await answered(book().readNext(tag, seqnum, until))).toBe(model.next(tag, seqnum, until));
            }
            const stream = model.stream(tag, until);
            expect(await book().tailOf(tag, until)).toEqual({
              length: stream.length,
              last: stream.at(-1)?.seqnum ?? NO_SEQNUM,
              goneUpTo: model.gone(tag, until),
              closed: model.closing(tag, until) !== undefined,
              tail: await book().tail(),
            });
          }
          for (const length of [0, 1, model.stream(tag).length]) {
            const stream = model.stream(tag);
            const last = stream.at(-1)?.seqnum ?? NO_SEQNUM;
            const result = await book().append({
              records: [{ kind: RecordKind.append, tags: [], data: bytes("") }],
              when: [
                { tag, length },
                { tag, last },
              ],
            });
            const expected = stream.length > length ? "conflict" : stream.length < length ? "badPosition" : "appended";
            expect(result.kind).toBe(model.closing(tag) === undefined ? expected : "closed");
            const winner = stream[length];
            if (result.kind === "conflict") {
              expect(text(result.existing)).toBe((winner?.seqnum ?? 0) <= model.gone(tag, MAX_SEQNUM) ? undefined : winner?.text);
            }
          }
        }
      }
    }),
    { numRuns: 100 },
  );
});
