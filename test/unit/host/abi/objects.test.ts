import { describe, expect, it } from "vitest";
import { GuestError, Operation, STAGE_CHUNK_BYTES } from "../../../../host/abi/operations.ts";
import { OBJECT_KEY_MAX_BYTES } from "../../../../state/ids.ts";
import { GuestCalls } from "../../../support/guest-calls.ts";
import { MemoryHost } from "../../../support/memory-guest.ts";

const BUFFER = 16_384;
const VERSION = 60_000;
const MIB = 1024 * 1024;

const pattern = (sizeBytes: number) => Buffer.from(Array.from({ length: sizeBytes }, (_, at) => (at * 7 + (at >> 8)) & 0xff));

describe("object_read", () => {
  it("copies what fits from the offset, says the whole size, and stores the version", async () => {
    const host = new MemoryHost();
    host.put("key", "0123456789");
    const calls = new GuestCalls(host);
    expect(await calls.call("object_read", "key", 3n, BUFFER, 4, VERSION)).toBe(10n);
    expect(calls.bytesAt(BUFFER, 5).toString()).toBe("3456\0");
    expect(calls.i64At(VERSION)).toBe(1n);
  });

  it("copies nothing at and behind the end", async () => {
    const host = new MemoryHost();
    host.put("key", "0123456789");
    const calls = new GuestCalls(host);
    for (const offset of [10n, 11n, 2n ** 62n]) {
      expect(await calls.call("object_read", "key", offset, BUFFER, 4, 0)).toBe(10n);
    }
    expect(calls.bytesAt(BUFFER, 4)).toEqual(Buffer.alloc(4));
  });

  it("stores no version at pointer 0", async () => {
    const host = new MemoryHost();
    host.put("key", "v");
    const calls = new GuestCalls(host);
    await calls.call("object_read", "key", 0n, BUFFER, 4, 0);
    expect(calls.bytesAt(0, 8).toString()).toBe("key\0\0\0\0\0");
  });

  it("asks for a large object in requests of at most 1 MiB", async () => {
    const host = new MemoryHost();
    const value = pattern(2 * MIB + 5);
    host.put("key", value);
    const calls = new GuestCalls(host, 4 * MIB);
    expect(await calls.call("object_read", "key", 0n, BUFFER, 3 * MIB, 0)).toBe(BigInt(value.byteLength));
    expect(calls.bytesAt(BUFFER, value.byteLength).equals(value)).toBe(true);
    expect(host.operations).toEqual([Operation.objectRead, Operation.objectRead, Operation.objectRead]);
  });

  it("answers notFound for an object that does not exist", async () => {
    const calls = new GuestCalls(new MemoryHost());
    expect(await calls.call("object_read", "key", 0n, BUFFER, 4, 0)).toBe(BigInt(GuestError.notFound));
  });

  it("F35: moves the call's clock to the newest record it has seen, never back", async () => {
    const host = new MemoryHost();
    host.put("key", "v");
    const calls = new GuestCalls(host);
    host.timeMs = 5_000;
    await calls.call("object_read", "key", 0n, BUFFER, 4, 0);
    expect(await calls.call("clock_now")).toBe(5_000_000_000n);
    host.timeMs = 2_000;
    await calls.call("object_read", "key", 0n, BUFFER, 4, 0);
    expect(await calls.call("clock_now")).toBe(5_000_000_001n);
  });
});

describe("keys", () => {
  const refused: readonly [string, string][] = [
    ["an empty one", ""],
    ["one that is too long", "k".repeat(OBJECT_KEY_MAX_BYTES + 1)],
    ["one with a line break", "a\nb"],
    ["one with a NUL", "a\0b"],
    ["one with DEL", "a\x7fb"],
    ["one with a control character outside ASCII", "a\u0085b"],
  ];
  for (const [what, key] of refused) {
    it(`refuses ${what} before anything is asked of the host`, async () => {
      const host = new MemoryHost();
      const calls = new GuestCalls(host);
      expect(await calls.call("object_read", key, 0n, BUFFER, 4, 0)).toBe(BigInt(GuestError.invalid));
      expect(await calls.call("object_read_for_update", key, BUFFER, 4, 0)).toBe(BigInt(GuestError.invalid));
      expect(await calls.call("object_write", key, BUFFER, 4)).toBe(GuestError.invalid);
      expect(await calls.call("object_update", key, BUFFER, 4, 0n)).toBe(GuestError.invalid);
      expect(await calls.call("object_delete", key)).toBe(GuestError.invalid);
      expect(await calls.call("storage_call", key, 0)).toBe(GuestError.invalid);
      expect(host.operations).toEqual([]);
    });
  }

  it("refuses bytes that are not UTF-8", async () => {
    const calls = new GuestCalls(new MemoryHost());
    calls.memory.set([0x61, 0xff], 0);
    expect(await calls.call("object_write", 0, 2, BUFFER, 4)).toBe(GuestError.invalid);
  });

  it("takes the longest one", async () => {
    const calls = new GuestCalls(new MemoryHost());
    expect(await calls.call("object_write", "k".repeat(OBJECT_KEY_MAX_BYTES), BUFFER, 1)).toBe(0);
  });

  it("keeps a byte order mark: two keys are never one", async () => {
    const host = new MemoryHost();
    host.put("key", "v");
    const calls = new GuestCalls(host);
    expect(await calls.call("object_read", "\ufeffkey", 0n, BUFFER, 1, 0)).toBe(BigInt(GuestError.notFound));
  });
});

describe("object_write", () => {
  it("H5: posts the step and goes on, also when the window is full", async () => {
    const host = new MemoryHost();
    const calls = new GuestCalls(host);
    for (let i = 0; i < 7; i++) {
      calls.memory[BUFFER] = 0x30 + i;
      expect(await calls.call("object_write", `k${i}`, BUFFER, 1)).toBe(0);
    }
    expect([...host.objects.keys()].map((key) => host.text(key)).join("")).toBe("0123456");
    expect(new Set(host.operations)).toEqual(new Set([Operation.objectWrite]));
  });

  it("sends a value of exactly one chunk in one message", async () => {
    const host = new MemoryHost();
    const calls = new GuestCalls(host, 2 * MIB);
    expect(await calls.call("object_write", "key", BUFFER, STAGE_CHUNK_BYTES)).toBe(0);
    expect(host.operations).toEqual([Operation.objectWrite]);
  });

  it("stages a larger value chunk by chunk before the operation that names it", async () => {
    const host = new MemoryHost();
    const calls = new GuestCalls(host, 4 * MIB);
    const value = pattern(2 * MIB + 1);
    calls.memory.set(value, BUFFER);
    expect(await calls.call("object_write", "key", BUFFER, value.byteLength)).toBe(0);
    expect(value.equals(host.objects.get("key")?.bytes ?? Buffer.alloc(0))).toBe(true);
    const { stageChunk, objectWrite } = Operation;
    expect(host.operations).toEqual([stageChunk, stageChunk, stageChunk, objectWrite]);
  });

  it("answers tooLarge and writes nothing when the host refuses a chunk", async () => {
    const host = new MemoryHost();
    host.objectMaxBytes = MIB;
    const calls = new GuestCalls(host, 4 * MIB);
    expect(await calls.call("object_write", "key", BUFFER, 2 * MIB)).toBe(GuestError.tooLarge);
    expect(await calls.call("object_update", "key", BUFFER, 2 * MIB, 0n)).toBe(GuestError.tooLarge);
    expect(host.objects.size).toBe(0);
  });
});

describe("object_delete", () => {
  it("answers 0, whether there was an object or not, and goes on at once (H5)", async () => {
    const host = new MemoryHost();
    host.put("key", "value");
    const calls = new GuestCalls(host);
    expect(await calls.call("object_delete", "key")).toBe(0);
    expect(await calls.call("object_delete", "key")).toBe(0);
    expect(await calls.call("object_delete", "k".repeat(OBJECT_KEY_MAX_BYTES))).toBe(0);
    expect(await calls.call("object_read", "key", 0n, BUFFER, 4, 0)).toBe(BigInt(GuestError.notFound));
  });
});

describe("object_update", () => {
  it("writes once the version is the newest one, and answers conflict otherwise", async () => {
    const host = new MemoryHost();
    host.put("key", "old");
    const calls = new GuestCalls(host);
    calls.memory.set(Buffer.from("new"), BUFFER);
    expect(await calls.call("object_update", "key", BUFFER, 3, 7n)).toBe(GuestError.conflict);
    expect(await calls.call("object_read_for_update", "key", BUFFER + 100, 10, VERSION)).toBe(3n);
    expect(await calls.call("object_update", "key", BUFFER, 3, calls.i64At(VERSION))).toBe(1);
    expect(host.text("key")).toBe("new");
  });

  it("can create an object that never existed, and one that was deleted", async () => {
    const host = new MemoryHost();
    host.put("deleted", "old");
    host.remove("deleted");
    const calls = new GuestCalls(host);
    for (const key of ["never", "deleted"]) {
      expect(await calls.call("object_read_for_update", key, BUFFER, 10, VERSION)).toBe(BigInt(GuestError.notFound));
      expect(await calls.call("object_update", key, BUFFER, 0, calls.i64At(VERSION))).toBe(1);
      expect(host.text(key)).toBe("");
    }
  });

  it("refuses a version that no record can have", async () => {
    const calls = new GuestCalls(new MemoryHost());
    expect(await calls.call("object_update", "key", BUFFER, 1, -1n)).toBe(GuestError.invalid);
    expect(await calls.call("object_update", "key", BUFFER, 1, 2n ** 53n)).toBe(GuestError.invalid);
  });

  it("stages a large value", async () => {
    const host = new MemoryHost();
    const calls = new GuestCalls(host, 4 * MIB);
    expect(await calls.call("object_update", "key", BUFFER, 2 * MIB, 0n)).toBe(1);
    expect(host.objects.get("key")?.bytes?.byteLength).toBe(2 * MIB);
  });
});

describe("object_list", () => {
  const decode = (bytes: Buffer) => {
    const entries: string[] = [];
    for (let at = 0; at < bytes.length; ) {
      const end = at + 2 + bytes.readUInt16LE(at);
      entries.push(`${bytes.toString("utf8", at + 2, end)}=${bytes.readBigUInt64LE(end)}`);
      at = end + 8;
    }
    return entries;
  };

  it("gives key and size of the objects with the prefix, in key order, and 0 at the end", async () => {
    const host = new MemoryHost();
    for (const key of ["b/2", "a/1", "b/1", "b/é", "c"]) {
      host.put(key, key);
    }
    const calls = new GuestCalls(host);
    const sizeBytes = Number(await calls.call("object_list", "b/", "", BUFFER, 1_000));
    expect(decode(calls.bytesAt(BUFFER, sizeBytes))).toEqual(["b/1=3", "b/2=3", "b/é=4"]);
    expect(await calls.call("object_list", "b/", "b/é", BUFFER, 1_000)).toBe(0);
  });

  it("writes whole entries only, and goes on behind the last one", async () => {
    const host = new MemoryHost();
    const keys = Array.from({ length: 50 }, (_, i) => `key${String(i).padStart(2, "0")}`);
    for (const key of keys) {
      host.put(key, "");
    }
    const calls = new GuestCalls(host);
    const found: string[] = [];
    for (let after = ""; ; after = found.at(-1) ?? "") {
      const sizeBytes = Number(await calls.call("object_list", "key", after, BUFFER, 40));
      if (sizeBytes === 0) {
        break;
      }
      expect(sizeBytes).toBe(30);
      found.push(...decode(calls.bytesAt(BUFFER, sizeBytes)).map((entry) => entry.replace("=0", "")));
    }
    expect(found).toEqual(keys);
  });

  it("answers tooLarge when not even one entry fits, but 0 when there is none", async () => {
    const host = new MemoryHost();
    host.put("key", "");
    const calls = new GuestCalls(host);
    expect(await calls.call("object_list", "", "", BUFFER, 12)).toBe(GuestError.tooLarge);
    expect(await calls.call("object_list", "", "", BUFFER, 0)).toBe(GuestError.tooLarge);
    expect(await calls.call("object_list", "", "key", BUFFER, 0)).toBe(0);
  });
});
