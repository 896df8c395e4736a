import { afterEach, describe, expect, test, vi } from "vitest";
import type { CallBytes, StoredBytes } from "../../../../host/invocation/index.ts";
import { DEFAULT_SHARD_OPTIONS, type LocalShardOptions, RecordKind } from "../../../../state/logbook/index.ts";
import { BLOB_CHUNK_BYTES } from "../../../../state/objects/index.ts";
import { readAll } from "../../../support/call-bytes.ts";
import { MemoryBlobs } from "../../../support/memory-blobs.ts";
import { openTestShard } from "../../../support/open-shard.ts";
import { ScriptedGuest } from "../../../support/scripted-guest.ts";
import { ScriptedHost } from "../../../support/scripted-host.ts";

const LONG = `${"x".repeat(3 * BLOB_CHUNK_BYTES)}end`;
/** Of a reply, around a slice of an output. */
const REPLY_HEAD_BYTES = 12;

afterEach(() => vi.restoreAllMocks());

async function openHost(options: Partial<LocalShardOptions> = {}) {
  const blobs = new MemoryBlobs();
  const test = await openTestShard({ blobs, options: { garbageMin: 1, ...options } });
  const host = await ScriptedHost.open({ test });
  await host.define("long", async (guest) => {
    guest.put("seen", guest.input);
    guest.output(LONG);
    return 0;
  });
  return { host, blobs };
}

function outputOf(answer: Awaited<ReturnType<ScriptedHost["call"]>>): CallBytes {
  if (answer.kind !== "completed") {
    throw new Error(`it was answered ${answer.kind}`);
  }
  return answer.result.output;
}

/** The answer of a call that has run before. */
async function storedOutput(host: ScriptedHost): Promise<StoredBytes> {
  const call = { functionName: "long", key: "k" };
  expect((await readAll(outputOf(await host.call(call)))).toString() === LONG).toBe(true);
  const output = outputOf(await host.call(call));
  if (output instanceof Uint8Array) {
    throw new Error(`${output.byteLength} bytes of a stored output are held in memory`);
  }
  return output;
}

test("a long output of a call that nobody can ask for again is there for its answer, though a collection comes before it is read", async () => {
  const { answerMs } = DEFAULT_SHARD_OPTIONS;
  const { host } = await openHost({ answerMs });
  const { shard, time } = host.test;
  const collect = async () => {
    await host.put("x", "1");
    await host.put("x", "2");
    await shard.collect();
  };
  const output = outputOf(await host.call({ functionName: "long" }));
  time.advance(answerMs - 1);
  await collect();
  expect((await readAll(output)).toString() === LONG).toBe(true);
  const instances = shard.live(RecordKind.done).records;
  time.advance(1);
  await collect();
  expect([instances, shard.live(RecordKind.done).records]).toEqual([1, 0]);
});

test("what a collection has left so is collected by the next one, though nothing has happened since", async () => {
  const { answerMs } = DEFAULT_SHARD_OPTIONS;
  const { host } = await openHost({ answerMs });
  const { shard, time } = host.test;
  await host.call({ functionName: "long" });
  await host.put("x", "1");
  await host.put("x", "2");
  await shard.collect();
  time.advance(answerMs);
  const instances = shard.live(RecordKind.done).records;
  await shard.collect();
  expect([instances, shard.live(RecordKind.done).records]).toEqual([1, 0]);
});

describe("H27: a long output", () => {
  test("reaches a caller in slices, also when it is read from the log", async () => {
    const { host } = await openHost();
    const replies = vi.spyOn(ScriptedGuest.prototype, "reply");
    const heard: boolean[] = [];
    await host.define("caller", async (guest) => {
      heard.push((await guest.callAwait(guest.callStart("long", ""))).text === LONG);
      if (heard.length === 1) {
        guest.displace();
      }
      return 0;
    });
    expect(await host.told({ functionName: "caller" })).toBe("0 ");
    expect(heard).toEqual([true, true]);
    const sizes = replies.mock.calls.map(([{ bytes }]) => bytes.byteLength);
    expect(Math.max(...sizes)).toBe(BLOB_CHUNK_BYTES + REPLY_HEAD_BYTES);
  });

  test("of a stored call is not held in memory, but its blob is while it is read, also after it was collected", async () => {
    const { host, blobs } = await openHost();
    const { sizeBytes, pieces } = await storedOutput(host);
    expect([sizeBytes, blobs.readers]).toEqual([LONG.length, 0]);
    const read: Uint8Array[] = [];
    for await (const piece of pieces) {
      expect(blobs.readers).toBe(1);
      read.push(piece);
      blobs.blobs.clear();
    }
    expect(blobs.readers).toBe(0);
    expect(Buffer.concat(read).toString() === LONG).toBe(true);
    expect(Math.max(...read.map((piece) => piece.byteLength))).toBe(BLOB_CHUNK_BYTES);
  });

  test("is read back from the disk for the call's own answer, one of up to 64 KiB is not", async () => {
    const { host, blobs } = await openHost();
    await host.define("writes", async (guest) => {
      guest.put("seen", guest.input);
      guest.output("x".repeat(Number(guest.input)));
      return 0;
    });
    // The module is read as well, once.
    await host.call({ functionName: "writes", input: "1" });
    const opened = vi.spyOn(blobs, "open");
    const opens: number[] = [];
    for (const sizeBytes of [65_536, 65_537]) {
      opened.mockClear();
      const bytes = await readAll(outputOf(await host.call({ functionName: "writes", input: `${sizeBytes}` })));
      expect(bytes.byteLength).toBe(sizeBytes);
      opens.push(opened.mock.calls.length);
    }
    expect(opens).toEqual([0, 1]);
  });

  test("is let go of by a reader that stops in the middle", async () => {
    const { host, blobs } = await openHost();
    for await (const _ of (await storedOutput(host)).pieces) {
      expect(blobs.readers).toBe(1);
      break;
    }
    expect(blobs.readers).toBe(0);
  });

  test("that was collected before it is read is BLOB_MISSING", async () => {
    const { host, blobs } = await openHost();
    const output = await storedOutput(host);
    blobs.blobs.clear();
    await expect(readAll(output)).rejects.toMatchObject({ code: "BLOB_MISSING" });
  });
});
