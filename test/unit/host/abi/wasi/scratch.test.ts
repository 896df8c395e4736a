import { describe, expect, it } from "vitest";
import { Asks } from "../../../../../host/abi/wasi/asks.ts";
import { CallFiles } from "../../../../../host/abi/wasi/call-files.ts";
import { SCRATCH_MAX_BYTES, SCRATCH_MAX_NAMES } from "../../../../../host/abi/wasi/memory-node.ts";
import { SharedFiles } from "../../../../../host/abi/wasi/shared-files.ts";
import { CallState } from "../../../../../host/sandbox/executor/guest-call.ts";
import { ROOT, WasiCalls } from "../../../../support/wasi-calls.ts";

const CREATE = 1;
const FOLLOW = 1;
const SET = 0;

async function fileWith(text: string) {
  const wasi = new WasiCalls();
  const fd = await wasi.opened("file", { how: CREATE });
  await wasi.write(fd, text);
  await wasi.call("fd_seek", fd, 0n, SET, 0);
  return { wasi, fd };
}

describe("the scratch of a call", () => {
  it("F13: times are of the call's clock, and can be set", async () => {
    const { wasi, fd } = await fileWith("x");
    const before = (await wasi.stat("file")) as { mtim: bigint };
    expect(before.mtim / 1_000_000n).toBe(1_000n);
    await wasi.call("fd_filestat_set_times", fd, 5n, 6n, 4);
    expect(await wasi.stat("file")).toMatchObject({ mtim: 6n });
    await wasi.call("path_filestat_set_times", ROOT, 0, "file", 5n, 2n ** 64n - 1n, 1 | 4);
    expect(await wasi.stat("file")).toMatchObject({ mtim: 2n ** 64n - 1n });
    await wasi.call("fd_filestat_set_times", fd, 0n, 0n, 8);
    expect(((await wasi.stat("file")) as { mtim: bigint }).mtim / 1_000_000n).toBe(1_000n);
    for (const flags of [1 | 2, 4 | 8, 16]) {
      expect(await wasi.call("fd_filestat_set_times", fd, 0n, 0n, flags)).toBe("inval");
    }
  });

  it("gives the lowest free number, and no more than 1024 at once", async () => {
    const wasi = new WasiCalls();
    const first = await wasi.opened("file", { how: CREATE });
    expect(first).toBe(4);
    for (let fd = 5; fd < 1024; fd++) {
      await wasi.opened("file");
    }
    expect(await wasi.open("file")).toBe("mfile");
    await wasi.call("fd_close", 77);
    expect(await wasi.open("file")).toBe(77);
  });

  it("are listed by cookies that stay good while the folder changes", async () => {
    const wasi = new WasiCalls();
    const names = Array.from({ length: 40 }, (_, at) => `file${at}`);
    for (const name of names) {
      await wasi.call("fd_close", await wasi.opened(name, { how: CREATE }));
    }
    expect(await wasi.list(ROOT, 100)).toEqual([".", "..", ...names]);
    expect(await wasi.list(ROOT, 4000)).toEqual([".", "..", ...names]);
    await wasi.call("fd_readdir", ROOT, 1024, 25 * 3, 0n, 0);
    await wasi.call("path_unlink_file", ROOT, "file0");
    await wasi.call("path_unlink_file", ROOT, "file20");
    await wasi.call("fd_readdir", ROOT, 1024, 29, 3n, 0);
    expect(wasi.memory.toString("utf8", 1024 + 24, 1024 + 29)).toBe("file1");
  });
});

describe("the scratch is bounded", () => {
  it("in bytes, which come back when a file is cut or gone", async () => {
    const wasi = new WasiCalls();
    const fd = await wasi.opened("a", { how: CREATE });
    expect(await wasi.call("fd_filestat_set_size", fd, BigInt(SCRATCH_MAX_BYTES))).toBe("success");
    const other = await wasi.opened("b", { how: CREATE });
    expect(await wasi.write(other, "x")).toBe("nospc");
    expect(await wasi.call("fd_filestat_set_size", other, 2n ** 50n)).toBe("nospc");
    await wasi.call("path_unlink_file", ROOT, "a");
    expect(await wasi.write(other, "x")).toBe("nospc");
    await wasi.call("fd_close", fd);
    expect(await wasi.write(other, "x")).toBe(1);
  });

  it("in names, links included", async () => {
    const wasi = new WasiCalls();
    await wasi.call("fd_close", await wasi.opened("file", { how: CREATE }));
    for (let at = 1; at < SCRATCH_MAX_NAMES; at++) {
      await wasi.call("path_link", ROOT, 0, "file", ROOT, `name${at}`);
    }
    expect(await wasi.call("path_link", ROOT, 0, "file", ROOT, "one more")).toBe("nospc");
    expect(await wasi.call("path_symlink", "file", ROOT, "one more")).toBe("nospc");
    expect(await wasi.open("one more", { how: CREATE })).toBe("nospc");
    expect(await wasi.call("path_rename", ROOT, "name7", ROOT, "other")).toBe("success");
    await wasi.call("path_unlink_file", ROOT, "other");
    expect(await wasi.call("path_create_directory", ROOT, "one more")).toBe("success");
  });
});

describe("H15: what a call has open travels with a storage part", () => {
  /** The same guest, with the host state that `encode` wrote put back as it comes from another node. */
  function travelled(wasi: WasiCalls): WasiCalls {
    const { call } = wasi.guest;
    const state = call.encode();
    call.files = null;
    call.restore(state);
    return wasi;
  }

  it("descriptors with offsets and rights, files with links and times, folders with their order", async () => {
    const { wasi, fd } = await fileWith("0123456789");
    await wasi.read(fd, 4);
    await wasi.call("path_create_directory", ROOT, "d");
    const folder = await wasi.folder("d");
    await wasi.call("path_link", ROOT, 0, "file", folder, "second");
    await wasi.call("path_symlink", "d/second", ROOT, "link");
    const gone = await wasi.opened("gone", { how: CREATE });
    await wasi.write(gone, "still open");
    await wasi.call("path_unlink_file", ROOT, "gone");
    await wasi.call("fd_filestat_set_times", gone, 0n, 2n ** 64n - 1n, 4);
    await wasi.call("fd_renumber", 1, 2);
    const removed = await wasi.folder("d");
    const before = [await wasi.stat("file"), await wasi.fdStat(gone), await wasi.list(ROOT), wasi.guest.call.clockCount];
    travelled(wasi);
    expect([await wasi.stat("file"), await wasi.fdStat(gone), await wasi.list(ROOT), wasi.guest.call.clockCount]).toEqual(before);
    expect([await wasi.read(fd, 3), await wasi.pread(gone, 20, 0n)]).toEqual(["456", "still open"]);
    expect(await wasi.read(await wasi.opened("link", { lookup: FOLLOW }))).toBe("0123456789");
    expect([await wasi.write(2, "to the output"), await wasi.write(1, "x"), wasi.output]).toEqual([13, "isdir", "to the output"]);
    expect(await wasi.list(removed)).toEqual([".", "..", "second"]);
    await wasi.call("fd_close", gone);
    expect(await wasi.call("path_rename", ROOT, "d", ROOT, "file")).toBe("notdir");
  });

  it("a folder that was removed and is open, and a scratch whose root is closed", async () => {
    const wasi = new WasiCalls();
    await wasi.call("path_create_directory", ROOT, "d");
    const folder = await wasi.folder("d");
    await wasi.call("path_remove_directory", ROOT, "d");
    await wasi.call("fd_close", ROOT);
    travelled(wasi);
    expect(await wasi.open("x", { how: CREATE }, folder)).toBe("noent");
    expect(await wasi.list(folder)).toEqual([".", ".."]);
  });

  it("keeps the limits: what was used stays used", async () => {
    const wasi = new WasiCalls();
    const fd = await wasi.opened("a", { how: CREATE });
    await wasi.call("fd_filestat_set_size", fd, BigInt(SCRATCH_MAX_BYTES));
    travelled(wasi);
    expect(await wasi.write(await wasi.opened("b", { how: CREATE }), "x")).toBe("nospc");
    await wasi.call("fd_filestat_set_size", fd, 0n);
    expect(await wasi.write(await wasi.opened("b"), "x")).toBe(1);
  });

  it("the command line too, and nothing for a call without files", () => {
    const pins = {
      input: Buffer.alloc(0),
      startTimeMs: 1,
      seed: Buffer.alloc(16),
      outputMaxBytes: 9,
      logMaxBytes: 9,
      cpuTimeMs: 9,
    };
    const call = new CallState({ ...pins, commandLine: Buffer.from("f\0x") });
    const other = new CallState({ ...pins, commandLine: Buffer.alloc(0) });
    other.restore(call.encode());
    expect([Buffer.from(other.commandLine).toString(), other.files]).toEqual(["f\0x", null]);
  });

  it("refuses bytes that are none", () => {
    const now = () => 0n;
    const { guest } = new WasiCalls();
    const shared = () => new SharedFiles(guest, new Asks(guest));
    const bytes = CallFiles.empty(now, shared()).encode();
    for (let length = 0; length < bytes.byteLength; length++) {
      expect(() => CallFiles.decode(bytes.subarray(0, length), now, shared())).toThrow(RangeError);
    }
    const unknown = Buffer.from(bytes);
    unknown.writeUInt8(9, 16);
    expect(() => CallFiles.decode(unknown, now, shared())).toThrow("unknown kind of scratch file");
  });
});
