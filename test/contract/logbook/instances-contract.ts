/** Locks, turns, the mode of a scope, and claims of unfinished instances. */
import { expect, test } from "vitest";
import { type InstanceId, MAX_SEQNUM, NO_SEQNUM, type Tag } from "../../../state/ids.ts";
import { type NewRecord, RecordKind } from "../../../state/logbook/index.ts";
import { encodeLock } from "../../../state/logbook/lock-record.ts";
import { encodeStep, NO_FINGERPRINT } from "../../../state/logbook/step-record.ts";
import { callIdTag, holdTag, lockTag, stepTag } from "../../../state/tags.ts";
import { ALICE, BOB, bytes, type OpenLogBook, seqnumOf, write, x, y } from "./harness.ts";

export function describeInstances(on: OpenLogBook): void {
  const lockRecord = (instance: string, tag: Tag, root = instance): NewRecord => ({
    kind: RecordKind.lock,
    tags: [stepTag(instance as InstanceId), tag, holdTag("l")],
    data: encodeStep(
      { fingerprint: NO_FINGERPRINT, pins: null },
      encodeLock({
        instance: instance as InstanceId,
        inTransaction: false,
        root: root as InstanceId,
        token: NO_SEQNUM,
        snapshot: null,
      }),
    ),
  });
  const initRecord = (instance: string): NewRecord => ({
    kind: RecordKind.init,
    tags: [stepTag(instance as InstanceId)],
    data: bytes(""),
  });

  test("[55] a lock is held from its record until its holder is done, and everybody sees by whom", async () => {
    const book = on.shard.book(ALICE);
    const tag = lockTag("l");
    expect(await book.lock("l")).toMatchObject({ held: null, last: NO_SEQNUM });
    const token = seqnumOf(await book.append({ records: [initRecord("i"), lockRecord("i", tag, "r")] }));
    const held = { name: "l", holder: "i", root: "r", token, count: 1, parked: false };
    expect(await book.lock("l")).toMatchObject({ held, last: token });
    expect((await book.locks()).locks).toMatchObject([held]);
    expect((await on.shard.book(BOB).locks()).locks).toEqual([]);
    await book.append({ records: [{ kind: RecordKind.done, tags: [stepTag("i" as InstanceId)], data: bytes("") }] });
    expect(await book.lock("l")).toMatchObject({ held: null, last: token });
    await expect(book.append({ records: [{ ...lockRecord("i2", tag), data: bytes("") }] })).rejects.toMatchObject({
      code: "BAD_RECORD",
    });
    await expect(book.append({ records: [lockRecord("i2", x)] })).rejects.toMatchObject({ code: "BAD_RECORD" });
  });

  test("[55] a turn at a lock comes when it is free, in the order of asking, or when the own root holds it", async () => {
    const book = on.shard.book(ALICE);
    const tag = lockTag("l");
    const order: string[] = [];
    const wait = async (root: string) => {
      const turn = await book.lockTurn("l", root as InstanceId);
      order.push(root);
      return turn;
    };
    (await wait("a")).end();
    await book.append({ records: [initRecord("a"), lockRecord("a", tag)] });
    const second = wait("b");
    // What is answered at a later request was ordered before it.
    await book.lock("l");
    const third = wait("c");
    await book.lock("l");
    (await wait("a")).end();
    expect(order).toEqual(["a", "a"]);
    await book.append({ records: [{ kind: RecordKind.done, tags: [stepTag("a" as InstanceId)], data: bytes("") }] });
    (await second).end();
    (await third).end();
    expect(order).toEqual(["a", "a", "b", "c"]);
  });

  test("[8] a turn comes when the one before ends, by a record or by itself being given back", async () => {
    const book = on.shard.book(ALICE);
    const order: string[] = [];
    const first = await book.turn(x);
    const queue = async (name: string) => {
      const turn = await book.turn(x);
      order.push(name);
      return turn;
    };
    const second = queue("second");
    const third = queue("third");
    const elsewhere = await book.turn(y);
    order.push("first ends");
    first.end();
    const { tail } = await second;
    expect(tail).toBeGreaterThanOrEqual(first.tail);
    order.push("second appends");
    const seqnum = seqnumOf(await book.append({ records: [write("1", x)] }));
    expect((await third).tail).toBeGreaterThanOrEqual(seqnum);
    expect(order).toEqual(["first ends", "second", "second appends", "third"]);
    elsewhere.end();
  });

  test("[46] a scope has one switch at a time, whoever asks; the mode is that of the cursor", async () => {
    const book = on.shard.book(ALICE);
    const before = await book.tail();
    const begin = await on.shard.switchMode(ALICE, "a", "boki", false);
    await expect(on.shard.switchMode(ALICE, "a", "unsafe", false)).rejects.toMatchObject({
      code: "SWITCH_UNDER_WAY",
      message: expect.stringContaining('scope "a" is being switched to boki'),
    });
    expect(await book.modeAt("a", before)).toMatchObject({ mode: null, to: null, defaultMode: "halfmoon-read", modes: 0 });
    expect(await book.modeAt("a", begin)).toMatchObject({ mode: null, to: "boki", seqnum: begin, modes: begin });
    expect(await book.modeAt("b", begin)).toMatchObject({ mode: null, to: null, seqnum: 0, modes: begin });
    await on.shard.chooseDefault(ALICE, "unsafe");
    expect((await book.modeAt("b", MAX_SEQNUM)).defaultMode).toBe("unsafe");
    // Nobody uses the old mode: it ends as soon as time passes.
    const view = (await on.shard.scopes(ALICE)).find(({ scope }) => scope === "a");
    expect(view?.to ?? view?.mode).toBe("boki");
    expect(view?.waitingFor).toBe(0);
    await expect(book.append({ records: [{ kind: RecordKind.mode, tags: [], data: bytes("x") }] })).rejects.toMatchObject({
      code: "BAD_RECORD",
    });
  });

  test("F16: an unfinished instance is claimed once, and its child only after it", async () => {
    const book = on.shard.book(ALICE);
    const root = "root" as InstanceId;
    const child = "child" as InstanceId;
    await book.append({ records: [{ kind: RecordKind.init, tags: [stepTag(root), callIdTag(5)], data: bytes("in") }] });
    await book.append({ records: [{ kind: RecordKind.invoke, tags: [stepTag(root), stepTag(child)], data: bytes("call") }] });
    expect(await on.shard.claim(10)).toEqual([]);
    await on.shard.release(ALICE, root);
    await on.shard.release(ALICE, child);
    expect(await on.shard.claim(10)).toMatchObject([{ book: ALICE, instance: root, attempts: 0, parked: false }]);
    expect(await on.shard.claim(10)).toEqual([]);
    await on.shard.release(ALICE, root);
    await on.shard.hold(ALICE, root);
    expect(await on.shard.claim(10)).toEqual([]);
    await on.shard.hold(ALICE, "nobody" as InstanceId);
    await book.append({ records: [{ kind: RecordKind.done, tags: [stepTag(root)], data: bytes("out") }] });
    expect((await on.shard.claim(10)).map((one) => one.instance)).toEqual([child]);
    expect((await on.shard.unfinished(ALICE)).map((one) => one.instance)).toEqual([child]);
  });
}
