import { describe, expect, it } from "vitest";
import { Operation } from "../../../../../host/abi/operations.ts";
import { GuestExit } from "../../../../../host/sandbox/guest.ts";
import { WasiCalls } from "../../../../support/wasi-calls.ts";

const END = 65_536;
const FAULT = "fault";
/** Userdata, type and the fields of one subscription. */
function subscription(userdata: bigint, type: number, fields: { id: number; timeoutNs?: bigint; absolute?: boolean }): Buffer {
  const bytes = Buffer.alloc(48);
  bytes.writeBigUInt64LE(userdata, 0);
  bytes.writeUInt8(type, 8);
  bytes.writeUInt32LE(fields.id, 16);
  bytes.writeBigUInt64LE(fields.timeoutNs ?? 0n, 24);
  bytes.writeUInt16LE(fields.absolute === true ? 1 : 0, 40);
  return bytes;
}

async function polled(wasi: WasiCalls, ...subscriptions: readonly Buffer[]) {
  const pointer = 8192;
  wasi.memory.set(Buffer.concat(subscriptions), pointer);
  const errno = await wasi.call("poll_oneoff", pointer, 2048, subscriptions.length, 0);
  const events = Array.from({ length: errno === "success" ? wasi.u32() : 0 }, (_, at) => ({
    userdata: wasi.u64(2048 + at * 32),
    errno: wasi.memory.readUInt16LE(2048 + at * 32 + 8),
    type: wasi.memory.readUInt8(2048 + at * 32 + 10),
    size: wasi.u64(2048 + at * 32 + 16),
  }));
  return { errno, events };
}

describe("arguments and environment", () => {
  it("are the function's name and the words of the command line", async () => {
    const wasi = new WasiCalls();
    wasi.guest.call.commandLine = Buffer.from("hello\0--loud\0größer");
    expect(await wasi.call("args_sizes_get", 0, 4)).toBe("success");
    expect([wasi.u32(0), wasi.u32(4)]).toEqual([3, 6 + 7 + 9]);
    expect(await wasi.call("args_get", 0, 100)).toBe("success");
    expect([wasi.u32(0), wasi.u32(4), wasi.u32(8)]).toEqual([100, 106, 113]);
    expect(wasi.memory.toString("utf8", 100, 122)).toBe("hello\0--loud\0größer\0");
  });

  it("are the name alone without a command line, and the environment is empty", async () => {
    const wasi = new WasiCalls();
    await wasi.call("args_sizes_get", 0, 4);
    expect([wasi.u32(0), wasi.u32(4)]).toEqual([1, 5]);
    await wasi.call("environ_sizes_get", 0, 4);
    expect([wasi.u32(0), wasi.u32(4)]).toEqual([0, 0]);
    expect(await wasi.call("environ_get", END, END)).toBe("success");
  });

  it("the environment is the function's, each variable a text with its name", async () => {
    const wasi = new WasiCalls();
    wasi.guest.call.commandLine = Buffer.from("hello\0x\0\0LEVEL=debug\0EMPTY=\0URL=a=b");
    await wasi.call("args_sizes_get", 0, 4);
    expect([wasi.u32(0), wasi.u32(4)]).toEqual([2, 6 + 2]);
    await wasi.call("environ_sizes_get", 0, 4);
    expect([wasi.u32(0), wasi.u32(4)]).toEqual([3, 12 + 7 + 8]);
    expect(await wasi.call("environ_get", 0, 100)).toBe("success");
    expect(wasi.memory.toString("utf8", 100, 127)).toBe("LEVEL=debug\0EMPTY=\0URL=a=b\0");
  });

  it("write nothing when a pointer is outside", async () => {
    const wasi = new WasiCalls();
    expect(await wasi.call("args_sizes_get", 0, END - 3)).toBe(FAULT);
    expect(await wasi.call("args_get", 0, END - 4)).toBe(FAULT);
    expect(await wasi.call("args_get", -1, 0)).toBe(FAULT);
    expect(wasi.memory.every((byte) => byte === 0)).toBe(true);
  });
});

describe("clocks", () => {
  it("F13: both begin at the start of the call, and a replay sees the same times", async () => {
    const times = async () => {
      const wasi = new WasiCalls();
      const seen: bigint[] = [];
      for (const clock of [0, 1, 0]) {
        await wasi.call("clock_time_get", clock, 0n, 0);
        seen.push(wasi.u64());
      }
      return seen;
    };
    const first = await times();
    expect(first).toEqual([1_000_000_000n, 1_000_000_001n, 1_000_000_002n]);
    expect(await times()).toEqual(first);
  });

  it("have a step, and those of CPU time are not offered", async () => {
    const wasi = new WasiCalls();
    await wasi.call("clock_res_get", 1, 0);
    expect(wasi.u64()).toBe(1_000_000n);
    expect(await wasi.call("clock_time_get", 2, 0n, 0)).toBe("inval");
    expect(await wasi.call("clock_res_get", -1, 0)).toBe("inval");
    expect(await wasi.call("clock_time_get", 0, 0n, END - 7)).toBe(FAULT);
  });
});

describe("random_get", () => {
  it("F13: draws from the call's stream, the same in every replay", async () => {
    const draw = async () => {
      const wasi = new WasiCalls();
      await wasi.call("random_get", 0, 32);
      return wasi.memory.toString("hex", 0, 32);
    };
    expect(await draw()).toBe(await draw());
    expect(await draw()).not.toBe("00".repeat(32));
  });

  it("fills nothing at all, and refuses a room outside", async () => {
    const wasi = new WasiCalls();
    expect(await wasi.call("random_get", END, 0)).toBe("success");
    expect(await wasi.call("random_get", END - 1, 2)).toBe(FAULT);
  });
});

describe("the end of a program", () => {
  it("proc_exit ends the call with its code", async () => {
    await expect(new WasiCalls().call("proc_exit", 7)).rejects.toEqual(new GuestExit(7));
  });

  it("proc_raise is not offered, sched_yield does nothing", async () => {
    const wasi = new WasiCalls();
    expect(await wasi.call("proc_raise", 6)).toBe("notsup");
    expect(await wasi.call("sched_yield")).toBe("success");
  });
});

describe("sockets", () => {
  it("are not there: every descriptor is something else", async () => {
    const wasi = new WasiCalls();
    expect(await wasi.call("sock_shutdown", 1, 0)).toBe("notsock");
    expect(await wasi.call("sock_accept", 3, 0, 0)).toBe("notsock");
    expect(await wasi.call("sock_recv", 99, 0, 0, 0, 0, 0)).toBe("badf");
    expect(await wasi.call("sock_send", 0, END, 9, 0, END)).toBe("notsock");
  });
});

describe("poll_oneoff", () => {
  it("waits for the first clock by one logged sleep, in whole ms rounded up", async () => {
    const wasi = new WasiCalls();
    const { events } = await polled(
      wasi,
      subscription(1n, 0, { id: 1, timeoutNs: 5_000_000n }),
      subscription(2n, 0, { id: 0, timeoutNs: 1_500_001n }),
      subscription(3n, 0, { id: 0, timeoutNs: 2_000_000n }),
    );
    expect(wasi.host.sleptMs).toBe(2);
    expect(wasi.host.operations).toEqual([Operation.sleep]);
    expect(events).toEqual([2n, 3n].map((userdata) => ({ userdata, errno: 0, type: 0, size: 0n })));
  });

  it("does not wait for a clock that is due, nor beside a descriptor", async () => {
    const wasi = new WasiCalls("input");
    const due = await polled(wasi, subscription(1n, 0, { id: 0, timeoutNs: 5n, absolute: true }));
    expect(due.events).toEqual([{ userdata: 1n, errno: 0, type: 0, size: 0n }]);
    const { events } = await polled(
      wasi,
      subscription(4n, 0, { id: 1, timeoutNs: 10n ** 12n }),
      subscription(5n, 1, { id: 0 }),
      subscription(6n, 2, { id: 1 }),
      subscription(7n, 1, { id: 99 }),
      subscription(8n, 2, { id: 0 }),
    );
    expect(events).toEqual([
      { userdata: 5n, errno: 0, type: 1, size: 5n },
      { userdata: 6n, errno: 0, type: 2, size: 0n },
      { userdata: 7n, errno: 8, type: 1, size: 0n },
      { userdata: 8n, errno: 76, type: 2, size: 0n },
    ]);
    expect(wasi.host.operations).toEqual([]);
  });

  it("waits until a moment of the call's clock", async () => {
    const wasi = new WasiCalls();
    await polled(wasi, subscription(1n, 0, { id: 0, timeoutNs: 1_250_000_000n, absolute: true }));
    expect(wasi.host.sleptMs).toBe(250);
  });

  it("F22: sleeps as long when it is entered again, where a call that was stopped in it goes on", async () => {
    const wasi = new WasiCalls();
    const moment = subscription(1n, 0, { id: 0, timeoutNs: 1_250_000_001n, absolute: true });
    await polled(wasi, moment);
    expect(wasi.host.sleptMs).toBe(251);
    await polled(wasi, moment);
    expect(wasi.host.sleptMs).toBe(502);
  });

  it("refuses nothing to wait for, too much of it, and what it does not know", async () => {
    const wasi = new WasiCalls();
    expect(await wasi.call("poll_oneoff", 0, 0, 0, 0)).toBe("inval");
    expect(await wasi.call("poll_oneoff", 0, 0, 1025, 0)).toBe("inval");
    expect((await polled(wasi, subscription(1n, 3, { id: 0 }))).errno).toBe("inval");
    expect((await polled(wasi, subscription(1n, 0, { id: 2 }))).errno).toBe("inval");
    expect((await polled(wasi, subscription(1n, 0, { id: 1, timeoutNs: 2n ** 64n - 1n }))).errno).toBe("inval");
    expect(await wasi.call("poll_oneoff", END - 47, 0, 1, 0)).toBe(FAULT);
    expect(await wasi.call("poll_oneoff", 0, END - 31, 1, 0)).toBe(FAULT);
    expect(wasi.host.operations).toEqual([]);
  });

  it("does not wait inside a storage part, where no step of the caller may be", async () => {
    const wasi = new WasiCalls();
    wasi.guest.call.inPart = true;
    expect((await polled(wasi, subscription(1n, 0, { id: 1, timeoutNs: 1n }))).errno).toBe("notsup");
  });
});
