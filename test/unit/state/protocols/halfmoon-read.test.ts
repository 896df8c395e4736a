import { beforeEach, describe, expect, it } from "vitest";
import { type InstanceId, NO_SEQNUM, type SeqNum } from "../../../../state/ids.ts";
import { type LogBook, RecordKind } from "../../../../state/logbook/index.ts";
import { encodeStep, NO_FINGERPRINT } from "../../../../state/logbook/step-record.ts";
import { encodeObjectValue } from "../../../../state/objects/index.ts";
import { ScopedObjects, StepStream } from "../../../../state/protocols/index.ts";
import { objectTag, stepTag } from "../../../../state/tags.ts";
import { BOOK, bytes, openTestShard, type TestShard } from "../../../support/open-shard.ts";

let test: TestShard;
let book: LogBook;
let attempts = 0;

beforeEach(async () => {
  test = await openTestShard();
  book = test.shard.book(BOOK);
});

/** An attempt of a new instance that begins now. */
async function begin(): Promise<{ steps: StepStream; objects: ScopedObjects }> {
  attempts += 1;
  const instance = `i-${attempts}` as InstanceId;
  const pins = {
    initialCursor: await book.tail(),
    timeMs: 0,
    seed: new Uint8Array(16),
    nonce: new Uint8Array(8).fill(attempts),
  };
  const init = { kind: RecordKind.init, tags: [stepTag(instance)], data: bytes("init") };
  const steps = new StepStream(book, instance, { kind: "unlogged", pins, init: () => init });
  return { steps, objects: new ScopedObjects(steps, test.blobs, { modeCursor: NO_SEQNUM, protocol: "halfmoon-read" }) };
}

const inline = (text: string) => ({ kind: "inline", bytes: bytes(text) }) as const;

async function put(key: string, text: string): Promise<SeqNum> {
  const data = encodeStep({ fingerprint: NO_FINGERPRINT, pins: null }, encodeObjectValue(inline(text)));
  const result = await book.append({ records: [{ kind: RecordKind.write, tags: [objectTag(key)], data }] });
  return result.kind === "appended" ? result.seqnum : NO_SEQNUM;
}

async function textOf(objects: ScopedObjects, key: string): Promise<string | null> {
  const read = await objects.read(key, 0, 1000);
  return read.kind === "found" ? Buffer.from(read.bytes).toString() : null;
}

describe("reads under Halfmoon-read", () => {
  it("are of one moment, and append nothing", async () => {
    await put("x", "1");
    const { steps, objects } = await begin();
    const before = await book.tail();
    expect(await textOf(objects, "x")).toBe("1");
    await put("x", "2");
    await put("y", "2");
    expect([await textOf(objects, "x"), await textOf(objects, "y")]).toEqual(["1", null]);
    expect(await objects.list("", "", 10)).toHaveLength(1);
    expect(await book.tail()).toBe(before + 2);
    expect(steps.logged).toBe(false);
  });

  it("see what the attempt wrote, and from then on what was written before that", async () => {
    await put("x", "1");
    const { objects } = await begin();
    await textOf(objects, "x");
    await put("y", "theirs");
    await objects.write("x", inline("mine"), 1);
    expect([await textOf(objects, "x"), await textOf(objects, "y")]).toEqual(["mine", "theirs"]);
    await objects.delete("y");
    expect(await textOf(objects, "y")).toBeNull();
    expect((await objects.list("", "", 10)).map(({ key }) => key)).toEqual(["x"]);
  });

  it("give slices of one version while the object is being replaced", async () => {
    await put("x", "abcdef");
    const { objects } = await begin();
    const first = await objects.read("x", 0, 3);
    await put("x", "ABCDEF");
    const second = await objects.read("x", 3, 3);
    const slices = [first, second].map((read) => (read.kind === "found" ? Buffer.from(read.bytes).toString() : ""));
    expect(slices.join("")).toBe("abcdef");
  });

  it("F8: note the version, or the delete, that they rest on; a list notes its cursor", async () => {
    const seqnum = await put("x", "1");
    const reader = await begin();
    await reader.objects.read("x", 0, 0);
    expect(reader.steps.dependency).toBe(seqnum);
    const deleter = await begin();
    await deleter.objects.delete("x");
    const hidden = await begin();
    expect(await textOf(hidden.objects, "x")).toBeNull();
    expect(hidden.steps.dependency).toBe(await book.tail());
    const lister = await begin();
    await lister.objects.list("", "", 10);
    expect(lister.steps.dependency).toBe(lister.steps.cursor);
  });

  it("F13: say the same of a deleted object before and after a collection has let go of the delete", async () => {
    test = await openTestShard({ options: { garbageMin: 1 } });
    book = test.shard.book(BOOK);
    await put("x", "1");
    await book.append({ records: [{ kind: RecordKind.delete, tags: [objectTag("x")], data: bytes("") }] });
    const { objects } = await begin();
    const before = await objects.read("x", 0, 10);
    const { objects: sameMoment } = await begin();
    await test.shard.collect();
    expect((await book.readStream(objectTag("x"), 0)).length).toBe(0);
    expect(await sameMoment.read("x", 0, 10)).toEqual(before);
    expect(before).toEqual({ kind: "absent", version: 0, timeMs: 0 });
  });

  it("F14: an update of a deleted object holds while it is absent, and not when somebody has made it again", async () => {
    await put("x", "1");
    await book.append({ records: [{ kind: RecordKind.delete, tags: [objectTag("x")], data: bytes("") }] });
    const first = await begin();
    const second = await begin();
    const [read, same] = [await first.objects.read("x", 0, 10), await second.objects.read("x", 0, 10)];
    expect((await first.objects.update("x", read.version, inline("2"), 1)).kind).toBe("applied");
    await expect(second.objects.update("x", same.version, inline("3"), 1)).rejects.toMatchObject({ reason: "restart" });
    expect(await textOf((await begin()).objects, "x")).toBe("2");
  });

  it("F35: give the time of the record they rest on", async () => {
    test.time.advance(1000);
    await put("x", "1");
    const { objects } = await begin();
    expect((await objects.read("x", 0, 1)).timeMs).toBe(test.time.now());
  });
});

describe("an update under Halfmoon-read", () => {
  const next = (text: string | null) => `${Number(text ?? 0) + 1}`;

  /** Reads and updates until it is applied. Returns how many conflicts there were. */
  async function increment({ objects }: { objects: ScopedObjects }): Promise<number> {
    for (let conflicts = 0; ; conflicts += 1) {
      const read = await objects.readForUpdate("n", 100);
      const text = read.kind === "found" ? Buffer.from(read.bytes).toString() : null;
      const outcome = await objects.update("n", read.version, inline(next(text)), 1);
      if (outcome.kind === "applied") {
        return conflicts;
      }
    }
  }

  it("F14: loses no increment of attempts that have steps already, and their turns keep conflicts few", async () => {
    const all = await Promise.all(Array.from({ length: 20 }, begin));
    for (const attempt of all) {
      await attempt.objects.write("own", inline("1"), 1);
    }
    const conflicts = await Promise.all(all.map(increment));
    const { records } = await book.readStream(objectTag("n"), 0);
    expect(records).toHaveLength(20);
    expect(Math.max(...conflicts)).toBeLessThanOrEqual(1);
  });

  it("of an attempt without a step waits for its turn and then reads at a fresh cursor: no conflict at all", async () => {
    const all = await Promise.all(Array.from({ length: 20 }, begin));
    expect(await Promise.all(all.map(increment))).toEqual(Array.from({ length: 20 }, () => 0));
  });

  it("queues again when a write in between has ended its turn", async () => {
    const [first, second] = [await begin(), await begin()];
    await first.objects.write("own", inline("1"), 1);
    const read = await first.objects.readForUpdate("n", 100);
    await put("n", "10");
    const waiting = second.objects.readForUpdate("n", 100);
    expect((await first.objects.update("n", read.version, inline("1"), 1)).kind).toBe("conflict");
    const again = first.objects.readForUpdate("n", 100);
    let turned = false;
    void again.then(() => {
      turned = true;
    });
    await waiting;
    await new Promise((resolve) => setImmediate(resolve));
    expect(turned).toBe(false);
    second.objects.close();
    expect((await again).kind).toBe("found");
  });

  it("gives its turn back when the attempt ends", async () => {
    const [first, second] = [await begin(), await begin()];
    await first.objects.readForUpdate("n", 100);
    const waiting = second.objects.readForUpdate("n", 100);
    first.objects.close();
    expect((await waiting).kind).toBe("absent");
  });
});
