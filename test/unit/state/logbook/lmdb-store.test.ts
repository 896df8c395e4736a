import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { open } from "lmdb";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { SeqNum } from "../../../../state/ids.ts";
import { openLmdbStore } from "../../../../state/logbook/checkpoint/lmdb-store.ts";
import type { Checkpoint, CheckpointStore } from "../../../../state/logbook/index.ts";
import { prng } from "../../../support/prng.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "neap-lmdb-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const checkpoint = (frame: number): Checkpoint => ({
  journalId: "j",
  position: { frame, address: frame * 100 },
  recordsBefore: frame * 100,
  releasable: 0,
  tail: frame as SeqNum,
  timeMs: 7,
  epoch: 1,
});

function save(
  store: CheckpointStore,
  frame: number,
  entries: Record<string, string>,
  records: Record<number, string> = {},
): void {
  store.save(checkpoint(frame), (writer) => {
    for (const [key, value] of Object.entries(entries)) {
      writer.put(Buffer.from(key), Buffer.from(value));
    }
    writer.keepRecords((seqnum) => seqnum % 2 === 1);
    for (const [seqnum, bytes] of Object.entries(records)) {
      writer.putRecord(Number(seqnum) as SeqNum, Buffer.from(bytes));
    }
  });
}

function entriesOf(store: CheckpointStore): Record<string, string> {
  const found: Record<string, string> = {};
  store.load((key, value) => {
    found[key.toString()] = value.toString();
  });
  return found;
}

async function withStore<T>(use: (store: CheckpointStore) => T): Promise<T> {
  const store = openLmdbStore(folder);
  try {
    return use(store);
  } finally {
    await store.close();
  }
}

test("a store holds what was saved last, and nothing of before that was not put again", async () => {
  await withStore((store) => {
    expect(store.last()).toBeUndefined();
    expect(entriesOf(store)).toEqual({});
    save(store, 1, { b: "two", a: "one", c: "three" }, { 1: "first", 2: "second", 4294967297: "far" });
    save(store, 2, { a: "one", b: "changed", d: "" });
  });
  await withStore((store) => {
    expect(store.last()).toMatchObject(checkpoint(2));
    expect(entriesOf(store)).toEqual({ a: "one", b: "changed", d: "" });
    const read = (seqnum: number) => store.record(seqnum as SeqNum)?.toString();
    expect([1, 2, 3, 4_294_967_297].map(read)).toEqual(["first", undefined, undefined, "far"]);
  });
});

test("C1: a save that fails changes nothing", async () => {
  await withStore((store) => {
    save(store, 1, { a: "one" }, { 1: "first" });
    expect(() =>
      store.save(checkpoint(2), (writer) => {
        writer.put(Buffer.from("a"), Buffer.from("changed"));
        throw new Error("halfway");
      }),
    ).toThrow("halfway");
    expect([entriesOf(store), store.last()?.position.frame]).toEqual([{ a: "one" }, 1]);
  });
});

test("an entry that is not what was saved, one that is missing, and a record that was changed are found", async () => {
  await withStore((store) => save(store, 1, { a: "one", b: "two" }, { 1: "first" }));
  const tamper = async (change: (database: (name: string) => ReturnType<ReturnType<typeof open>["openDB"]>) => void) => {
    const copy = readFileSync(join(folder, "data.mdb"));
    const options = { encoding: "binary", keyEncoding: "binary" } as const;
    const environment = open({ path: folder, ...options, overlappingSync: false });
    change((name) => environment.openDB({ name, ...options }));
    await environment.close();
    return () => writeFileSync(join(folder, "data.mdb"), copy);
  };
  const code = { code: "JOURNAL_DAMAGED" };
  let restore = await tamper((database) => database("index").putSync(Buffer.from("a"), Buffer.from("0000forged")));
  await expect(withStore(entriesOf)).rejects.toMatchObject(code);
  restore();
  restore = await tamper((database) => database("index").removeSync(Buffer.from("a")));
  await expect(withStore(entriesOf)).rejects.toThrow(`checkpoint in ${folder}: 1 entries instead of 2`);
  restore();
  await tamper((database) => database("records").putSync(Buffer.from([0, 0, 0, 0, 0, 0, 0, 1]), Buffer.from("0000forged")));
  await expect(withStore((store) => store.record(1 as SeqNum))).rejects.toMatchObject(code);
  expect(await withStore(entriesOf)).toEqual({ a: "one", b: "two" });
});

test("L3: a file whose last pages were taken and given back in one transaction is whole, though LMDB has not written them", async () => {
  const path = join(folder, "data.mdb");
  const random = prng(7);
  let unwritten = 0;
  for (let frame = 1; unwritten === 0; frame++) {
    expect(frame, "LMDB has written every page it counts").toBeLessThan(200);
    const entries = Array.from({ length: 50 + random.below(300) }, (_, i) => [
      `${random.below(5_000)} ${i}`,
      "x".repeat(random.below(1_200)),
    ]);
    await withStore((store) => save(store, frame, Object.fromEntries(entries)));
    const pages = readFileSync(path);
    for (; pages.subarray(pages.length - (unwritten + 1) * 4_096).every((byte) => byte === 0); unwritten++);
  }
  const saved = await withStore((store) => [store.last(), entriesOf(store)]);
  const { size } = statSync(path);
  // As a crash right behind the commit leaves it.
  truncateSync(path, size - unwritten * 4_096);
  expect(await withStore((store) => [store.last(), entriesOf(store)])).toEqual(saved);
  expect(statSync(path).size).toBe(size);
  for (let missing = unwritten + 1; missing < unwritten + 4; missing++) {
    truncateSync(path, size - missing * 4_096);
    expect(() => openLmdbStore(folder)).toThrow(`data.mdb has ${size - missing * 4_096} bytes instead of ${size}`);
  }
});

test("a file that is shorter than it says of itself, or something else, is refused instead of mapped", async () => {
  const path = join(folder, "data.mdb");
  await withStore((store) =>
    save(store, 1, Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`${i}`, "x".repeat(100)]))),
  );
  const whole = readFileSync(path);
  truncateSync(path, statSync(path).size - 8_192);
  expect(() => openLmdbStore(folder)).toThrow(/data\.mdb has \d+ bytes instead of \d+/);
  writeFileSync(path, "not a database".padEnd(10_000));
  expect(() => openLmdbStore(folder)).toThrow("data.mdb is not an LMDB file");
  writeFileSync(path, "");
  await withStore((store) => expect(store.last()).toBeUndefined());
  writeFileSync(path, whole);
  expect(Object.keys(await withStore(entriesOf))).toHaveLength(500);
});
