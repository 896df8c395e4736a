import { describe, expect, it } from "vitest";
import { WasiCalls } from "../../../../support/wasi-calls.ts";

const END = 65_536;

describe("the three streams of a call", () => {
  it("0 reads the input piece by piece, into several buffers", async () => {
    const wasi = new WasiCalls("0123456789");
    expect([await wasi.read(0, 4), await wasi.read(0, 4), await wasi.read(0, 4), await wasi.read(0, 4)]).toEqual([
      "0123",
      "4567",
      "89",
      "",
    ]);
  });

  it("1 appends to the output, all buffers in order; 2 goes to the log", async () => {
    const wasi = new WasiCalls();
    expect(await wasi.write(1, "one ", "", "two ")).toBe(8);
    expect(await wasi.write(1, "three")).toBe(5);
    expect(await wasi.write(2, "for the log")).toBe(11);
    expect([wasi.output, wasi.host.logs]).toEqual(["one two three", ["for the log"]]);
  });

  it("cannot be used the wrong way round, nor be sought", async () => {
    const wasi = new WasiCalls();
    expect([await wasi.read(1), await wasi.write(0, "x")]).toEqual(["!notcapable", "notcapable"]);
    expect([await wasi.call("fd_seek", 1, 0n, 1, 0), await wasi.call("fd_tell", 0, 0)]).toEqual(["spipe", "spipe"]);
    expect([await wasi.pread(0, 4, 0n), await wasi.pwrite(1, "x", 0n)]).toEqual(["!spipe", "spipe"]);
    expect([await wasi.call("fd_sync", 1), await wasi.call("fd_allocate", 1, 0n, 1n)]).toEqual(["notcapable", "spipe"]);
  });

  it("are no terminals: a C library writes them in blocks", async () => {
    const wasi = new WasiCalls();
    for (const fd of [0, 1, 2]) {
      await wasi.call("fd_fdstat_get", fd, 0);
      expect(wasi.memory.readUInt8(0)).toBe(0);
    }
  });

  it("can be closed, and be given another number", async () => {
    const wasi = new WasiCalls("input");
    const fd = await wasi.opened("a", { how: 1 });
    expect(await wasi.call("fd_renumber", 1, fd)).toBe("success");
    expect([await wasi.write(1, "x"), await wasi.write(fd, "by another number")]).toEqual(["badf", 17]);
    expect(wasi.output).toBe("by another number");
    expect([await wasi.call("fd_close", 0), await wasi.call("fd_close", 0)]).toEqual(["success", "badf"]);
    expect(await wasi.call("fd_renumber", fd, 99)).toBe("badf");
  });
});

describe("hostile buffers", () => {
  it("are refused before anything is written", async () => {
    const wasi = new WasiCalls("input");
    wasi.memory.writeUInt32LE(0, 4096);
    wasi.memory.writeUInt32LE(5, 4100);
    wasi.memory.writeUInt32LE(END - 1, 4104);
    wasi.memory.writeUInt32LE(2, 4108);
    expect(await wasi.call("fd_write", 1, 4096, 2, 0)).toBe("fault");
    expect(await wasi.call("fd_write", 1, 4096, 1, END - 3)).toBe("fault");
    expect(await wasi.call("fd_read", 0, 4096, 2, 0)).toBe("fault");
    expect(await wasi.call("fd_write", 1, END - 7, 1, 0)).toBe("fault");
    expect(await wasi.call("fd_write", 1, 0, 1025, 0)).toBe("inval");
    expect(await wasi.call("fd_write", 1, 0, -1, 0)).toBe("inval");
    expect([wasi.output, await wasi.read(0)]).toEqual(["", "input"]);
  });

  it("may overlap: limits hold for what they are together", async () => {
    const wasi = new WasiCalls();
    for (let at = 0; at < 1024; at++) {
      wasi.memory.writeUInt32LE(0, 8192 + at * 8);
      wasi.memory.writeUInt32LE(END, 8192 + at * 8 + 4);
    }
    await wasi.call("fd_write", 1, 8192, 1024, 0);
    await expect(wasi.call("fd_write", 1, 8192, 1024, 0)).rejects.toThrow(
      "output is 67174400 bytes, at most 67108864 are allowed",
    );
    const fd = await wasi.opened("a", { how: 1 });
    const written = async () => [await wasi.call("fd_write", fd, 8192, 1024, 0), (await wasi.fdStat(fd)) as { size: bigint }];
    expect(await written()).toMatchObject(["success", { size: 16n * 1024n ** 2n }]);
    expect(await written()).toMatchObject(["success", { size: 32n * 1024n ** 2n }]);
    expect(await written()).toMatchObject(["nospc", { size: 32n * 1024n ** 2n }]);
  });
});
