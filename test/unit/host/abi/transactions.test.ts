import { beforeEach, describe, expect, it } from "vitest";
import { GuestError } from "../../../../host/abi/operations.ts";
import { GuestFault } from "../../../../host/sandbox/guest.ts";
import { GuestCalls, withinCall } from "../../../support/guest-calls.ts";
import { MemoryHost } from "../../../support/memory-guest.ts";
import { ScriptedHost } from "../../../support/scripted-host.ts";

const BUFFER = 16_384;
const { conflict, inTransaction, invalid, noTransaction, notInPart, openCalls, tooLarge } = GuestError;

let host: ScriptedHost;
beforeEach(async () => {
  host = await ScriptedHost.open();
  await host.put("key", "old");
});

async function read(calls: GuestCalls, key = "key"): Promise<string> {
  const size = Number(await calls.call("object_read", key, 0n, BUFFER, 100, 0));
  return size < 0 ? `${size}` : calls.bytesAt(BUFFER, size).toString();
}

async function write(calls: GuestCalls, text: string, key = "key"): Promise<void> {
  calls.memory.set(Buffer.from(text), BUFFER);
  await calls.call("object_write", key, BUFFER, text.length);
}

describe("transaction_begin and transaction_commit", () => {
  it.each([0, 1, 2])("with isolation %i keep writes to themselves until the commit, which answers 1", async (isolation) => {
    await withinCall(host, async (calls) => {
      expect(await calls.call("transaction_begin", isolation)).toBe(0);
      await write(calls, "new");
      expect([await read(calls), await host.object("key")]).toEqual(["new", "old"]);
      expect(await calls.call("transaction_commit")).toBe(1);
    });
    expect(await host.object("key")).toBe("new");
  });

  it("are of the moment of the begin: a read sees nothing that came later", async () => {
    await withinCall(host, async (calls) => {
      await calls.call("transaction_begin", 1);
      await host.put("key", "theirs");
      expect(await read(calls)).toBe("old");
      expect(await calls.call("transaction_commit")).toBe(1);
      await calls.call("sync");
      expect(await read(calls)).toBe("theirs");
    });
  });

  it.each([-1, 3, 2 ** 31 - 1, -(2 ** 31)])("refuse the isolation %i", async (isolation) => {
    await withinCall(host, async (calls) => {
      expect(await calls.call("transaction_begin", isolation)).toBe(invalid);
      expect(await calls.call("transaction_commit")).toBe(noTransaction);
    });
  });

  it("refuse a second one, a commit of none, and one whose calls have not been awaited", async () => {
    await host.define("callee", async () => 0);
    await withinCall(host, async (calls) => {
      expect(await calls.call("transaction_commit")).toBe(noTransaction);
      expect(await calls.call("transaction_begin", 0)).toBe(0);
      expect(await calls.call("transaction_begin", 0)).toBe(inTransaction);
      await calls.call("call_start", "callee", "");
      expect(await calls.call("transaction_commit")).toBe(openCalls);
      await calls.call("call_await", 0, BUFFER, 0, 0);
      expect(await calls.call("transaction_commit")).toBe(1);
      expect(await calls.call("transaction_commit")).toBe(noTransaction);
    });
  });
});

describe("transaction_conflict", () => {
  it("says what the last commit found changed, cut to the room, and nothing else before or after", async () => {
    await withinCall(host, async (calls) => {
      expect(await calls.call("transaction_conflict", BUFFER, 100)).toBe(0);
      await calls.call("transaction_begin", 0);
      await write(calls, `${await read(calls)}er`);
      await host.put("key", "theirs");
      expect(await calls.call("transaction_commit")).toBe(conflict);
      calls.memory.fill(0);
      expect(await calls.call("transaction_conflict", BUFFER, 6)).toBe(10);
      expect(calls.bytesAt(BUFFER, 7).toString()).toBe("object\0");
      expect(await calls.call("transaction_conflict", 65_526, 10)).toBe(10);
      expect(calls.bytesAt(65_526, 10).toString()).toBe("object key");
      await calls.call("transaction_begin", 0);
      expect(await calls.call("transaction_commit")).toBe(1);
      expect(await calls.call("transaction_conflict", BUFFER, 100)).toBe(0);
    });
    expect(await host.object("key")).toBe("theirs");
  });

  it("says what the transaction held too much of, with the limit", async () => {
    await withinCall(host, async (calls) => {
      await calls.call("transaction_begin", 2);
      for (let i = 0; i <= 300; i += 1) {
        await write(calls, "", `n/${i}`);
      }
      expect(await calls.call("transaction_commit")).toBe(tooLarge);
      const size = Number(await calls.call("transaction_conflict", BUFFER, 100));
      expect(calls.bytesAt(BUFFER, size).toString()).toBe("301 objects written, 300 may be");
    });
    expect(await host.object("n/0")).toBeNull();
  });
});

describe("transaction_conflict behind an import of objects that answers -5", () => {
  async function why(calls: GuestCalls): Promise<string> {
    const size = Number(await calls.call("transaction_conflict", BUFFER, 200));
    return calls.bytesAt(BUFFER, size).toString();
  }

  it("says what the open transaction holds too much of, with the limit; so does one that a function called in it reads in", async () => {
    const excess = "the transaction is too large: 301 objects written, 300 may be";
    await host.define("fill", async (guest) => {
      for (let i = 0; i <= 300; i += 1) {
        guest.put(`n/${i}`, "");
      }
      return 0;
    });
    await withinCall(host, async (calls) => {
      await calls.call("transaction_begin", 0);
      await calls.call("call_start", "fill", "");
      await calls.call("call_await", 0, BUFFER, 0, 0);
      expect([await calls.call("object_list", "n/", "", BUFFER, 100), await why(calls)]).toEqual([tooLarge, excess]);
      await calls.call("transaction_abort");
      await calls.call("transaction_begin", 0);
      expect([await read(calls), await calls.call("transaction_commit"), await why(calls)]).toEqual(["old", 1, ""]);
      await calls.call("transaction_begin", 0);
      await calls.call("call_start", "fill", "");
      await calls.call("call_await", 1, BUFFER, 0, 0);
      expect([await read(calls), await why(calls)]).toEqual([`${tooLarge}`, excess]);
      expect([await calls.call("object_read_for_update", "key", BUFFER, 0, 0), await why(calls)]).toEqual([-5n, excess]);
      expect([await calls.call("object_update", "key", BUFFER, 1, 0n), await why(calls)]).toEqual([tooLarge, excess]);
      expect(await calls.call("transaction_commit")).toBe(tooLarge);
      expect(await why(calls)).toBe("301 objects written, 300 may be");
    });
    expect([await host.object("n/0"), await host.object("key")]).toEqual([null, "old"]);
  });

  it("says how large a value may be", async () => {
    const sizeBytes = 2 ** 20 + 1;
    await withinCall(
      host,
      async (calls) => {
        for (const write of [["object_write"], ["object_update", 0n]] as const) {
          const [name, ...version] = write;
          expect(await calls.call(name, "key", BUFFER, sizeBytes, ...version)).toBe(tooLarge);
          expect(await why(calls)).toBe("a value of at least 1048577 bytes, 1048576 may be (objectMaxBytes)");
        }
      },
      2 ** 21,
    );
    expect(await host.object("key")).toBe("old");
  });
});

describe("transaction_abort", () => {
  it("leaves nothing of what was written, and there is no transaction afterwards", async () => {
    await withinCall(host, async (calls) => {
      expect(await calls.call("transaction_abort")).toBe(noTransaction);
      await calls.call("transaction_begin", 0);
      await write(calls, "new");
      expect(await calls.call("transaction_abort")).toBe(0);
      expect(await read(calls)).toBe("old");
      expect(await calls.call("transaction_abort")).toBe(noTransaction);
    });
    expect(await host.object("key")).toBe("old");
  });
});

describe("sync and fence", () => {
  it("sync moves the cursor to what is there now, fence leaves reads where they are", async () => {
    await withinCall(host, async (calls) => {
      await read(calls);
      await host.put("key", "new");
      expect(await read(calls)).toBe("old");
      expect(await calls.call("sync")).toBeUndefined();
      expect(await read(calls)).toBe("new");
      expect(await calls.call("fence")).toBeUndefined();
      await write(calls, "last");
    });
    expect(await host.object("key")).toBe("last");
  });
});

it("H16: inside a storage part none of them asks anything of the host: an error, or the end of the call", async () => {
  const memory = new MemoryHost();
  const calls = new GuestCalls(memory);
  calls.guest.call.inPart = true;
  expect(await calls.call("transaction_begin", 0)).toBe(notInPart);
  expect(await calls.call("transaction_commit")).toBe(notInPart);
  expect(await calls.call("transaction_abort")).toBe(notInPart);
  for (const name of ["sync", "fence"]) {
    await expect(calls.call(name)).rejects.toThrow(new GuestFault(`${name}: not possible inside a storage part`));
  }
  expect(memory.operations).toEqual([]);
});
