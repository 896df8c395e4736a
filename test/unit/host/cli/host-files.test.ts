import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WasiError } from "../../../../host/abi/wasi/index.ts";
import { hostFolder } from "../../../../host/cli/host-files.ts";
import { ROOT, WasiCalls } from "../../../support/wasi-calls.ts";

const CREATE = 1;
const FOLLOW = 1;

let outside: string;
let root: string;

beforeEach(() => {
  outside = mkdtempSync(join(tmpdir(), "neap-files-"));
  root = join(outside, "root");
  mkdirSync(root);
  writeFileSync(join(outside, "secret"), "secret");
});

afterEach(() => rmSync(outside, { recursive: true }));

const open = () => new WasiCalls("", hostFolder(root));

describe("a folder of this machine", () => {
  it("is the machine's: what a program writes is there, with what it could not know beside it", async () => {
    const wasi = open();
    writeFileSync(join(root, "given"), "given");
    expect(await wasi.read(await wasi.opened("given"))).toBe("given");
    await wasi.write(await wasi.opened("made", { how: CREATE }), "by the program");
    expect(readFileSync(join(root, "made"), "utf8")).toBe("by the program");
  });

  it.each([
    ["an absolute path", "../secret", () => {}],
    ["an absolute link", "link", () => symlinkSync(join(outside, "secret"), join(root, "link"))],
    ["a link upwards", "link", () => symlinkSync("../secret", join(root, "link"))],
    ["a link to the folder above", "link/secret", () => symlinkSync("..", join(root, "link"))],
    [
      "links that lead up together",
      "one/two/secret",
      () => {
        mkdirSync(join(root, "deep"));
        symlinkSync("deep", join(root, "one"));
        symlinkSync("../..", join(root, "deep", "two"));
      },
    ],
  ])("is not left by %s", async (_what, path, make) => {
    make();
    expect(await open().open(path, { lookup: FOLLOW })).toBe("notcapable");
  });

  it("is not left when a folder is moved away and a link put in its place", async () => {
    mkdirSync(join(root, "folder"));
    writeFileSync(join(root, "folder", "secret"), "its own");
    const wasi = open();
    const folder = await wasi.folder("folder");
    renameSync(join(root, "folder"), join(root, "moved"));
    symlinkSync(outside, join(root, "folder"));
    expect(await wasi.read(await wasi.opened("secret", {}, folder))).toBe("its own");
    await wasi.write(await wasi.opened("new", { how: CREATE }, folder), "x");
    expect(readdirSync(join(root, "moved")).sort()).toEqual(["new", "secret"]);
    expect(await wasi.open("folder/secret")).toBe("notcapable");
  });

  it("opens no pipe, which could wait for ever, and no device", async () => {
    execFileSync("mkfifo", [join(root, "pipe")]);
    const wasi = open();
    expect(await wasi.stat("pipe")).toMatchObject({ type: 0 });
    expect(await wasi.open("pipe")).not.toBeTypeOf("number");
    expect(await wasi.open("pipe", { rights: 0n })).toBe("notsup");
  });

  it("tells times as a program has set them, until somebody else changes the file", async () => {
    const wasi = open();
    const fd = await wasi.opened("file", { how: CREATE });
    const wanted = 1_700_000_000_123_456_789n;
    await wasi.call("fd_filestat_set_times", fd, 0n, wanted, 4);
    expect([await wasi.fdStat(fd), await wasi.stat("file")]).toMatchObject([{ mtim: wanted }, { mtim: wanted }]);
    writeFileSync(join(root, "file"), "changed");
    expect(((await wasi.stat("file")) as { mtim: bigint }).mtim).not.toBe(wanted);
    await wasi.call("path_symlink", "nowhere", ROOT, "link");
    await wasi.call("path_filestat_set_times", ROOT, 0, "link", 0n, wanted, 4);
    expect(await wasi.stat("link")).toMatchObject({ type: 7, mtim: wanted });
  });

  it("lets go of what it opened on the way", async () => {
    mkdirSync(join(root, "a", "b", "c"), { recursive: true });
    writeFileSync(join(root, "a", "b", "c", "file"), "x");
    const wasi = open();
    const openFiles = () => readdirSync("/proc/self/fd").length;
    const before = openFiles();
    for (let round = 0; round < 20; round++) {
      await wasi.call("fd_close", await wasi.opened("a/b/../b/c/file"));
      await wasi.open("a/b/c/none");
      await wasi.open("a/b/../../..");
      await wasi.stat("a/b/c");
      await wasi.call("fd_close", await wasi.folder("a/b"));
      await wasi.call("path_rename", ROOT, "a/b/c/file", ROOT, "a/b/file");
      await wasi.call("path_rename", ROOT, "a/b/file", ROOT, "a/b/c/file");
    }
    expect(openFiles()).toBe(before);
  });

  it("must be one", () => {
    expect(() => hostFolder(join(outside, "secret"))).toThrow(WasiError);
    expect(() => hostFolder(join(outside, "none"))).toThrow(WasiError);
  });
});
