import { describe, expect, it } from "vitest";
import { NeapError } from "../../../../state/errors.ts";
import { type InstanceId, logBookId, type SeqNum } from "../../../../state/ids.ts";
import { type LogBook, type NewRecord, RecordKind } from "../../../../state/logbook/index.ts";
import { decodeStep, fingerprint, NO_FINGERPRINT, type Pins } from "../../../../state/logbook/step-record.ts";
import { Fenced, type FenceReason, type Origin, type Step, StepStream } from "../../../../state/protocols/index.ts";
import { objectTag, stepTag } from "../../../../state/tags.ts";
import { bytes, openTestShard } from "../../../support/open-shard.ts";

const INSTANCE = "i-1" as InstanceId;
const BOOK = logBookId("tenant");
const TAG = stepTag(INSTANCE);
const X = objectTag("x");

async function openBook(): Promise<LogBook> {
  const { shard } = await openTestShard();
  return shard.book(BOOK);
}

function pins(initialCursor: number, nonce: number): Pins {
  return {
    initialCursor: initialCursor as SeqNum,
    timeMs: 1000 + nonce,
    seed: new Uint8Array(16).fill(nonce),
    nonce: new Uint8Array(8).fill(nonce),
  };
}

const init: NewRecord = { kind: RecordKind.init, tags: [TAG], data: bytes("init") };

async function unlogged(book: LogBook, nonce: number): Promise<StepStream> {
  const origin: Origin = { kind: "unlogged", pins: pins(await book.tail(), nonce), init: () => init };
  return new StepStream(book, INSTANCE, origin);
}

/** A new attempt of the instance that begins with what the log says. */
async function replay(book: LogBook): Promise<StepStream> {
  const { records } = await book.readStream(TAG, 0);
  const first = records[1];
  const found = first === undefined ? null : decodeStep(first.data).pins;
  const origin: Origin =
    found === null ? { kind: "initialised", pins: pins(await book.tail(), 99) } : { kind: "pinned", pins: found };
  return new StepStream(book, INSTANCE, origin, records.slice(1));
}

/** An attempt that knows only that INIT is logged. */
async function openPeer(book: LogBook, nonce: number): Promise<StepStream> {
  return new StepStream(book, INSTANCE, { kind: "initialised", pins: pins(await book.tail(), nonce) });
}

const write = (value: string, key = "x"): Step => ({
  kind: RecordKind.write,
  fingerprint: fingerprint(key, bytes(value)),
  payload: bytes(value),
  tags: [objectTag(key)],
});

const update = (version: number, value: string): Step => ({ ...write(value), when: [{ tag: X, last: version as SeqNum }] });

async function lastOf(book: LogBook): Promise<number> {
  return (await book.readPrev(X, Number.MAX_SAFE_INTEGER as SeqNum)).record?.seqnum ?? 0;
}

async function setX(book: LogBook, value: string): Promise<number> {
  const result = await book.append({ records: [{ kind: RecordKind.write, tags: [X], data: bytes(value) }] });
  return result.kind === "appended" ? result.seqnum : 0;
}

async function fenceOf(action: Promise<unknown>): Promise<FenceReason | "none"> {
  try {
    await action;
    return "none";
  } catch (error) {
    if (error instanceof Fenced) {
      return error.reason;
    }
    throw error;
  }
}

describe("a step stream", () => {
  it("appends INIT lazily, together with the first step, which carries the pins", async () => {
    const book = await openBook();
    const steps = await unlogged(book, 1);
    expect(steps.logged).toBe(false);
    expect((await book.readStream(TAG, 0)).length).toBe(0);
    await steps.step(write("a"));
    const { records } = await book.readStream(TAG, 0);
    expect(records.map((record) => record.kind)).toEqual([RecordKind.init, RecordKind.write]);
    expect(decodeStep(records[1]?.data ?? bytes("")).pins).toEqual(steps.pins);
    expect(steps.logged).toBe(true);
  });

  it("pins only once: later steps carry none", async () => {
    const book = await openBook();
    const steps = await unlogged(book, 1);
    await steps.step(write("a"));
    await steps.step(write("b"));
    const { records } = await book.readStream(TAG, 2);
    expect(decodeStep(records[0]?.data ?? bytes("")).pins).toBeNull();
  });

  it("[20] replays what is logged without appending, with the same cursor at each position", async () => {
    const book = await openBook();
    const first = await unlogged(book, 1);
    const cursors: number[] = [first.cursor];
    for (const value of ["a", "b", "c"]) {
      await first.step(write(value));
      cursors.push(first.cursor);
    }
    const again = await replay(book);
    const before = (await book.readStream(TAG, 0)).length;
    const replayed: number[] = [again.cursor];
    for (const value of ["a", "b", "c"]) {
      const { theirs } = await again.step(write(value));
      expect(theirs).not.toBeNull();
      replayed.push(again.cursor);
    }
    expect(replayed).toEqual(cursors);
    expect((await book.readStream(TAG, 0)).length).toBe(before);
    expect(again.pins).toEqual(first.pins);
  });

  it("F8: its dependency is the highest seqnum it wrote, replayed or was told of", async () => {
    const book = await openBook();
    const steps = await unlogged(book, 1);
    expect(steps.dependency).toBe(0);
    const { record } = await steps.step(write("a"));
    expect(steps.dependency).toBe(record.seqnum);
    steps.consulted((record.seqnum + 5) as SeqNum);
    expect(steps.dependency).toBe(record.seqnum + 5);
    expect((await replay(book)).dependency).toBe(record.seqnum);
  });

  it("F10: a failed object condition is logged as CONFLICT at the same position, and a replay fails there as well", async () => {
    const book = await openBook();
    const steps = await unlogged(book, 1);
    await steps.step(write("mine", "y"));
    const seen = await lastOf(book);
    await setX(book, "theirs");
    expect((await steps.step(update(seen, "lost"))).record.kind).toBe(RecordKind.conflict);
    const fresh = await lastOf(book);
    expect(steps.cursor).toBeGreaterThan(fresh);
    expect((await steps.step(update(fresh, "kept"))).record.kind).toBe(RecordKind.write);

    const again = await replay(book);
    await again.step(write("mine", "y"));
    expect((await again.step(update(seen, "lost"))).record.kind).toBe(RecordKind.conflict);
    expect((await again.step(update(fresh, "kept"))).record.kind).toBe(RecordKind.write);
    expect(again.cursor).toBe(steps.cursor);
  });

  it("F10: an attempt that has logged nothing restarts instead, and leaves nothing behind", async () => {
    const book = await openBook();
    const steps = await unlogged(book, 1);
    await setX(book, "theirs");
    expect(await fenceOf(steps.step(update(0, "lost")))).toBe("restart");
    expect((await book.readStream(TAG, 0)).length).toBe(0);
  });

  it("F13: an attempt that loses the first step to another nonce restarts, and then has the winner's pins", async () => {
    const book = await openBook();
    const a = await unlogged(book, 1);
    await setX(book, "between");
    const b = await unlogged(book, 2);
    await a.step(write("a"));
    expect(await fenceOf(b.step(write("a")))).toBe("restart");
    expect(await fenceOf(b.step(write("b")))).toBe("restart");
    const again = await replay(book);
    expect(again.pins).toEqual(a.pins);
    expect(again.cursor).toBe(a.pins.initialCursor);
  });

  it("[19] F13: the loser of a later position adopts the winner's record and never publishes its own", async () => {
    const book = await openBook();
    const a = await unlogged(book, 1);
    await a.step(write("first"));
    const b = await replay(book);
    await b.step(write("first"));
    const won = await a.step(write("second"));
    const adopted = await b.step(write("second"));
    expect(adopted.theirs?.seqnum).toBe(won.record.seqnum);
    expect(b.cursor).toBe(a.cursor);
    expect((await book.readStream(TAG, 0)).length).toBe(3);
  });

  it("F13: the cursor before the first step is the pinned initial cursor, not INIT's seqnum", async () => {
    const book = await openBook();
    const steps = await unlogged(book, 1);
    const initialCursor = steps.cursor;
    await setX(book, "later");
    await steps.step(write("a", "y"));
    expect((await replay(book)).cursor).toBe(initialCursor);
  });

  it("F14: an object condition names the version that was read, so that a version in between is not lost", async () => {
    const book = await openBook();
    const steps = await unlogged(book, 1);
    await steps.step(write("own", "y"));
    const read = await setX(book, "1");
    await setX(book, "2");
    expect((await steps.step(update(read, "from 1"))).record.kind).toBe(RecordKind.conflict);
  });

  it("F14: when a peer has committed this very step, that is reported, not the object it changed", async () => {
    const book = await openBook();
    const a = await unlogged(book, 1);
    await a.step(write("first", "y"));
    const b = await replay(book);
    await b.step(write("first", "y"));
    await a.step(update(0, "once"));
    const adopted = await b.step(update(0, "once"));
    expect(adopted.record.kind).toBe(RecordKind.write);
    expect((await book.readStream(X, 0)).length).toBe(1);
  });

  it("F21: a copy with the same nonce that runs a storage part is adopted, also at the first step", async () => {
    const book = await openBook();
    const caller = await unlogged(book, 1);
    const origin: Origin = { kind: "unlogged", pins: caller.pins, init: () => init };
    const part = StepStream.resume(book, INSTANCE, origin, caller.state(), []);
    await part.step(write("in the part"));
    expect((await caller.step(write("in the part"))).theirs).not.toBeNull();
    expect(caller.cursor).toBe(part.cursor);
    expect((await book.readStream(TAG, 0)).length).toBe(2);
  });

  it("F21: what a part did to position, cursor and dependency comes back with it", async () => {
    const book = await openBook();
    const caller = await unlogged(book, 1);
    const origin: Origin = { kind: "unlogged", pins: caller.pins, init: () => init };
    const part = StepStream.resume(book, INSTANCE, origin, caller.state(), []);
    await part.step(write("a"));
    await part.step(write("b"));
    caller.adopt(part.state());
    expect(caller.state()).toEqual(part.state());
    await caller.step(write("c"));
    expect((await book.readStream(TAG, 0)).length).toBe(4);
  });

  it("F21: the initial cursor that a part moved before anything was logged is its caller's from then on", async () => {
    const book = await openBook();
    const caller = await unlogged(book, 1);
    await setX(book, "newer");
    const part = StepStream.resume(book, INSTANCE, { kind: "unlogged", pins: caller.pins, init: () => init }, caller.state(), []);
    part.refresh(await book.tail());
    part.touch();
    caller.adopt(part.state());
    await setX(book, "newest");
    await caller.step(write("a", "y"));
    expect((await replay(book)).cursor).toBe(part.cursor);
  });

  it("F13: a part that finds another attempt's first step in the log restarts, it does not replay it with its own pins", async () => {
    const book = await openBook();
    await book.append({ records: [init] });
    const [a, b] = [await replay(book), await openPeer(book, 2)];
    await b.step(write("a"));
    const { records } = await book.readStream(TAG, 1);
    const part = StepStream.resume(book, INSTANCE, { kind: "initialised", pins: a.pins }, a.state(), records);
    expect(await fenceOf(part.step(write("a")))).toBe("restart");
  });

  it("F13: equal nonces are not enough: the first step of a copy that moved its initial cursor is not adopted", async () => {
    const book = await openBook();
    const caller = await unlogged(book, 1);
    await setX(book, "newer");
    const part = StepStream.resume(book, INSTANCE, { kind: "unlogged", pins: caller.pins, init: () => init }, caller.state(), []);
    part.refresh(await book.tail());
    await part.step(write("a"));
    expect(await fenceOf(caller.step(write("a")))).toBe("restart");
  });

  it("F21: a reply that comes after the attempt was fenced changes nothing but what is known to be logged", async () => {
    const book = await openBook();
    const caller = await unlogged(book, 1);
    const part = StepStream.resume(book, INSTANCE, { kind: "unlogged", pins: caller.pins, init: () => init }, caller.state(), []);
    await part.step(write("a"));
    caller.fence(new Fenced("closed", "stopped"));
    expect(() => caller.adopt(part.state())).toThrow(Fenced);
    expect(caller.position).toBe(1);
    expect(caller.logged).toBe(true);
  });

  it("F17: is in doubt after a part was lost, until the owner has said what the part logged", async () => {
    const book = await openBook();
    for (const logs of [false, true]) {
      const caller = await unlogged(book, 1);
      const origin: Origin = { kind: "unlogged", pins: caller.pins, init: () => init };
      if (logs) {
        await StepStream.resume(book, INSTANCE, origin, caller.state(), []).step(write("a"));
      }
      caller.doubt(false);
      expect([caller.logged, caller.inDoubt]).toEqual([true, true]);
      await caller.settle();
      expect([caller.logged, caller.inDoubt]).toEqual([logs, false]);
    }
  });

  it("F17: is in doubt after an append that was not answered, and not after one that was refused", async () => {
    const book = await openBook();
    for (const [code, inDoubt] of [
      ["DISK_FULL", false],
      ["BLOB_MISSING", false],
      ["RECORD_TOO_LARGE", false],
      ["OWNER_UNAVAILABLE", true],
      ["EPOCH_CHANGED", true],
      ["REMOTE_FAILED", true],
    ] as const) {
      const failing: LogBook = {
        ...book,
        tail: () => book.tail(),
        append: () => Promise.reject(new NeapError(code, "for the test")),
      };
      const steps = await unlogged(failing, 1);
      await expect(steps.step(write("a"))).rejects.toMatchObject({ code });
      expect(steps.inDoubt, code).toBe(inDoubt);
      expect(steps.logged, code).toBe(inDoubt);
    }
  });

  it("F28: an eagerly logged INIT pins no cursor: it may move until something was read or logged", async () => {
    const book = await openBook();
    await book.append({ records: [init] });
    const steps = await replay(book);
    await setX(book, "later");
    const tail = await book.tail();
    steps.refresh(tail);
    expect(steps.cursor).toBe(tail);
    steps.touch();
    await setX(book, "later still");
    steps.refresh(await book.tail());
    expect(steps.cursor).toBe(tail);
    await steps.step(write("a"));
    expect((await replay(book)).pins.initialCursor).toBe(tail);
  });

  it("F31: an attempt that meets DONE stops quietly, whatever it wanted to do", async () => {
    const book = await openBook();
    const a = await unlogged(book, 1);
    await a.step(write("a"));
    const b = await replay(book);
    await b.step(write("a"));
    await a.done(bytes("result"), []);
    expect(await fenceOf(b.step(write("zombie")))).toBe("closed");
    expect(await fenceOf(a.step(write("after its own end")))).toBe("closed");
    expect((await replayEnd(book)).kind).toBe(RecordKind.done);
  });

  it("F31: an attempt that finds among what it replays the DONE that the host gave in its place stops quietly", async () => {
    const book = await openBook();
    const a = await unlogged(book, 1);
    await a.step(write("a"));
    await a.done(bytes("ended by the host"), []);
    const b = await replay(book);
    await b.step(write("a"));
    expect(await fenceOf(b.step(write("b")))).toBe("closed");
  });

  it("[22] F32: another operation at a logged position is not deterministic, and both are told", async () => {
    const book = await openBook();
    const steps = await unlogged(book, 1);
    await steps.step(write("a"));
    const again = await replay(book);
    const other = again.step(write("another value"));
    await expect(other).rejects.toThrow(/step 1 was write \[\w+:\w+\], a replay asks for write \[\w+:\w+\]/);
    expect(await fenceOf(again.step(write("a")))).toBe("notDeterministic");
  });

  it("F32: what the host chose does not count: an adopted record may hold another payload", async () => {
    const book = await openBook();
    const invoke = (child: string): Step => ({
      kind: RecordKind.invoke,
      fingerprint: fingerprint("callee", bytes("input")),
      payload: bytes(child),
      tags: [stepTag(child as InstanceId)],
    });
    const a = await unlogged(book, 1);
    await a.step(invoke("child-of-a"));
    const again = await replay(book);
    const { theirs } = await again.step(invoke("another-child"));
    expect(theirs?.tags[1]).toBe(stepTag("child-of-a" as InstanceId));
  });

  it("is fenced for good: nothing it does afterwards reaches the log", async () => {
    const book = await openBook();
    const steps = await unlogged(book, 1);
    await steps.step(write("a"));
    steps.fence(new Fenced("closed", "stopped"));
    expect(await fenceOf(steps.step(write("b")))).toBe("closed");
    expect(await fenceOf(steps.done(bytes("x"), []))).toBe("closed");
    expect((await book.readStream(TAG, 0)).length).toBe(2);
  });

  it("joins a child at the later of both cursors", async () => {
    const book = await openBook();
    const steps = await unlogged(book, 1);
    await steps.step({ kind: RecordKind.write, fingerprint: NO_FINGERPRINT, payload: bytes("a"), tags: [X] });
    const childDone = await setX(book, "by the child");
    steps.join(childDone as SeqNum);
    expect(steps.cursor).toBe(childDone);
    steps.join(1 as SeqNum);
    expect(steps.cursor).toBe(childDone);
  });
});

async function replayEnd(book: LogBook): Promise<{ kind: number }> {
  return (await book.readStream(TAG, 0)).records.at(-1) ?? { kind: 0 };
}
