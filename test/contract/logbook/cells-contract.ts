/** Objects in cells. */
import { describe, expect, test } from "vitest";
import { ByteWriter } from "../../../state/bytes.ts";
import { type InstanceId, MAX_SEQNUM, NO_SEQNUM, type SeqNum, type Tag, tag } from "../../../state/ids.ts";
import { type LogRecord, type NewRecord, RecordKind } from "../../../state/logbook/index.ts";
import { writePinHead } from "../../../state/logbook/pin-record.ts";
import { encodeStep, NO_FINGERPRINT } from "../../../state/logbook/step-record.ts";
import { decodeObjectValue, encodeObjectValue } from "../../../state/objects/object-record.ts";
import { attemptTag, NAMES_TAG, objectTag, stepTag } from "../../../state/tags.ts";
import { ALICE, bytes, type OpenLogBook, seqnumOf, write } from "./harness.ts";

export function describeCells(on: OpenLogBook): void {
  describe("a cell", () => {
    const data = (text: string) =>
      encodeStep({ fingerprint: NO_FINGERPRINT, pins: null }, encodeObjectValue({ kind: "inline", bytes: bytes(text) }));
    const textOf = (record: LogRecord | null): string | null => {
      const value = record === null ? null : decodeObjectValue(record);
      return value?.kind === "inline" ? Buffer.from(value.bytes).toString() : null;
    };
    /** "deleted" deletes. */
    const put = (text: string, seqnum: number, role: 0 | 1 = 0, counter = 0, writer = tag("i/writer")) =>
      on.shard.book(ALICE).writeCell({
        key: "x",
        version: { seqnum: seqnum as SeqNum, role, counter },
        kind: text === "deleted" ? RecordKind.delete : RecordKind.write,
        data: text === "deleted" ? encodeStep({ fingerprint: NO_FINGERPRINT, pins: null }, new Uint8Array(0)) : data(text),
        initialCursor: MAX_SEQNUM,
        writer,
      });
    /** The data of a PIN at a position, of an attempt that has written up to this version. */
    const pinAt = (position: number, counter: number, seqnum = 7) =>
      writePinHead(new ByteWriter(32), { position, written: { seqnum: seqnum as SeqNum, role: 0, counter } }).take();
    const get = async () => textOf((await on.shard.book(ALICE).readCell("x", MAX_SEQNUM)).record);

    test("[33] F3: has the highest version, whatever comes first; a lower one, or the same again, counts as done", async () => {
      expect(await put("1", 7, 0, 1)).toMatchObject({ kind: "written" });
      const newest = await put("2", 7, 1, 1);
      expect(newest.kind).toBe("written");
      for (const [seqnum, role, counter] of [
        [7, 1, 1],
        [7, 0, 9],
        [6, 1, 9],
      ] as const) {
        // What it depends on is the newer one (F8).
        expect(await put("late", seqnum, role, counter)).toEqual({ ...newest, kind: "superseded" });
      }
      expect(await get()).toBe("2");
      await put("3", 7, 1, 2);
      await put("4", 8);
      expect(await get()).toBe("4");
    });

    test("F3: is a view of entries of the journal: what was durable is there after a crash, with its version", async () => {
      await put("1", 7);
      await on.shard.whenDurable(await on.shard.book(ALICE).tail());
      const before = await on.shard.book(ALICE).readCell("x", MAX_SEQNUM);
      on.shard = await on.harness.restart();
      const after = await on.shard.book(ALICE).readCell("x", MAX_SEQNUM);
      expect([after.record, after.home]).toEqual([before.record, "cell"]);
      expect((await put("late", 6)).kind).toBe("superseded");
      expect((await put("2", 9)).kind).toBe("written");
    });

    test("[36] F25: a PIN of an attempt that has not come to what its instance has written since its last step is refused", async () => {
      const book = on.shard.book(ALICE);
      const instance = "waiter" as InstanceId;
      const writer = stepTag(instance);
      const none = encodeStep({ fingerprint: NO_FINGERPRINT, pins: null }, new Uint8Array(0));
      const append = async (kind: NewRecord["kind"], tags: readonly Tag[], at = none) =>
        book.append({ records: [{ kind, tags, data: at }] });
      const pin = (counter: number) => append(RecordKind.pin, [attemptTag(instance)], pinAt(1, counter));
      await append(RecordKind.init, [writer]);
      await put("1", 7, 0, 1, writer);
      await put("2", 7, 0, 2, writer);
      expect(await pin(1)).toMatchObject({ kind: "badPosition", tag: writer, length: 1 });
      // Of a write that was done before a newer one nothing is in the log.
      expect((await put("late", 7, 0, 1, writer)).kind).toBe("superseded");
      expect((await pin(2)).kind).toBe("appended");
      await append(RecordKind.resume, [writer]);
      await put("3", 7, 0, 3, writer);
      expect((await pin(2)).kind).toBe("badPosition");
      // A step says that all before it is done.
      await append(RecordKind.fence, [writer]);
      expect((await pin(2)).kind).toBe("appended");
      await append(RecordKind.resume, [writer]);
      await put("4", 7, 0, 4, writer);
      await book.append({ records: [{ kind: RecordKind.parked, tags: [attemptTag(instance)], data: none }] });
      await on.shard.whenDurable(await book.tail());
      on.shard = await on.harness.restart();
      const again = on.shard.book(ALICE);
      const late = { kind: RecordKind.pin, tags: [attemptTag(instance)], data: pinAt(1, 3) };
      expect((await again.append({ records: [late] })).kind).toBe("badPosition");
      await expect(again.append({ records: [{ ...late, data: new Uint8Array(3) }] })).rejects.toMatchObject({
        code: "BAD_RECORD",
      });
    });

    test("F37: a moment at which a transaction reads is kept in cells and lists until it is over, and then TRIMMED", async () => {
      const book = on.shard.book(ALICE);
      const own = stepTag("reader" as InstanceId);
      const none = encodeStep({ fingerprint: NO_FINGERPRINT, pins: null }, new Uint8Array(0));
      const step = async (kind: NewRecord["kind"]) =>
        seqnumOf(await book.append({ records: [{ kind, tags: [own], data: none }] }));
      const written = async (text: string, counter: number) => (await put(text, 7, 0, counter)) as { readonly seqnum: SeqNum };
      await step(RecordKind.init);
      const first = await written("1", 1);
      const begin = await step(RecordKind.begin);
      const listed = async () => {
        const { objects } = await book.listObjects("", "", MAX_SEQNUM, 9, begin);
        return objects.map(({ key, seqnum }) => [key, seqnum]);
      };
      for (const [text, counter] of [
        ["2", 2],
        ["deleted", 3],
        ["4", 4],
      ] as const) {
        await written(text, counter);
        expect((await book.readCell("x", MAX_SEQNUM, begin)).record?.seqnum).toBe(first.seqnum);
        expect(await listed()).toEqual([["x", first.seqnum]]);
      }
      // Another moment, of what came later.
      const later = await step(RecordKind.begin);
      expect(textOf((await book.readCell("x", MAX_SEQNUM, later)).record)).toBe("4");
      expect(textOf((await book.readCell("none", MAX_SEQNUM, later)).record)).toBeNull();
      await written("5", 5);
      await expect(book.readCell("x", MAX_SEQNUM, begin)).rejects.toMatchObject({ code: "TRIMMED" });
      await expect(listed()).rejects.toMatchObject({ code: "TRIMMED" });
      // Nobody is to run it.
      await book.append({ records: [{ kind: RecordKind.parked, tags: [attemptTag("reader" as InstanceId)], data: none }] });
      await on.shard.whenDurable(await book.tail());
      on.shard = await on.harness.restart();
      const again = await on.shard.book(ALICE).readCell("x", MAX_SEQNUM, later);
      expect(textOf(again.record)).toBe("4");
      expect(await get()).toBe("5");
    });

    test("F14: one append changes cells and versions, on the condition that none of their newest writes has changed", async () => {
      const book = on.shard.book(ALICE);
      const first = (await put("1", 7)) as { readonly seqnum: SeqNum };
      const version = { kind: RecordKind.write, tags: [objectTag("y")], data: data("1") };
      const second = seqnumOf(await book.append({ records: [version] }));
      const names = (await book.tailOf(NAMES_TAG)).last;
      const both = (x: SeqNum, y: SeqNum) =>
        book.append({
          records: [
            { kind: RecordKind.write, tags: [], data: data("2"), cell: { key: "x", version: null } },
            { kind: RecordKind.write, tags: [objectTag("y")], data: data("2") },
          ],
          when: [
            { tag: objectTag("x"), newest: x },
            { tag: objectTag("y"), newest: y },
          ],
        });
      expect(await both(NO_SEQNUM, second)).toMatchObject({ kind: "conflict", tag: objectTag("x") });
      expect(await both(first.seqnum, NO_SEQNUM)).toMatchObject({ kind: "conflict", tag: objectTag("y") });
      expect((await both(first.seqnum, second)).kind).toBe("appended");
      expect(await get()).toBe("2");
      expect((await book.tailOf(NAMES_TAG)).last).toBe(names);
      // A cell that is made, or deleted, is a change of names.
      await put("deleted", (await book.tail()) + 1);
      expect((await book.tailOf(NAMES_TAG)).last).toBe(await book.tail());
    });

    test("[35] a delete has a version too: a write from before it changes nothing", async () => {
      await put("1", 7);
      await put("deleted", 9);
      expect((await put("late", 8)).kind).toBe("superseded");
      expect((await on.shard.book(ALICE).readCell("x", MAX_SEQNUM)).record?.kind).toBe(RecordKind.delete);
      expect((await on.shard.book(ALICE).listObjects("", "", MAX_SEQNUM, 9)).objects).toEqual([]);
    });

    test("[18] F31, F25: is not written by who is done, or has to go on from a RESUME", async () => {
      const book = on.shard.book(ALICE);
      const writer = stepTag("writer" as InstanceId);
      const none = encodeStep({ fingerprint: NO_FINGERPRINT, pins: null }, new Uint8Array(0));
      const append = async (kind: NewRecord["kind"], tags: readonly Tag[]) =>
        seqnumOf(await book.append({ records: [{ kind, tags, data: kind === RecordKind.pin ? pinAt(1, 1) : none }] }));
      await append(RecordKind.init, [writer]);
      expect((await put("1", 7, 0, 1, writer)).kind).toBe("written");
      const pin = await append(RecordKind.pin, [attemptTag("writer" as InstanceId)]);
      expect(await put("late", 8, 0, 1, writer)).toEqual({ kind: "badPosition", seqnum: pin });
      await append(RecordKind.resume, [writer]);
      expect((await put("2", 9, 0, 1, writer)).kind).toBe("written");
      const end = await append(RecordKind.cancel, [writer]);
      expect(await put("late", 10, 0, 1, writer)).toEqual({ kind: "closed", seqnum: end });
      expect(await get()).toBe("2");
    });

    test("F14(d): a condition names the newest write, and the owner tests it in the tick in which it orders", async () => {
      const book = on.shard.book(ALICE);
      const object = objectTag("x");
      const update = (text: string, newest: SeqNum) =>
        book.append({
          records: [{ kind: RecordKind.write, tags: [], data: data(text), cell: { key: "x", version: null } }],
          when: [{ tag: object, newest }],
        });
      const first = seqnumOf(await update("1", NO_SEQNUM));
      await put("2", first, 0, 1);
      expect(await update("lost", first)).toMatchObject({ kind: "conflict", tag: object });
      const { record } = await book.readCell("x", MAX_SEQNUM);
      expect(textOf(record)).toBe("2");
      const racers = await Promise.all(["a", "b", "c"].map((racer) => update(racer, record?.seqnum ?? NO_SEQNUM)));
      expect(racers.map(({ kind }) => kind)).toEqual(["appended", "conflict", "conflict"]);
      expect(await get()).toBe("a");
    });

    test("a step and the cell that it changes are ordered together or not at all", async () => {
      const book = on.shard.book(ALICE);
      const own = stepTag("1" as InstanceId);
      const step = (text: string): NewRecord => ({
        kind: RecordKind.write,
        tags: [own],
        data: data(text),
        cell: { key: "x", version: null },
      });
      const seqnum = seqnumOf(await book.append({ records: [step("1")], when: [{ tag: own, length: 0 }] }));
      expect((await book.append({ records: [step("2")], when: [{ tag: own, length: 0 }] })).kind).toBe("conflict");
      const read = await book.readCell("x", MAX_SEQNUM);
      expect([textOf(read.record), read.record?.seqnum]).toEqual(["1", seqnum]);
    });

    test("PROTOCOL_MISMATCH: an object lives in versions or in a cell, and whoever looks in the other place is told", async () => {
      const book = on.shard.book(ALICE);
      const before = await book.tail();
      await put("1", 7);
      const mismatch = { code: "PROTOCOL_MISMATCH" };
      await expect(book.readPrev(objectTag("x"), MAX_SEQNUM)).rejects.toMatchObject(mismatch);
      await expect(book.append({ records: [write("2", objectTag("x"))] })).rejects.toMatchObject(mismatch);
      // A reader from before the cell sees what there was: nothing.
      expect((await book.readPrev(objectTag("x"), before)).record).toBeNull();
      await book.append({ records: [write("1", objectTag("y"))] });
      const inCell = { key: "y", version: { seqnum: 9 as SeqNum, role: 0, counter: 0 }, kind: RecordKind.write } as const;
      await expect(
        book.writeCell({ ...inCell, data: data("2"), initialCursor: MAX_SEQNUM, writer: tag("i/w") }),
      ).rejects.toMatchObject(mismatch);
      expect((await book.readCell("y", MAX_SEQNUM)).home).toBe("versions");
      // A write from outside goes where the object lives.
      for (const key of ["x", "y"]) {
        await book.append({ records: [{ kind: RecordKind.write, tags: [], data: data("outside"), place: key }] });
        expect(textOf((await book.readCell(key, MAX_SEQNUM)).record)).toBe("outside");
      }
      expect((await book.listObjects("", "", MAX_SEQNUM, 9)).objects.map(({ key, home }) => `${key} ${home}`)).toEqual([
        "x cell",
        "y versions",
      ]);
    });

    test("entries that are malformed are refused, and nothing is ordered", async () => {
      const book = on.shard.book(ALICE);
      const tail = await book.tail();
      const cell = { key: "x", version: null };
      const refused: [string, NewRecord][] = [
        ["BAD_RECORD", { kind: RecordKind.sleep, tags: [], data: data("1"), cell }],
        ["BAD_KEY", { kind: RecordKind.write, tags: [], data: data("1"), cell: { ...cell, key: "" } }],
        ["BAD_RECORD", { kind: RecordKind.mode, tags: [], data: data("1") }],
        ["BAD_RECORD", { kind: RecordKind.migrated, tags: [], data: data("1") }],
        ["BAD_KEY", { kind: RecordKind.write, tags: [], data: data("1"), place: "x\u0000" }],
      ];
      for (const [code, record] of refused) {
        await expect(book.append({ records: [record] })).rejects.toMatchObject({ code });
      }
      await expect(put("1", 7, 0, 2 ** 32)).rejects.toMatchObject({ code: "BAD_RECORD" });
      await expect(put("1", -1)).rejects.toMatchObject({ code: expect.stringMatching(/^BAD_(SEQNUM|MESSAGE)$/) });
      expect(await book.tail()).toBe(tail);
    });
  });
}
