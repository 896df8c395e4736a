import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { RIGHTS_OF_FOLDER, Right } from "../../../../../host/abi/wasi/types.ts";
import { hostFolder } from "../../../../../host/cli/host-files.ts";
import { ALL_RIGHTS, ROOT, WasiCalls } from "../../../../support/wasi-calls.ts";

const CREATE = 1;
const FOLDER = 2;
const EXCLUSIVE = 4;
const TRUNCATE = 8;
const APPEND = 1;
const FOLLOW = 1;
const SET = 0;
const CURRENT = 1;
const AT_END = 2;

const folders: string[] = [];

afterAll(() => {
  for (const folder of folders) {
    rmSync(folder, { recursive: true });
  }
});

function inFolder(): WasiCalls {
  const folder = mkdtempSync(join(tmpdir(), "neap-wasi-"));
  folders.push(folder);
  return new WasiCalls("", hostFolder(folder));
}

describe.each([
  { place: "in a call's scratch", open: () => new WasiCalls() },
  { place: "in a folder of this machine", open: inFolder },
])("$place", ({ open }) => {
  async function fileWith(text: string) {
    const wasi = open();
    const fd = await wasi.opened("file", { how: CREATE });
    await wasi.write(fd, text);
    await wasi.call("fd_seek", fd, 0n, SET, 0);
    return { wasi, fd };
  }

  describe("reading and writing", () => {
    it("moves one offset, which seek sets from start, itself and end", async () => {
      const { wasi, fd } = await fileWith("0123456789");
      const seek = async (delta: bigint, whence: number) =>
        (await wasi.call("fd_seek", fd, delta, whence, 0)) === "success" ? wasi.u64() : "error";
      expect([await wasi.read(fd, 3), await seek(-2n, CURRENT), await wasi.read(fd, 3)]).toEqual(["012", 1n, "123"]);
      expect([await seek(-2n, AT_END), await wasi.read(fd), await wasi.read(fd)]).toEqual([8n, "89", ""]);
      expect(await wasi.call("fd_tell", fd, 0)).toBe("success");
      expect(wasi.u64()).toBe(10n);
      expect(await wasi.call("fd_seek", fd, -11n, CURRENT, 0)).toBe("inval");
      expect(await wasi.call("fd_seek", fd, 0n, 3, 0)).toBe("inval");
      expect(await seek(20n, SET)).toBe(20n);
      expect(await wasi.write(fd, "x")).toBe(1);
      expect(await wasi.pread(fd, 100, 8n)).toBe(`89${"\0".repeat(10)}x`);
    });

    it("pread and pwrite leave the offset, and pwrite writes where it says, also to a file opened with append", async () => {
      const { wasi } = await fileWith("0123");
      const fd = await wasi.opened("file", { flags: APPEND });
      expect([await wasi.pwrite(fd, "ab", 1n), await wasi.pread(fd, 10, 0n)]).toEqual([2, "0ab3"]);
      expect([await wasi.write(fd, "4"), await wasi.pread(fd, 10, 0n)]).toEqual([1, "0ab34"]);
      await wasi.call("fd_fdstat_set_flags", fd, 0);
      await wasi.call("fd_seek", fd, 0n, SET, 0);
      expect([await wasi.write(fd, "x"), await wasi.pread(fd, 10, 0n)]).toEqual([1, "xab34"]);
      expect(await wasi.pwrite(fd, "x", -1n)).toBe("inval");
    });

    it("set_size cuts and lengthens, allocate only lengthens, advise does nothing", async () => {
      const { wasi, fd } = await fileWith("0123456789");
      expect([await wasi.call("fd_filestat_set_size", fd, 2n), await wasi.read(fd)]).toEqual(["success", "01"]);
      await wasi.call("fd_filestat_set_size", fd, 4n);
      expect(await wasi.pread(fd, 10, 0n)).toBe("01\0\0");
      expect(await wasi.call("fd_allocate", fd, 0n, 2n)).toBe("success");
      expect(await wasi.fdStat(fd)).toMatchObject({ size: 4n });
      await wasi.call("fd_allocate", fd, 3n, 7n);
      expect(await wasi.fdStat(fd)).toMatchObject({ size: 10n });
      expect([await wasi.call("fd_allocate", fd, 0n, 0n), await wasi.call("fd_allocate", fd, 2n ** 53n - 1n, 9n)]).toEqual([
        "inval",
        "fbig",
      ]);
      expect([await wasi.call("fd_advise", fd, 0n, 0n, 5), await wasi.call("fd_advise", fd, 0n, 0n, 6)]).toEqual([
        "success",
        "inval",
      ]);
      expect([await wasi.call("fd_sync", fd), await wasi.call("fd_datasync", fd)]).toEqual(["success", "success"]);
    });

    it("sees a file that was removed until it is closed", async () => {
      const { wasi, fd } = await fileWith("there");
      await wasi.call("path_unlink_file", ROOT, "file");
      expect([await wasi.open("file"), await wasi.read(fd)]).toEqual(["noent", "there"]);
      expect(await wasi.fdStat(fd)).toMatchObject({ links: 0n });
      expect(await wasi.call("fd_close", fd)).toBe("success");
    });
  });

  describe("opening", () => {
    it("creates, truncates, and insists on a new file", async () => {
      const { wasi } = await fileWith("text");
      expect(await wasi.open("none")).toBe("noent");
      expect(await wasi.open("file", { how: CREATE | EXCLUSIVE })).toBe("exist");
      expect(await wasi.read(await wasi.opened("file", { how: CREATE }))).toBe("text");
      expect(await wasi.read(await wasi.opened("file", { how: TRUNCATE }))).toBe("");
      expect(await wasi.open("file", { how: FOLDER })).toBe("notdir");
      expect(await wasi.open("new", { how: CREATE | FOLDER })).toBe("inval");
      expect(await wasi.open("new", { how: 16 })).toBe("inval");
    });

    it("opens a folder, but not to write it", async () => {
      const wasi = open();
      const rights = BigInt(Right.fdRead | Right.fdSeek);
      const fd = await wasi.opened(".", { how: FOLDER, rights });
      expect(await wasi.open(".", { how: FOLDER, rights: BigInt(Right.fdRead | Right.fdWrite) })).toBe("isdir");
      expect([await wasi.read(fd), await wasi.write(fd, "x"), await wasi.call("fd_seek", fd, 0n, CURRENT, 0)]).toEqual([
        "!isdir",
        "isdir",
        "isdir",
      ]);
      await wasi.call("fd_fdstat_get", fd, 0);
      expect([wasi.memory.readUInt8(0), wasi.u64(8)]).toEqual([3, 0n]);
      expect(await wasi.open("x", {}, await wasi.opened("file", { how: CREATE }))).toBe("notdir");
    });
  });

  describe("rights", () => {
    it("are enforced, taken away, and never given back", async () => {
      const { wasi } = await fileWith("text");
      const fd = await wasi.opened("file", { rights: BigInt(Right.fdRead | Right.fdWrite | Right.fdSeek), inheriting: 0n });
      expect(await wasi.call("fd_filestat_get", fd, 0)).toBe("notcapable");
      expect(await wasi.call("fd_fdstat_set_rights", fd, BigInt(Right.fdSeek), 0n)).toBe("success");
      expect([await wasi.read(fd), await wasi.write(fd, "x")]).toEqual(["!notcapable", "notcapable"]);
      expect(await wasi.call("fd_fdstat_set_rights", fd, BigInt(Right.fdSeek | Right.fdRead), 0n)).toBe("notcapable");
      expect(await wasi.call("fd_tell", fd, 0)).toBe("success");
    });

    it("of a folder bound what is opened through it", async () => {
      const wasi = open();
      await wasi.call("path_create_directory", ROOT, "d");
      const inheriting = ALL_RIGHTS & ~BigInt(Right.fdWrite);
      const folder = await wasi.opened("d", { rights: BigInt(RIGHTS_OF_FOLDER), inheriting });
      const reading = { how: CREATE, rights: BigInt(Right.fdRead), inheriting: 0n };
      const fd = await wasi.opened("file", reading, folder);
      expect(await wasi.write(fd, "x")).toBe("notcapable");
      expect(await wasi.open("file", { rights: BigInt(Right.fdWrite), inheriting: 0n }, folder)).toBe("notcapable");
      await wasi.call("fd_fdstat_set_rights", folder, BigInt(Right.pathOpen), inheriting);
      expect(await wasi.open("other", reading, folder)).toBe("notcapable");
      expect(await wasi.open("file", { ...reading, how: TRUNCATE }, folder)).toBe("notcapable");
      expect(await wasi.call("path_unlink_file", folder, "file")).toBe("notcapable");
    });

    it("that this host does not know are left out, as some programs ask for all", async () => {
      const wasi = open();
      const fd = await wasi.opened("file", { how: CREATE, rights: 2n ** 64n - 1n, inheriting: 2n ** 64n - 1n });
      expect(await wasi.write(fd, "x")).toBe(1);
    });
  });

  describe("folders", () => {
    it("begin with one that is empty and whose name is /", async () => {
      const wasi = open();
      await wasi.call("fd_prestat_get", ROOT, 0);
      expect([wasi.u32(0), wasi.u32(4)]).toEqual([0, 1]);
      await wasi.call("fd_prestat_dir_name", ROOT, 0, 1);
      expect(wasi.memory.toString("utf8", 0, 1)).toBe("/");
      expect(await wasi.call("fd_prestat_dir_name", ROOT, 0, 0)).toBe("nametoolong");
      expect([await wasi.call("fd_prestat_get", 4, 0), await wasi.call("fd_prestat_get", 1, 0)]).toEqual(["badf", "badf"]);
      expect(await wasi.list(ROOT)).toEqual([".", ".."]);
    });

    it("are removed only when they are empty, and nothing can be made in one that is removed", async () => {
      const wasi = open();
      await wasi.call("path_create_directory", ROOT, "d");
      const folder = await wasi.folder("d");
      expect(await wasi.call("path_create_directory", ROOT, "d")).toBe("exist");
      await wasi.call("fd_close", await wasi.opened("d/file", { how: CREATE }));
      expect(await wasi.call("path_remove_directory", ROOT, "d")).toBe("notempty");
      expect(await wasi.call("path_remove_directory", ROOT, "d/file")).toBe("notdir");
      expect(await wasi.call("path_unlink_file", ROOT, "d")).toBe("isdir");
      await wasi.call("path_unlink_file", ROOT, "d/file");
      expect(await wasi.call("path_remove_directory", ROOT, "d/")).toBe("success");
      expect(await wasi.open("file", { how: CREATE }, folder)).toBe("noent");
      expect(await wasi.call("path_rename", ROOT, "x", folder, "y")).toBe("noent");
      expect(await wasi.call("path_remove_directory", ROOT, ".")).toBe("inval");
    });
  });

  describe("links and rename", () => {
    it("gives a file a second name, and no folder", async () => {
      const { wasi } = await fileWith("text");
      expect(await wasi.call("path_link", ROOT, 0, "file", ROOT, "other")).toBe("success");
      await wasi.call("path_unlink_file", ROOT, "file");
      expect([await wasi.read(await wasi.opened("other")), await wasi.stat("other")]).toMatchObject(["text", { links: 1n }]);
      await wasi.call("path_create_directory", ROOT, "d");
      expect(await wasi.call("path_link", ROOT, 0, "d", ROOT, "e")).toBe("perm");
      expect(await wasi.call("path_link", ROOT, 0, "other", ROOT, "d")).toBe("exist");
      expect(await wasi.call("path_link", ROOT, 0, "other", ROOT, "new/")).toBe("noent");
      expect(await wasi.call("path_link", ROOT, FOLLOW, "other", ROOT, "new")).toBe("inval");
    });

    it("renames as POSIX does", async () => {
      const { wasi } = await fileWith("text");
      const rename = (from: string, to: string) => wasi.call("path_rename", ROOT, from, ROOT, to);
      await wasi.call("path_create_directory", ROOT, "d");
      await wasi.call("path_create_directory", ROOT, "e");
      expect([await rename("file", "d"), await rename("d", "file")]).toEqual(["isdir", "notdir"]);
      expect([await rename("d", "d/below"), await rename("d/", "f/"), await rename("f", "e")]).toEqual([
        "inval",
        "success",
        "success",
      ]);
      expect([await rename("file", "e/file"), await rename("file", "x")]).toEqual(["success", "noent"]);
      await wasi.call("path_create_directory", ROOT, "f");
      expect([await rename("f", "e"), await rename("e/file", "g/"), await rename(".", "h")]).toEqual([
        "notempty",
        "notdir",
        "busy",
      ]);
      await wasi.call("path_link", ROOT, 0, "e/file", ROOT, "same");
      expect(await rename("same", "e/file")).toBe("success");
      expect(await wasi.stat("same")).toMatchObject({ links: 2n });
      expect((await wasi.list(ROOT)).sort()).toEqual([".", "..", "e", "f", "same"]);
    });

    it("reads a link, cut to the room", async () => {
      const wasi = open();
      expect(await wasi.call("path_symlink", "target", ROOT, "link")).toBe("success");
      expect(await wasi.call("path_readlink", ROOT, "link", 1024, 4, 0)).toBe("success");
      expect([wasi.u32(), wasi.memory.toString("utf8", 1024, 1030)]).toEqual([4, "targ\0\0"]);
      expect(await wasi.call("path_symlink", "other", ROOT, "link")).toBe("exist");
      expect(await wasi.call("path_symlink", "other", ROOT, "new/")).toBe("noent");
      expect(await wasi.call("path_symlink", "", ROOT, "new")).toBe("noent");
      expect(await wasi.call("path_readlink", ROOT, ".", 1024, 4, 0)).toBe("inval");
    });
  });

  describe("a walk never leaves the folder it began in", () => {
    async function tree() {
      const wasi = open();
      await wasi.call("path_create_directory", ROOT, "dir");
      await wasi.call("path_create_directory", ROOT, "dir/nested");
      await wasi.call("fd_close", await wasi.opened("dir/nested/file", { how: CREATE }));
      await wasi.call("fd_close", await wasi.opened("secret", { how: CREATE }));
      return wasi;
    }

    it.each([
      ["/dir/nested/file", "notcapable"],
      ["dir/.//nested/../../dir/nested/../nested///./file", 4],
      ["dir/nested/file\0", "inval"],
      ["dir/nested/file/", "notdir"],
      ["dir/nested/file/x", "notdir"],
      ["dir/nested//", 4],
      ["dir/nested/../../../dir/nested/file", "notcapable"],
      ["..", "notcapable"],
      ["", "noent"],
      ["dir/none/file", "noent"],
      ["x".repeat(256), "nametoolong"],
      [`${"x/".repeat(2048)}x`, "nametoolong"],
    ])("opening %j answers %s", async (path, wanted) => {
      expect(await (await tree()).open(path, { rights: 0n })).toBe(wanted);
    });

    it("not by .. or a link out of a folder that was opened", async () => {
      const wasi = await tree();
      const dir = await wasi.folder("dir");
      expect(await wasi.open("../secret", {}, dir)).toBe("notcapable");
      await wasi.call("path_symlink", "../secret", dir, "out");
      expect(await wasi.open("out", { lookup: FOLLOW }, dir)).toBe("notcapable");
      // From above it leads nowhere that could not be reached anyway.
      expect(await wasi.open("dir/out", { lookup: FOLLOW })).toBeTypeOf("number");
      expect(await wasi.call("path_symlink", "/secret", dir, "root")).toBe("notcapable");
    });

    it("follows links on the way always, at the end when asked to, and not in a ring", async () => {
      const wasi = await tree();
      await wasi.call("path_symlink", "dir/nested", ROOT, "link");
      expect(await wasi.open("link")).toBe("loop");
      expect(await wasi.open("link/file")).toBeTypeOf("number");
      expect(await wasi.open("link", { lookup: FOLLOW, how: FOLDER, rights: 0n })).toBeTypeOf("number");
      expect(await wasi.stat("link")).toMatchObject({ type: 7 });
      expect(await wasi.stat("link", FOLLOW)).toMatchObject({ type: 3 });
      await wasi.call("path_symlink", "b", ROOT, "a");
      await wasi.call("path_symlink", "a", ROOT, "b");
      expect([await wasi.open("a", { lookup: FOLLOW }), await wasi.open("a/x")]).toEqual(["loop", "loop"]);
      await wasi.call("path_symlink", "new", ROOT, "dangling");
      expect(await wasi.open("dangling", { how: CREATE | EXCLUSIVE, lookup: FOLLOW })).toBe("exist");
      expect(await wasi.open("dangling", { how: CREATE, lookup: FOLLOW })).toBeTypeOf("number");
      expect(await wasi.stat("new")).toMatchObject({ type: 4 });
    });

    it("and takes names of UTF-8 only", async () => {
      const wasi = open();
      wasi.memory.set([0x61, 0xff], 2048);
      expect(await wasi.call("path_create_directory", ROOT, 2048, 2)).toBe("ilseq");
      expect(await wasi.call("path_create_directory", ROOT, 65_535, 2)).toBe("fault");
      expect(await wasi.call("path_create_directory", ROOT, "größe")).toBe("success");
      expect(await wasi.list(ROOT)).toContain("größe");
    });
  });
});
