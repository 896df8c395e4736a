import { describe, expect, it } from "vitest";
import { VALUES_MAX } from "../../../../../host/abi/faasm/local-state.ts";
import { Operation } from "../../../../../host/abi/operations.ts";
import { CallState } from "../../../../../host/sandbox/executor/guest-call.ts";
import { GuestFault, HELD_STATE_MAX_BYTES } from "../../../../../host/sandbox/guest.ts";
import { FaasmCalls, RESULT } from "../../../../support/faasm-calls.ts";
import { MemoryHost } from "../../../../support/memory-guest.ts";

const bytes = (text: string) => Buffer.from(text);

function withValue(text: string | null): FaasmCalls {
  const calls = new FaasmCalls();
  if (text !== null) {
    calls.host.put("state/k", text);
  }
  return calls;
}

/** What a read copies, with its length. */
async function read(calls: FaasmCalls, length = 100): Promise<string> {
  const size = Number(await calls.call("__faasm_read_state", "k", RESULT, length));
  return calls.text(RESULT, Math.min(size, length));
}

const stored = (calls: FaasmCalls) => calls.host.text("state/k");

it("what the host holds of a call's values is told, and they are bounded, those without bytes too", async () => {
  const calls = withValue("value");
  const before = calls.guest.call.heldBytes;
  await calls.call("__faasm_write_state_offset", "k", 1_000_000, 0, bytes("x"));
  expect(calls.guest.call.heldBytes - before).toBeGreaterThanOrEqual(2_000_000);
  const fill = async () => {
    for (let i = 0; i <= VALUES_MAX; i += 1) {
      await calls.call("__faasm_write_state_offset", `k${i}`, 0, 0, bytes(""));
    }
  };
  await expect(fill()).rejects.toThrow(`the call has ${VALUES_MAX} others, which is all that it may have`);
  expect(calls.guest.call.heldBytes).toBeLessThan(HELD_STATE_MAX_BYTES);
});

describe("__faasm_read_state", () => {
  it("answers the size for a length of 0, without keeping the value", async () => {
    expect(await withValue("value").call("__faasm_read_state", "k", 0, 0)).toBe(5);
    expect(await withValue(null).call("__faasm_read_state", "k", 0, 0)).toBe(0);
  });

  it("answers the size and copies as much as there is room for", async () => {
    const calls = withValue("value");
    expect(await calls.call("__faasm_read_state", "k", RESULT, 3)).toBe(5);
    expect(calls.text(RESULT, 4)).toBe("val\0");
    expect(await read(calls)).toBe("value");
    expect(await read(withValue(null))).toBe("");
  });

  it("H22: is of the object as it is now, but for what the call has changed", async () => {
    const calls = withValue("value");
    expect(await read(calls)).toBe("value");
    calls.host.put("state/k", "VALUE");
    await calls.call("__faasm_write_state_offset", "k", 5, 1, bytes("-"));
    expect(await read(calls)).toBe("V-LUE");
    expect(stored(calls)).toBe("VALUE");
  });

  it("reads a value that no single message holds, in slices", async () => {
    const calls = withValue(null);
    const large = Buffer.alloc(2_500_000, "0123456789abcdefg");
    calls.host.put("state/k", large);
    calls.guest.grow(50);
    expect(await calls.call("__faasm_read_state", "k", 131_072, large.byteLength)).toBe(large.byteLength);
    expect(calls.memory.subarray(131_072, 131_072 + large.byteLength).equals(large)).toBe(true);
  });

  it("ends the call for a key that is none, and a buffer outside of the memory", async () => {
    const calls = withValue(null);
    await expect(calls.call("__faasm_read_state", "", RESULT, 10)).rejects.toThrow("__faasm_read_state: key is empty");
    await expect(calls.call("__faasm_read_state", "x".repeat(1020), RESULT, 10)).rejects.toThrow("does not end with a NUL");
    calls.memory.set([0xff, 0xfe, 0], 100);
    await expect(calls.call("__faasm_read_state", 100, RESULT, 10)).rejects.toThrow("__faasm_read_state: key is not UTF-8");
    await expect(calls.call("__faasm_read_state", "k", 131_000, 1000)).rejects.toThrow(GuestFault);
  });
});

describe("__faasm_read_state_ptr and __faasm_read_state_offset_ptr", () => {
  it("map a copy, at one address for one range", async () => {
    const calls = withValue("value");
    const pointer = await calls.address("__faasm_read_state_ptr", "k", 5);
    expect(calls.text(pointer, 6)).toBe("value\0");
    expect(await calls.address("__faasm_read_state_ptr", "k", 5)).toBe(pointer);
    expect(await calls.address("__faasm_read_state_offset_ptr", "k", 5, 2, 3)).toBe(pointer + 2);
    expect(calls.pages).toBe(3);
  });

  it("map zeros where there is no value yet, which a push makes the value", async () => {
    const calls = withValue(null);
    const pointer = await calls.address("__faasm_read_state_ptr", "k", 4);
    expect(calls.text(pointer, 4)).toBe("\0\0\0\0");
    calls.memory.write("a", pointer);
    await calls.call("__faasm_push_state", "k");
    expect(stored(calls)).toBe("a\0\0\0");
  });

  it("H22: see a new object at the next read, and keep what was written through them", async () => {
    const calls = withValue("value");
    const pointer = await calls.address("__faasm_read_state_ptr", "k", 5);
    calls.memory.write("-", pointer + 1);
    calls.host.put("state/k", "VALUE");
    await calls.call("__faasm_read_state", "k", RESULT, 5);
    expect(calls.text(pointer, 5)).toBe("V-LUE");
    expect(calls.text(RESULT, 5)).toBe("V-LUE");
  });

  it("see what the call writes to the value", async () => {
    const calls = withValue("value");
    const pointer = await calls.address("__faasm_read_state_ptr", "k", 5);
    await calls.call("__faasm_write_state_offset", "k", 5, 4, bytes("!"));
    expect(calls.text(pointer, 5)).toBe("valu!");
    await calls.call("__faasm_write_state", "k", bytes("new"));
    expect(calls.text(pointer, 5)).toBe("new\0\0");
  });

  it("cannot be unmapped by accident: the copy stays for the call", async () => {
    const calls = withValue("value");
    const pointer = await calls.address("__faasm_read_state_ptr", "k", 5);
    expect(await calls.call("__faasmndp_unmap", pointer, 5)).toBe(0);
    await calls.call("__faasm_push_state", "k");
    expect(calls.text(pointer, 5)).toBe("value");
    expect(stored(calls)).toBe("value");
  });

  it("end the call for a chunk outside of the value, and a memory without room", async () => {
    const calls = withValue("value");
    await expect(calls.call("__faasm_read_state_offset_ptr", "k", 5, 3, 3)).rejects.toThrow(
      "__faasm_read_state_offset_ptr: 3 bytes at 3 are not inside of a value of 5 bytes",
    );
    await expect(calls.call("__faasm_read_state_offset_ptr", "k", 5, -1, 2)).rejects.toThrow(GuestFault);
    await expect(calls.call("__faasm_read_state_ptr", "k", 5_000_000)).rejects.toThrow("has no room for 5000000 more");
  });
});

describe("__faasm_read_state_offset and __faasm_write_state_offset", () => {
  it("copy and change a chunk", async () => {
    const calls = withValue("a value");
    await calls.call("__faasm_read_state_offset", "k", 7, 2, RESULT, 5);
    expect(calls.text(RESULT, 5)).toBe("value");
    await calls.call("__faasm_write_state_offset", "k", 7, 2, bytes("VAL"));
    await calls.call("__faasm_push_state", "k");
    expect(stored(calls)).toBe("a VALue");
  });

  it("give a value that did not exist the length that was told", async () => {
    const calls = withValue(null);
    await calls.call("__faasm_write_state_offset", "k", 6, 1, bytes("ab"));
    await calls.call("__faasm_push_state", "k");
    expect(stored(calls)).toBe("\0ab\0\0\0");
  });

  it("end the call for a chunk that is not inside, or outside of the memory, before anything happens", async () => {
    const calls = withValue("value");
    await expect(calls.call("__faasm_write_state_offset", "k", 5, 4, bytes("ab"))).rejects.toThrow(GuestFault);
    await expect(calls.call("__faasm_read_state_offset", "k", 5, -5, RESULT, 1)).rejects.toThrow(GuestFault);
    await expect(calls.call("__faasm_write_state_offset", "k", 5, 0, 131_071, 2)).rejects.toThrow(GuestFault);
    expect(calls.host.operations).toEqual([]);
  });

  it("end the call for a value that no call may have", async () => {
    const calls = withValue(null);
    await expect(calls.call("__faasm_write_state_offset", "k", 33_554_433, 0, bytes("a"))).rejects.toThrow(
      "a state value of 33554433 bytes beside 0 others: a call may have 33554432 at once",
    );
    await calls.call("__faasm_write_state_offset", "k", 20_000_000, 0, bytes("a"));
    await expect(calls.call("__faasm_write_state_offset", "other", 20_000_000, 0, bytes("a"))).rejects.toThrow(GuestFault);
  });
});

describe("__faasm_write_state and __faasm_push_state", () => {
  it("replace the value, at the push", async () => {
    const calls = withValue("a long value");
    await calls.call("__faasm_write_state", "k", bytes("short"));
    expect(stored(calls)).toBe("a long value");
    expect(await read(calls)).toBe("short");
    await calls.call("__faasm_push_state", "k");
    expect(stored(calls)).toBe("short");
  });

  it("nothing happens at the push of a value that was not changed", async () => {
    const calls = withValue("value");
    await calls.address("__faasm_read_state_ptr", "k", 5);
    const before = calls.host.operations.length;
    await calls.call("__faasm_push_state", "k");
    await calls.call("__faasm_push_state", "unknown");
    expect(calls.host.operations.length).toBe(before);
  });

  it("H22: a push leaves as they are the bytes that the call has not changed", async () => {
    const calls = withValue("value");
    const pointer = await calls.address("__faasm_read_state_ptr", "k", 5);
    calls.memory.write("A", pointer + 1);
    calls.host.put("state/k", "vaLUE");
    await calls.call("__faasm_push_state", "k");
    expect(stored(calls)).toBe("vALUE");
    expect(calls.text(pointer, 5)).toBe("vALUE");
  });

  it("H22: two calls that change different bytes at the same time lose neither", async () => {
    const host = new MemoryHost();
    host.put("state/k", "....");
    const [first, second] = [new FaasmCalls("", host), new FaasmCalls("", host)];
    const pointers = [
      await first.address("__faasm_read_state_ptr", "k", 4),
      await second.address("__faasm_read_state_ptr", "k", 4),
    ];
    first.memory.write("a", pointers[0] ?? 0);
    second.memory.write("b", (pointers[1] ?? 0) + 3);
    await first.call("__faasm_push_state", "k");
    await second.call("__faasm_push_state", "k");
    expect(host.text("state/k")).toBe("a..b");
  });

  it("a push that somebody is faster than is done again", async () => {
    const calls = withValue("value");
    await calls.call("__faasm_write_state_offset", "k", 5, 0, bytes("V"));
    let others = 2;
    calls.host.beforeUpdate = () => {
      if (others > 0) {
        calls.host.put("state/k", `value${others}`);
        others -= 1;
      }
    };
    await calls.call("__faasm_push_state", "k");
    expect(stored(calls)).toBe("Value1");
  });

  it("a value that no single message holds is pushed in pieces", async () => {
    const calls = withValue(null);
    calls.guest.grow(40);
    calls.memory.fill(7, 200_000, 1_700_000);
    await calls.call("__faasm_write_state", "k", 200_000, 1_500_000);
    await calls.call("__faasm_push_state", "k");
    expect(calls.host.objects.get("state/k")?.bytes?.byteLength).toBe(1_500_000);
    await calls.call("__faasm_write_state_offset", "k", 1_500_000, 1, bytes("!"));
    await calls.call("__faasm_push_state", "k");
    expect(Buffer.from(calls.host.objects.get("state/k")?.bytes ?? []).subarray(0, 3)).toEqual(Buffer.from([7, 33, 7]));
    calls.host.objectMaxBytes = 1_000_000;
    await calls.call("__faasm_write_state_offset", "k", 1_500_000, 1, bytes("?"));
    await expect(calls.call("__faasm_push_state", "k")).rejects.toThrow("the object state/k cannot have 1500000 bytes");
  });
});

describe("__faasm_write_state_from_file", () => {
  const NAME = "__faasm_write_state_from_file";

  async function write(calls: FaasmCalls, path: string, bytes: string): Promise<void> {
    calls.memory.write(path, 1000);
    calls.memory.writeUInt32LE(1200, 1100);
    calls.memory.writeUInt32LE(bytes.length, 1104);
    calls.memory.write(bytes, 1200);
    expect(await calls.wasi("path_open", 3, 0, 1000, path.length, 9, 0x40n, 0n, 0, RESULT)).toBe(0);
    expect(await calls.wasi("fd_write", calls.memory.readUInt32LE(RESULT), 1100, 1, RESULT)).toBe(0);
  }

  it("makes the value what is in the file, and answers its size", async () => {
    const calls = withValue("a longer value");
    await write(calls, "file", "the file");
    for (const path of ["file", "/file", "//./file"]) {
      expect(await calls.call(NAME, "k", path)).toBe(8);
    }
    expect(await read(calls)).toBe("the file");
    await calls.call("__faasm_push_state", "k");
    expect(stored(calls)).toBe("the file");
    await write(calls, "none", "");
    expect(await calls.call(NAME, "k", "none")).toBe(0);
    await calls.call("__faasm_push_state", "k");
    expect(stored(calls)).toBe("");
  });

  it("reads the tenant's shared files, also those that no single message holds", async () => {
    const calls = withValue(null);
    const large = Buffer.alloc(3_000_000, "0123456789abcdefg");
    calls.host.put("files/d/large", large);
    expect(await calls.call(NAME, "k", "/d/large")).toBe(large.byteLength);
    expect(await calls.call(NAME, "other", "faasm://d/large")).toBe(large.byteLength);
    await calls.call("__faasm_push_state", "k");
    expect(Buffer.compare(calls.host.objects.get("state/k")?.bytes ?? Buffer.alloc(0), large)).toBe(0);
  });

  it.each([
    ["", "noent"],
    ["/", "noent"],
    ["none", "noent"],
    ["d", "isdir"],
    ["../file", "notcapable"],
    ["d/x/y", "notdir"],
    ["x".repeat(300), "nametoolong"],
  ])("ends the call for the path %j: %s", async (path, why) => {
    const calls = withValue("value");
    calls.host.put("files/d/x", "x");
    await expect(calls.call(NAME, "k", path)).rejects.toThrow(new GuestFault(`${NAME}: path cannot be read: ${why}`));
    await calls.call("__faasm_push_state", "k");
    expect(stored(calls)).toBe("value");
  });

  it("ends the call for a key that is none, a path without an end, and a file that no value can be", async () => {
    const calls = withValue("value");
    calls.host.put("files/large", Buffer.alloc(32 * 1024 * 1024 + 1));
    await expect(calls.call(NAME, "", "large")).rejects.toThrow(`${NAME}: key is empty`);
    await expect(calls.call(NAME, "k", 131_072)).rejects.toThrow("does not end with a NUL");
    await expect(calls.call(NAME, "k", "large")).rejects.toThrow("is a file of 33554433 bytes, at most 33554432 are allowed");
    expect(await read(calls)).toBe("value");
  });
});

describe("__faasm_flag_state_dirty and __faasm_flag_state_offset_dirty", () => {
  it("take over what was written through pointers, so that a pull alone undoes it", async () => {
    const calls = withValue("value");
    const pointer = await calls.address("__faasm_read_state_ptr", "k", 5);
    calls.memory.write("V", pointer);
    await calls.call("__faasm_flag_state_dirty", "k", 5);
    calls.memory.write("v", pointer);
    await calls.call("__faasm_flag_state_offset_dirty", "k", 5, 0, 1);
    calls.memory.write("W", pointer);
    await calls.call("__faasm_push_state_partial", "k");
    expect(stored(calls)).toBe("Walue");
  });

  it("end the call for a chunk that is not inside", async () => {
    await expect(withValue("value").call("__faasm_flag_state_offset_dirty", "k", 5, 5, 1)).rejects.toThrow(GuestFault);
    await expect(withValue("value").call("__faasm_flag_state_dirty", "", 5)).rejects.toThrow(GuestFault);
  });
});

describe("__faasm_push_state_partial_mask", () => {
  it("writes the bytes at which the other value is not 0", async () => {
    const calls = withValue("value");
    await read(calls);
    calls.host.put("state/k", "-----");
    calls.host.put("state/mask", Buffer.from([0, 1, 0, 255]));
    await calls.call("__faasm_push_state_partial_mask", "k", "mask");
    expect(stored(calls)).toBe("-a-u-");
  });

  it("writes nothing for a mask of zeros, or none", async () => {
    const calls = withValue("value");
    await read(calls);
    calls.host.put("state/k", "-----");
    await calls.call("__faasm_push_state_partial_mask", "k", "mask");
    expect(stored(calls)).toBe("-----");
  });
});

describe("__faasm_pull_state", () => {
  it("takes the newest object, and what was changed and not pushed is lost", async () => {
    const calls = withValue("value");
    const pointer = await calls.address("__faasm_read_state_ptr", "k", 5);
    calls.memory.write("X", pointer);
    await calls.call("__faasm_write_state_offset", "k", 5, 1, bytes("Y"));
    calls.host.put("state/k", "VALUE");
    await calls.call("__faasm_pull_state", "k", 5);
    expect(calls.text(pointer, 5)).toBe("VALUE");
    await calls.call("__faasm_push_state", "k");
    expect(stored(calls)).toBe("VALUE");
    expect(calls.host.operations.filter((one) => one === Operation.sync)).toHaveLength(1);
  });

  it("inside a storage part takes the object as the part sees it", async () => {
    const calls = withValue("value");
    calls.guest.call.inPart = true;
    await calls.call("__faasm_pull_state", "k", 5);
    expect(await read(calls)).toBe("value");
    expect(calls.host.operations).not.toContain(Operation.sync);
  });
});

describe("locks", () => {
  it("the write lock is taken first, refreshes, and is given back behind the push", async () => {
    const calls = withValue("value");
    const pointer = await calls.address("__faasm_read_state_ptr", "k", 5);
    calls.host.put("state/k", "VALUE");
    await calls.call("__faasm_lock_state_write", "k");
    expect(calls.text(pointer, 5)).toBe("VALUE");
    calls.memory.write("!", pointer + 4);
    await calls.call("__faasm_unlock_state_write", "k");
    expect(stored(calls)).toBe("VALU!");
    const { lock, unlock, objectUpdate } = Operation;
    expect(calls.host.operations.filter((one) => [lock, unlock, objectUpdate].includes(one as 45))).toEqual([
      lock,
      objectUpdate,
      unlock,
    ]);
    expect(calls.host.locks.get("state/k")).toBe(0);
  });

  it("the read lock waits for the writer, and holds nothing afterwards", async () => {
    const calls = withValue("value");
    const pointer = await calls.address("__faasm_read_state_ptr", "k", 5);
    calls.host.put("state/k", "VALUE");
    calls.host.lockedByOthers.add("state/k");
    await calls.call("__faasm_lock_state_read", "k");
    expect(calls.text(pointer, 5)).toBe("VALUE");
    expect(calls.host.locks.get("state/k")).toBe(0);
    expect(await calls.call("__faasm_unlock_state_read", "k")).toBeUndefined();
  });

  it("an unlock of what is not locked does nothing", async () => {
    expect(await withValue("value").call("__faasm_unlock_state_write", "k")).toBeUndefined();
  });

  it.each(["lock_state_read", "unlock_state_read", "lock_state_write", "unlock_state_write"])(
    "__faasm_%s is not possible inside a storage part, and ends the call for no key",
    async (name) => {
      const calls = withValue("value");
      await expect(calls.call(`__faasm_${name}`, "")).rejects.toThrow("is empty");
      calls.guest.call.inPart = true;
      const failing = (async () => calls.call(`__faasm_${name}`, "k"))();
      await expect(failing).rejects.toThrow(`__faasm_${name}: not possible inside a storage part`);
    },
  );
});

describe("H22: what the call has changed is merged", () => {
  it("at the end of the call, before another function is called, and before a storage part", async () => {
    const change = async () => {
      const calls = withValue("value");
      const pointer = await calls.address("__faasm_read_state_ptr", "k", 5);
      calls.memory.write("V", pointer);
      return calls;
    };
    const ended = await change();
    await ended.guest.settle();
    const chained = await change();
    await chained.call("__faasm_chain_name", "other", 0, 0);
    const pushed = await change();
    pushed.host.shipPart = (state) => ({ kind: "trapped", message: `the object is ${stored(pushed)}, of ${state.byteLength}` });
    await expect(pushed.call("__faasmndp_storageCallAndAwait", bytes("x"), 0)).rejects.toThrow("the object is Value");
    expect([stored(ended), stored(chained)]).toEqual(["Value", "Value"]);
  });

  it("H15: copies travel with the call: a pointer that was mapped before is merged where the call ends", async () => {
    const calls = withValue("value");
    const pointer = await calls.address("__faasm_read_state_ptr", "k", 5);
    calls.memory.write("V", pointer);
    await calls.call("__faasm_write_state_offset", "k", 5, 1, bytes("A"));
    const there = new CallState({ ...calls.guest.call, cpuTimeMs: 1 });
    there.restore(calls.guest.call.encode());
    calls.guest.call.restore(there.encode());
    calls.memory.write("E", pointer + 4);
    await calls.guest.settle();
    expect(stored(calls)).toBe("VAluE");
  });

  it("and nothing is asked of the host by a call that has no state", async () => {
    const calls = withValue("value");
    await calls.guest.settle();
    expect(calls.host.operations).toEqual([]);
  });
});
