import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type InstanceId, MAX_SEQNUM, NO_SEQNUM, type SeqNum } from "../../../../state/ids.ts";
import { type LogBook, RecordKind } from "../../../../state/logbook/index.ts";
import { Fenced, ScopedObjects, StepStream } from "../../../../state/protocols/index.ts";
import { holdTag, lockTag, objectTag, stepTag } from "../../../../state/tags.ts";
import { HeldLocks, Transactions } from "../../../../state/txn/index.ts";
import { BOOK, bytes, openTestShard, type TestShard } from "../../../support/open-shard.ts";
import { systemTimers } from "../../../support/system-timers.ts";

/** One attempt. All attempts of an instance have the same pins, as a child's do. */
class Peer {
  readonly steps: StepStream;
  readonly locks: HeldLocks;
  readonly transactions: Transactions;
  readonly #book: LogBook;

  constructor(test: TestShard, name: string, initialCursor: SeqNum) {
    this.#book = test.shard.book(BOOK);
    const pins = { initialCursor, timeMs: 0, seed: new Uint8Array(16), nonce: new Uint8Array(8) };
    this.steps = new StepStream(this.#book, name as InstanceId, { kind: "pinned", pins });
    this.locks = new HeldLocks(this.steps, name as InstanceId);
    this.transactions = new Transactions({
      plain: new ScopedObjects(this.steps, test.blobs, { modeCursor: NO_SEQNUM, protocol: "halfmoon-read" }),
      steps: this.steps,
      blobs: test.blobs,
      timers: systemTimers,
      locks: this.locks,
      inherited: null,
    });
  }

  async get(key: string): Promise<string | null> {
    const read = await this.transactions.read(key, 0, 100);
    return read.kind === "absent" ? null : Buffer.from(read.bytes).toString();
  }

  async put(key: string, value: string): Promise<void> {
    await this.transactions.write(key, { kind: "inline", bytes: bytes(value) }, value.length);
  }

  async tryLock(name: string): Promise<string> {
    const outcome = await this.locks.take(name, await this.#book.lock(name), this.transactions.open);
    return outcome.kind;
  }

  /** All that the program sees, and its cursor where it sees it. */
  *program(): Generator<Promise<unknown>, string[], unknown> {
    const seen: string[] = [];
    const note = (what: unknown) => seen.push(`${what}@${this.steps.cursor}`);
    note(yield this.tryLock("free"));
    note(yield this.tryLock("taken"));
    note(yield this.transactions.begin("serializable"));
    note(yield this.tryLock("inside"));
    note(yield this.get("x"));
    yield this.put("y", "mine");
    const first = (yield this.transactions.commit()) as { kind: string };
    note(first.kind);
    note(yield this.transactions.begin("serializable"));
    note(yield this.get("x"));
    yield this.put("x", "mine");
    const second = (yield this.transactions.commit()) as { kind: string };
    note(second.kind);
    note(yield this.locks.give("free", null));
    return seen;
  }
}

async function init(book: LogBook, name: string): Promise<SeqNum> {
  await book.append({ records: [{ kind: RecordKind.init, tags: [stepTag(name as InstanceId)], data: bytes("") }] });
  return book.tail();
}

describe("peers of one instance", () => {
  it("[17] [55] F10, F13: agree on every lock, commit and cursor, in every interleaving, and it happened once", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(2), { maxLength: 40 }), async (turns) => {
        const test = await openTestShard();
        const book = test.shard.book(BOOK);
        const holder = new Peer(test, "holder", await init(book, "holder"));
        await holder.tryLock("taken");
        const begun = await init(book, "i");
        const begin = () => {
          const peer = new Peer(test, "i", begun);
          return { peer, program: peer.program(), value: undefined as unknown, seen: null as string[] | null };
        };
        const running = [begin(), begin(), begin()];
        let changed = false;
        for (const turn of [...turns, ...Array.from({ length: 60 }, (_, i) => i % 3)]) {
          const one = running[turn];
          if (one === undefined || one.seen !== null) {
            continue;
          }
          const next = one.program.next(one.value);
          if (next.done === true) {
            one.seen = next.value;
            continue;
          }
          try {
            one.value = await next.value;
          } catch (error) {
            if (!(error instanceof Fenced && error.reason === "badPosition")) {
              throw error;
            }
            // Another one has ended the transaction that it was in: it begins anew, and finds all that in the log.
            running[turn] = begin();
          }
          // Somebody changes what the first transaction has read, before any peer commits it.
          if (!changed && running.some(({ peer }) => (peer.transactions.open?.reads.size ?? 0) > 0)) {
            changed = true;
            await holder.put("x", "other");
          }
        }
        const [first] = running;
        expect(running.map(({ seen }) => seen)).toEqual([first?.seen, first?.seen, first?.seen]);
        const outcomes = first?.seen?.map((text) => text.split("@")[0]);
        expect(outcomes).toEqual(["taken", "busy", "true", "taken", "null", "conflict", "true", "other", "committed", "true"]);
        expect((await book.readStream(objectTag("x"), 0)).length).toBe(2);
        expect((await book.readPrev(objectTag("y"), MAX_SEQNUM)).record).toBeNull();
        expect((await book.locks()).locks.map(({ name }) => name)).toEqual(["taken"]);
      }),
      { numRuns: 200 },
    );
  });
});

describe("[55] a lock that several have seen free", () => {
  it("is taken by one of them; the others learn it from a CONFLICT, and their cursor has moved", async () => {
    const test = await openTestShard();
    const book = test.shard.book(BOOK);
    const seen = await book.lock("l");
    const outcomes: string[] = [];
    for (const name of ["a", "b", "c"]) {
      const peer = new Peer(test, name, await init(book, name));
      outcomes.push((await peer.locks.take("l", seen, null)).kind);
      expect(peer.steps.cursor).toBe(await book.tail());
    }
    expect(outcomes).toEqual(["taken", "busy", "busy"]);
    expect((await book.locks()).locks).toMatchObject([{ name: "l", holder: "a", count: 1 }]);
    const { records } = await book.readStream(stepTag("c" as InstanceId), 1);
    expect(records.map(({ kind }) => kind)).toEqual([RecordKind.conflict]);
  });
});

describe("[54] collection", () => {
  it("keeps nothing of locks that are free, and the last records of those that are held", async () => {
    const test = await openTestShard({ options: { garbageMin: 1 } });
    const book = test.shard.book(BOOK);
    const done = async (name: string) =>
      book.append({ records: [{ kind: RecordKind.done, tags: [stepTag(name as InstanceId)], data: bytes("") }] });
    const keeper = new Peer(test, "keeper", await init(book, "keeper"));
    await keeper.tryLock("kept");
    for (let i = 0; i < 50; i++) {
      const peer = new Peer(test, `i${i}`, await init(book, `i${i}`));
      await peer.tryLock("hot");
      await peer.tryLock(`own/${i}`);
      await peer.locks.give("hot", null);
      await keeper.tryLock("kept");
      await done(`i${i}`);
    }
    await done("keeper");
    const holder = new Peer(test, "holder", await init(book, "holder"));
    await holder.tryLock("kept");
    await holder.tryLock("kept");
    await test.shard.collect();
    for (const name of ["hot", "own/3"]) {
      expect(await book.readStream(lockTag(name), 0)).toMatchObject({ length: 0 });
      expect(await book.readStream(holdTag(name), 0)).toMatchObject({ length: 0 });
    }
    const kept = await book.lock("kept");
    expect(kept.held).toMatchObject({ holder: "holder", count: 2 });
    expect((await book.readPrev(holdTag("kept"), MAX_SEQNUM)).record?.seqnum).toBe(kept.held?.token);
    expect(await holder.locks.give("kept", null)).toBe(true);
    await holder.transactions.begin("serializable");
    await holder.put("x", "1");
    expect(await holder.transactions.commit()).toMatchObject({ kind: "committed" });
    await test.shard.whenDurable(await book.tail());
    const { shard } = await test.crash();
    expect((await shard.book(BOOK).locks()).locks).toEqual((await book.locks()).locks);
  });
});
