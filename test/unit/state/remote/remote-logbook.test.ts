import { afterEach, describe, expect, test } from "vitest";
import { type InstanceId, type LogBookId, MAX_SEQNUM, type Tag } from "../../../../state/ids.ts";
import { RecordKind } from "../../../../state/logbook/index.ts";
import { encodeStep, NO_FINGERPRINT } from "../../../../state/logbook/step-record.ts";
import { encodeObjectValue } from "../../../../state/objects/object-record.ts";
import { PAGE_BYTES, PAGE_ENTRIES } from "../../../../state/remote/shard-methods.ts";
import { objectTag, stepTag } from "../../../../state/tags.ts";
import { Cleanup, freshNode, freshOwner } from "../../../support/cluster.ts";
import { BOOK, bytes, tagOf } from "../../../support/open-shard.ts";

const TIMEOUT_MS = 10_000;
const cleanup = new Cleanup();
afterEach(() => cleanup.run());

async function connected() {
  const owner = await freshOwner(cleanup);
  const shard = await freshNode(cleanup, owner.url).connection.available(TIMEOUT_MS);
  return { owner, shard, local: owner.test.shard };
}

describe("answers larger than a message", () => {
  test("a stream longer than a page arrives whole and in order, from any position", async () => {
    const { shard, local } = await connected();
    const tag = tagOf("t/long");
    const recordBytes = 32 * 1024;
    const length = (3 * PAGE_BYTES) / recordBytes + 1;
    for (let i = 0; i < length; i++) {
      await local.book(BOOK).append({ records: [{ kind: RecordKind.write, tags: [tag], data: Buffer.alloc(recordBytes, i) }] });
    }
    const stream = await shard.book(BOOK).readStream(tag, 0);
    expect(stream.records.map(({ data }) => data[0])).toEqual(Array.from({ length }, (_, i) => i));
    expect(stream).toMatchObject({ length, closed: false });
    expect((await shard.book(BOOK).readStream(tag, length - 2)).records).toHaveLength(2);
    expect((await shard.book(BOOK).readStream(tag, length)).records).toEqual([]);
  });

  test("a list longer than a page arrives whole and in order, up to its limit", async () => {
    const { shard, local } = await connected();
    const names = Array.from({ length: PAGE_ENTRIES * 2 + 10 }, (_, i) => `k${String(i).padStart(6, "0")}`);
    const data = encodeStep(
      { fingerprint: NO_FINGERPRINT, pins: null },
      encodeObjectValue({ kind: "inline", bytes: bytes("v") }),
    );
    for (let i = 0; i < names.length; i += 500) {
      const records = names.slice(i, i + 500).map((name) => ({ kind: RecordKind.write, tags: [objectTag(name)], data }));
      await local.book(BOOK).append({ records });
    }
    const book = shard.book(BOOK);
    const keys = async (after: string, limit: number) =>
      (await book.listObjects("k", after, MAX_SEQNUM, limit)).objects.map(({ key }) => key);
    expect(await keys("", MAX_SEQNUM)).toEqual(names);
    expect(await keys("", PAGE_ENTRIES + 1)).toEqual(names.slice(0, PAGE_ENTRIES + 1));
    expect(await keys(names[PAGE_ENTRIES] ?? "", 5)).toEqual(names.slice(PAGE_ENTRIES + 1, PAGE_ENTRIES + 6));
    expect(await keys("", 0)).toEqual([]);
  });

  test("unfinished instances and LogBooks beyond a page are all listed", async () => {
    const { shard, local } = await connected();
    const count = PAGE_ENTRIES + 5;
    for (let i = 0; i < count; i++) {
      const tags = [stepTag(`i-${i}` as InstanceId)];
      await local.book(BOOK).append({ records: [{ kind: RecordKind.init, tags, data: bytes("") }] });
      await local
        .book(`tenant-${i}` as LogBookId)
        .append({ records: [{ kind: RecordKind.write, tags: [tagOf("t/x")], data: bytes("") }] });
    }
    expect(new Set((await shard.unfinished(BOOK)).map(({ instance }) => instance)).size).toBe(count);
    expect(new Set(await shard.books()).size).toBe(count + 1);
  });
});

test("a tag that is not well-formed never becomes another tag on its way", async () => {
  const { shard } = await connected();
  const book = shard.book(BOOK);
  const record = { kind: RecordKind.write, tags: [tagOf("t/\ufffd")], data: bytes("x") };
  await book.append({ records: [record] });
  const broken = "t/\ud800" as Tag;
  await expect(book.readPrev(broken, MAX_SEQNUM)).rejects.toMatchObject({ code: "BAD_TAG" });
  await expect(book.readStream(broken, 0)).rejects.toMatchObject({ code: "BAD_TAG" });
  await expect(book.turn(broken)).rejects.toMatchObject({ code: "BAD_TAG" });
  await expect(book.append({ records: [record], when: [{ tag: broken, length: 0 }] })).rejects.toMatchObject({ code: "BAD_TAG" });
});

test("a turn that a node gives back goes to the next, and giving it back twice harms nobody", async () => {
  const { shard, local } = await connected();
  const tag = tagOf("t/hot");
  const first = await shard.book(BOOK).turn(tag);
  const second = local.book(BOOK).turn(tag);
  first.end();
  const turn = await second;
  const third = shard.book(BOOK).turn(tag);
  first.end();
  turn.end();
  expect((await third).tail).toBe(await local.book(BOOK).tail());
});

test("what a record holds arrives as plain bytes of its own", async () => {
  const { shard } = await connected();
  const tag = tagOf("t/x");
  await shard.book(BOOK).append({ records: [{ kind: RecordKind.write, tags: [tag], data: bytes("payload") }] });
  const { record } = await shard.book(BOOK).readPrev(tag, MAX_SEQNUM);
  expect(record?.data).toBeInstanceOf(Uint8Array);
  expect(record?.data).not.toBeInstanceOf(Buffer);
  expect(record?.data.buffer.byteLength).toBe(7);
});
