import { describe, expect, it } from "vitest";
import { Operation } from "../../../../../host/abi/operations.ts";
import { MemoryHost } from "../../../../support/memory-guest.ts";
import { ROOT, WasiCalls } from "../../../../support/wasi-calls.ts";

const CREATE = 1;
const EXCLUSIVE = 4;
const APPEND = 1;
const KIB = 1024;

/** A tenant with these shared files. */
function hostWith(files: Readonly<Record<string, string | Uint8Array>>): MemoryHost {
  const host = new MemoryHost();
  for (const [path, content] of Object.entries(files)) {
    host.put(`files/${path}`, content);
  }
  return host;
}

/** A call of a function of that tenant. */
const callOf = (host: MemoryHost) => new WasiCalls("", undefined, host);
const tenantWith = (files: Readonly<Record<string, string | Uint8Array>>) => callOf(hostWith(files));
const names = async (wasi: WasiCalls, fd: number, length?: number) =>
  (await wasi.list(fd, length)).filter((name) => !/^\.\.?$/.test(name));

describe("read-global, write-local: the tenant's shared files under /", () => {
  it("are there with size, type and the time they were written", async () => {
    const wasi = tenantWith({ "etc/conf": "port=1", top: "x" });
    expect(await wasi.text("etc/conf")).toBe("port=1");
    expect(await wasi.stat("etc/conf")).toMatchObject({ size: 6n, type: 4, links: 1n, mtim: 1_000_000_000n });
    expect(await wasi.stat("etc")).toMatchObject({ type: 3 });
    expect(await wasi.stat("etc/other")).toBe("noent");
    expect(await wasi.stat("et")).toBe("noent");
    expect(await wasi.stat("top/x")).toBe("notdir");
  });

  it("have one inode number, whoever asks and however often", async () => {
    const host = hostWith({ a: "1", b: "2" });
    const [first, second] = [callOf(host), callOf(host)];
    const fd = await first.opened("a");
    const ino = ((await first.fdStat(fd)) as { ino: bigint }).ino;
    expect(await first.stat("a")).toMatchObject({ ino });
    expect(await second.stat("a")).toMatchObject({ ino });
    expect(await second.stat("b")).not.toMatchObject({ ino });
  });

  it("what a call changes, creates and removes is its own", async () => {
    const host = hostWith({ "d/old": "old", "d/gone": "gone", "d/cut": "0123456789" });
    const wasi = callOf(host);
    const fd = await wasi.opened("d/old");
    expect(await wasi.pwrite(fd, "+", 3n)).toBe(1);
    await wasi.store("d/new", "new");
    expect(await wasi.call("path_unlink_file", ROOT, "d/gone")).toBe("success");
    const cut = await wasi.opened("d/cut");
    expect(await wasi.call("fd_filestat_set_size", cut, 4n)).toBe("success");
    expect([await wasi.text("d/old"), await wasi.text("d/new"), await wasi.text("d/gone"), await wasi.text("d/cut")]).toEqual([
      "old+",
      "new",
      "!noent",
      "0123",
    ]);
    expect(new Set(await names(wasi, await wasi.folder("d")))).toEqual(new Set(["old", "new", "cut"]));
    await wasi.guest.settle();
    const other = callOf(host);
    expect([await other.text("d/old"), await other.text("d/new"), await other.text("d/gone")]).toEqual(["old", "!noent", "gone"]);
    expect(
      host.operations.filter((operation) => operation === Operation.objectWrite || operation === Operation.objectUpdate),
    ).toEqual([]);
  });

  it("a name that was removed can be taken again, and removed again", async () => {
    const wasi = tenantWith({ a: "shared" });
    for (const text of ["one", "two"]) {
      await wasi.call("path_unlink_file", ROOT, "a");
      expect(await wasi.text("a")).toBe("!noent");
      await wasi.store("a", text);
      expect([await wasi.text("a"), await names(wasi, ROOT)]).toEqual([text, ["a"]]);
    }
  });

  it("files and whole folders are renamed for the call alone", async () => {
    const host = hostWith({ "d/x": "x", "d/e/y": "y", f: "f" });
    const wasi = callOf(host);
    expect(await wasi.call("path_rename", ROOT, "d", ROOT, "moved")).toBe("success");
    expect([await wasi.text("moved/x"), await wasi.text("moved/e/y"), await wasi.text("d/x")]).toEqual(["x", "y", "!noent"]);
    expect(await wasi.call("path_rename", ROOT, "moved/x", ROOT, "f")).toBe("success");
    expect([await wasi.text("f"), await wasi.text("moved/x")]).toEqual(["x", "!noent"]);
    expect(await wasi.call("path_rename", ROOT, "f", ROOT, "moved/e")).toBe("isdir");
    expect(await wasi.call("path_rename", ROOT, "moved", ROOT, "moved/e/in")).toBe("inval");
    expect(await wasi.call("path_rename", ROOT, "moved/../f", ROOT, "./f")).toBe("success");
    expect(await names(wasi, ROOT)).toEqual(["moved", "f"]);
    expect(await names(callOf(host), ROOT)).toEqual(["d", "f"]);
  });

  it("a folder of which something is left is not removed, an emptied one is", async () => {
    const wasi = tenantWith({ "d/x": "x" });
    expect(await wasi.call("path_remove_directory", ROOT, "d")).toBe("notempty");
    await wasi.call("path_unlink_file", ROOT, "d/x");
    expect(await wasi.call("path_remove_directory", ROOT, "d")).toBe("success");
    expect([await wasi.stat("d"), await names(wasi, ROOT)]).toEqual(["noent", []]);
    expect(await wasi.call("path_create_directory", ROOT, "d")).toBe("success");
    expect(await wasi.text("d/x")).toBe("!noent");
  });

  it("second names and links lead to them", async () => {
    const wasi = tenantWith({ "d/x": "x" });
    expect(await wasi.call("path_link", ROOT, 0, "d/x", ROOT, "second")).toBe("success");
    expect(await wasi.call("path_symlink", "d/x", ROOT, "link")).toBe("success");
    expect(await wasi.stat("d/x")).toMatchObject({ links: 2n });
    const fd = await wasi.opened("second");
    await wasi.pwrite(fd, "y", 0n);
    expect([await wasi.text("d/x"), await wasi.read(await wasi.opened("link", { lookup: 1 }))]).toEqual(["y", "y"]);
  });

  it("reading many costs the scratch nothing", async () => {
    const files = Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`d${at}/f`, "x"]));
    const wasi = tenantWith(files);
    const before = wasi.guest.call.encode().byteLength;
    for (const path of Object.keys(files)) {
      const fd = await wasi.opened(path);
      await wasi.stat(path);
      await wasi.call("fd_close", fd);
    }
    expect(wasi.guest.call.encode().byteLength - before).toBeLessThan(300);
  });
});

describe("lists", () => {
  it("show the call's own and the tenant's, each once, in rooms of any size", async () => {
    const files = Object.fromEntries(Array.from({ length: 300 }, (_, at) => [`d/${at % 3 === 0 ? `n${at}/x` : `n${at}`}`, "x"]));
    const wasi = tenantWith(files);
    await wasi.store("d/n1", "mine");
    await wasi.store("d/own", "mine");
    await wasi.call("path_unlink_file", ROOT, "d/n2");
    const fd = await wasi.folder("d");
    const expected = new Set([...Array.from({ length: 300 }, (_, at) => `n${at}`), "own"]);
    expected.delete("n2");
    for (const length of [100, 4000]) {
      const listed = await names(wasi, fd, length);
      expect([listed.length, new Set(listed)]).toEqual([expected.size, expected]);
    }
  });

  it("stay right while files are changed, removed and closed", async () => {
    const files = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`f${String(at).padStart(2, "0")}`, "x"]));
    const wasi = tenantWith(files);
    const open = await wasi.opened("f00");
    const seen: string[] = [];
    for (let cookie = 0n; ; ) {
      await wasi.call("fd_readdir", ROOT, 1024, 30, cookie, 0);
      const used = wasi.u32();
      if (used < 24) {
        break;
      }
      cookie = wasi.u64(1024);
      const name = wasi.memory.toString("utf8", 1048, 1048 + wasi.u32(1024 + 16));
      seen.push(name);
      if (name === "f05") {
        await wasi.store("f20", "changed");
        await wasi.call("fd_close", open);
      } else if (name.startsWith("f1")) {
        await wasi.call("path_unlink_file", ROOT, name);
      }
    }
    expect(seen).toEqual([".", "..", ...Object.keys(files)]);
  });

  it("go on behind an entry that is kept, and say so of one that is not", async () => {
    const wasi = tenantWith({ a: "", b: "", c: "" });
    await wasi.call("fd_readdir", ROOT, 1024, 400, 0n, 0);
    const cookie = wasi.u64(1024 + 25 + 26);
    await wasi.call("fd_readdir", ROOT, 1024, 25, cookie, 0);
    expect(wasi.memory.toString("utf8", 1048, 1049)).toBe("b");
    expect(await wasi.call("fd_readdir", ROOT, 1024, 400, cookie + 1_000_000n, 0)).toBe("inval");
  });

  it("end, whatever the names are", async () => {
    const wasi = tenantWith({ "x/a": "", "x/\u{10FFFF}a": "", [`x/${"\u{10FFFF}".repeat(60)}`]: "", x0: "", y: "" });
    expect(await names(wasi, ROOT)).toEqual(["x", "x0", "y"]);
    expect(await names(wasi, await wasi.folder("faasm://"))).toEqual(["x", "x0", "y"]);
  });

  it("leave out names that no path can hold, and never show faasm:", async () => {
    const wasi = tenantWith({ ok: "", "/a": "", "./b": "", "../c": "", ["x".repeat(300)]: "", "d//e": "", "d/": "" });
    expect(await names(wasi, ROOT)).toEqual(["d", "ok"]);
    expect(await names(wasi, await wasi.folder("d"))).toEqual([]);
    expect(await wasi.stat("faasm:")).toMatchObject({ type: 3 });
  });
});

describe("faasm:// is shared: what a call does there, all see", () => {
  it("files are given when they are closed, synced, or the call returns", async () => {
    const host = hostWith({});
    const wasi = callOf(host);
    expect(await wasi.open("faasm://out/closed", { how: CREATE })).toBe("noent");
    await wasi.call("path_create_directory", ROOT, "faasm://out");
    await wasi.store("faasm://out/closed", "1");
    const synced = await wasi.opened("faasm://out/synced", { how: CREATE });
    await wasi.write(synced, "2");
    expect(host.text("files/out/synced")).toBe("");
    expect(await wasi.call("fd_sync", synced)).toBe("success");
    await wasi.write(await wasi.opened("faasm://open", { how: CREATE }), "3");
    expect([host.text("files/out/closed"), host.text("files/out/synced"), host.text("files/open")]).toEqual(["1", "2", ""]);
    await wasi.guest.settle();
    expect(host.text("files/open")).toBe("3");
    expect(await callOf(host).text("out/closed")).toBe("1");
  });

  it("a call sees at once what it has written there, by any descriptor and under / too once it is given", async () => {
    const wasi = tenantWith({ a: "old" });
    const [first, second] = [await wasi.opened("faasm://a"), await wasi.opened("faasm:/a")];
    await wasi.write(first, "new");
    expect([await wasi.read(second), await wasi.text("a")]).toEqual(["new", "old"]);
    await wasi.call("fd_close", first);
    expect(await wasi.text("a")).toBe("new");
  });

  it("parts of a file are changed, cut and added to", async () => {
    const host = hostWith({ a: "0123456789" });
    const wasi = callOf(host);
    const fd = await wasi.opened("faasm://a");
    await wasi.pwrite(fd, "xy", 4n);
    await wasi.call("fd_filestat_set_size", fd, 8n);
    await wasi.call("fd_close", fd);
    const added = await wasi.opened("faasm://a", { flags: APPEND });
    await wasi.write(added, "end");
    await wasi.call("fd_close", added);
    expect(host.text("files/a")).toBe("0123xy67end");
  });

  it("a file that another call has replaced since is not overwritten with a part of the old one", async () => {
    const host = hostWith({ a: "0123456789" });
    const wasi = callOf(host);
    const fd = await wasi.opened("faasm://a");
    await wasi.pwrite(fd, "x", 0n);
    await callOf(host).store("faasm://a", "other");
    expect([await wasi.call("fd_close", fd), await wasi.call("fd_close", fd), host.text("files/a")]).toEqual([
      "stale",
      "badf",
      "other",
    ]);
    const left = await wasi.opened("faasm://a");
    await wasi.pwrite(left, "x", 0n);
    host.put("files/a", "third");
    await expect(wasi.guest.settle()).rejects.toThrow(
      "faasm://a was left open and cannot be stored: another call has replaced it",
    );
  });

  it("an exclusive creation is one call's: the others are told that it exists", async () => {
    const host = hostWith({});
    const [first, second] = [callOf(host), callOf(host)];
    expect(await first.open("faasm://lock", { how: CREATE | EXCLUSIVE })).toBe(4);
    expect(await second.open("faasm://lock", { how: CREATE | EXCLUSIVE })).toBe("exist");
    host.beforeUpdate = () => host.put("files/race", "theirs");
    expect(await second.open("faasm://race", { how: CREATE | EXCLUSIVE })).toBe("exist");
    host.remove("files/race");
    expect(await second.read(await second.opened("faasm://race", { how: CREATE }))).toBe("theirs");
  });

  it("folders are made, listed and removed; an empty one is kept", async () => {
    const host = hostWith({});
    const wasi = callOf(host);
    expect(await wasi.call("path_create_directory", ROOT, "faasm://d")).toBe("success");
    expect(await wasi.call("path_create_directory", ROOT, "faasm://d")).toBe("exist");
    await wasi.store("faasm://d/x", "x");
    const other = callOf(host);
    expect(await names(other, await other.folder("faasm://"))).toEqual(["d"]);
    expect(await names(other, await other.folder("faasm://d"))).toEqual(["x"]);
    expect(await other.call("path_remove_directory", ROOT, "faasm://d")).toBe("notempty");
    expect(await other.call("path_unlink_file", ROOT, "faasm://d/x")).toBe("success");
    expect(await wasi.stat("faasm://d")).toMatchObject({ type: 3, size: 0n });
    expect(await wasi.call("path_remove_directory", ROOT, "faasm://d")).toBe("success");
    expect(await other.stat("faasm://d")).toBe("noent");
  });

  it("renames move files, over others and while they are open; folders do not move, nor anything to or from the call's own", async () => {
    const host = hostWith({ a: "a", b: "b", "d/x": "x", own: "own" });
    const wasi = callOf(host);
    const open = await wasi.opened("faasm://a");
    await wasi.write(open, "A");
    expect(await wasi.call("path_rename", ROOT, "faasm://a", ROOT, "faasm://b")).toBe("success");
    expect([host.text("files/a"), host.text("files/b")]).toEqual([null, "A"]);
    await wasi.write(open, "B");
    await wasi.call("fd_close", open);
    expect(host.text("files/b")).toBe("AB");
    expect(await wasi.call("path_rename", ROOT, "faasm://b", ROOT, "faasm://b")).toBe("success");
    expect(await wasi.call("path_rename", ROOT, "faasm://d", ROOT, "faasm://e")).toBe("xdev");
    expect(await wasi.call("path_rename", ROOT, "faasm://b", ROOT, "own")).toBe("xdev");
    expect(await wasi.call("path_rename", ROOT, "own", ROOT, "faasm://b")).toBe("xdev");
    expect(await wasi.call("path_rename", ROOT, "faasm://b", ROOT, "faasm://d")).toBe("isdir");
    expect(await wasi.call("path_rename", ROOT, "faasm:", ROOT, "other")).toBe("busy");
    expect(await wasi.call("path_remove_directory", ROOT, "faasm:")).toBe("busy");
    expect(await wasi.call("path_link", ROOT, 0, "faasm://b", ROOT, "link")).toBe("xdev");
    expect(await wasi.call("path_symlink", "b", ROOT, "faasm://link")).toBe("notsup");
    expect(host.text("files/b")).toBe("AB");
  });

  it("a file that is removed while it is open is not given any more", async () => {
    const host = hostWith({ a: "a" });
    const wasi = callOf(host);
    const fd = await wasi.opened("faasm://a");
    await wasi.write(fd, "b");
    await wasi.call("path_unlink_file", ROOT, "faasm://a");
    expect([await wasi.call("fd_close", fd), host.text("files/a")]).toEqual(["success", null]);
  });

  it("times there are those of the writes, and cannot be set", async () => {
    const wasi = tenantWith({ a: "a" });
    expect(await wasi.stat("faasm://a")).toMatchObject({ mtim: 1_000_000_000n });
    expect(await wasi.call("path_filestat_set_times", ROOT, 0, "faasm://a", 1n, 1n, 5)).toBe("notsup");
    expect(await wasi.call("path_filestat_set_times", ROOT, 0, "a", 1n, 7n, 5)).toBe("success");
    expect([await wasi.stat("a"), await wasi.stat("faasm://a")]).toMatchObject([{ mtim: 7n }, { mtim: 1_000_000_000n }]);
  });

  it("refuses what cannot be a key, and what is larger than the host takes", async () => {
    const host = hostWith({});
    const wasi = callOf(host);
    expect(await wasi.open("faasm://a\nb", { how: CREATE })).toBe("inval");
    const folder = "x".repeat(200);
    expect(await wasi.open(`faasm://${`${folder}/`.repeat(5)}${folder}`, { how: CREATE })).toBe("noent");
    host.put(`files/${`${folder}/`.repeat(5)}x`, "");
    expect(await wasi.open(`faasm://${`${folder}/`.repeat(5)}${folder}`, { how: CREATE })).toBe("nametoolong");
    host.objectMaxBytes = 2 * 1024 * KIB;
    const fd = await wasi.opened("faasm://big", { how: CREATE });
    await wasi.call("fd_filestat_set_size", fd, BigInt(3 * 1024 * KIB));
    expect(await wasi.call("fd_close", fd)).toBe("fbig");
  });

  it("no path leads out of the tenant's files", async () => {
    const host = hostWith({ "d/x": "x" });
    host.put("secret", "s");
    const wasi = callOf(host);
    for (const path of ["faasm://../../secret", "../secret", "d/../../secret", "/faasm://x"]) {
      expect([path, await wasi.open(path)]).toEqual([path, "notcapable"]);
    }
    expect(await wasi.text("faasm://../secret")).toBe("!noent");
    const inside = await wasi.folder("faasm://d");
    expect(await wasi.open("../d/x", {}, inside)).toBe("notcapable");
  });
});

describe("large files", () => {
  const large = Uint8Array.from({ length: 300 * KIB }, (_, at) => (at * 7 + (at >> 9)) & 0xff);

  it("are read in pieces, at any offset, and never whole", async () => {
    const wasi = tenantWith({ large });
    const fd = await wasi.opened("large");
    for (const [offset, length] of [
      [0, 10],
      [64 * KIB - 3, 7],
      [200 * KIB, 50_000],
      [300 * KIB - 5, 100],
      [300 * KIB, 5],
    ] as const) {
      expect(await wasi.pread(fd, length, BigInt(offset))).toBe(Buffer.from(large.subarray(offset, offset + length)).toString());
    }
    expect(wasi.guest.call.encode().byteLength).toBeLessThan(300 * KIB);
  });

  it("are of one version: a piece of another is errno stale, and opening again reads the new one", async () => {
    const host = hostWith({ large });
    const wasi = callOf(host);
    const fd = await wasi.opened("large");
    await wasi.read(fd, 10);
    host.put("files/large", large.toReversed());
    expect([await wasi.pread(fd, 5, 0n), await wasi.pread(fd, 5, BigInt(128 * KIB))]).toEqual([
      Buffer.from(large.subarray(0, 5)).toString(),
      "!stale",
    ]);
    expect(await wasi.pread(await wasi.opened("faasm://large"), 3, 0n)).toBe(
      Buffer.from(large.toReversed().subarray(0, 3)).toString(),
    );
    host.remove("files/large");
    expect(await wasi.pread(fd, 5, BigInt(128 * KIB))).toBe("!stale");
  });

  it("one that is changed is brought into the scratch, if it fits", async () => {
    const host = hostWith({ large });
    const wasi = callOf(host);
    const fd = await wasi.opened("large");
    await wasi.pwrite(fd, "!", BigInt(300 * KIB));
    expect(await wasi.fdStat(fd)).toMatchObject({ size: BigInt(300 * KIB + 1) });
    host.remove("files/large");
    expect(await wasi.pread(fd, 2, BigInt(300 * KIB))).toBe("!");
    host.put("files/huge", new Uint8Array(33 * 1024 * KIB));
    const huge = await wasi.opened("huge");
    expect(await wasi.pwrite(huge, "!", 0n)).toBe("nospc");
    expect(await wasi.call("path_rename", ROOT, "faasm://huge", ROOT, "faasm://moved")).toBe("success");
    expect(host.objects.get("files/moved")?.bytes?.byteLength).toBe(33 * 1024 * KIB);
  });
});

describe("H15: shared files travel with a storage part", () => {
  function travelled(wasi: WasiCalls): WasiCalls {
    const { call } = wasi.guest;
    const state = Uint8Array.from(call.encode());
    call.files = null;
    call.restore(state);
    return wasi;
  }

  it("what is open, changed, hidden and read stays so, without another question", async () => {
    const host = hostWith({ "d/a": "a", "d/b": "b", "d/c": "c", s: "shared", t: "t" });
    const wasi = callOf(host);
    const read = await wasi.opened("d/a");
    await wasi.read(read, 1);
    await wasi.store("d/b", "B");
    await wasi.call("path_unlink_file", ROOT, "d/c");
    const dirty = await wasi.opened("faasm://s");
    await wasi.write(dirty, "S");
    const folder = await wasi.folder("faasm://");
    await wasi.call("fd_readdir", folder, 1024, 25 + 26 + 25, 0n, 0);
    const cookie = wasi.u64(1024 + 25 + 26);
    const before = [await wasi.stat("d/a"), await wasi.stat("d/b"), await wasi.fdStat(dirty), await wasi.list(ROOT)];
    const asked = host.operations.length;
    travelled(wasi);
    expect(await wasi.pread(read, 1, 0n)).toBe("a");
    expect(host.operations.length).toBe(asked);
    expect([await wasi.stat("d/a"), await wasi.stat("d/b"), await wasi.fdStat(dirty), await wasi.list(ROOT)]).toEqual(before);
    expect(await wasi.text("d/c")).toBe("!noent");
    await wasi.call("fd_readdir", folder, 1024, 25, cookie, 0);
    expect(wasi.memory.toString("utf8", 1048, 1049)).toBe("s");
    await wasi.call("path_rename", ROOT, "faasm://s", ROOT, "faasm://moved");
    const moved = await wasi.fdStat(dirty);
    expect(await travelled(wasi).fdStat(dirty)).toEqual(moved);
    await wasi.call("path_rename", ROOT, "faasm://moved", ROOT, "faasm://s");
    await wasi.write(dirty, "");
    await travelled(wasi).guest.settle();
    expect(host.text("files/s")).toBe("Shared");
  });

  it("F22: an import that is entered again elsewhere asks the same first, and then does the same", async () => {
    const host = hostWith({ "d/a": "a", "d/b": "b" });
    const wasi = callOf(host);
    const read = await wasi.opened("d/a");
    const folder = await wasi.folder("d");
    const dirty = await wasi.opened("faasm://d/b");
    await wasi.write(dirty, "B");
    const imports: (readonly [(wasi: WasiCalls) => Promise<unknown>, unknown])[] = [
      [(one) => one.open("d/b"), dirty + 1],
      [(one) => one.call("path_rename", ROOT, "d/b", ROOT, "d/c"), "success"],
      [(one) => one.read(read), "a"],
      [(one) => one.list(folder), [".", "..", "a", "b"]],
      [(one) => one.call("fd_close", dirty), "success"],
    ];
    for (const [run, expected] of imports) {
      const begun = callOf(host);
      begun.guest.call.restore(Uint8Array.from(wasi.guest.call.encode()));
      const asked: unknown[] = [];
      const stoppedWith = new Promise<Uint8Array>((resolve) => {
        begun.guest.request = (operation, args) => {
          asked.push([operation, Buffer.from(args).toString("hex")]);
          resolve(Uint8Array.from(begun.guest.call.encode()));
          return new Promise(() => {});
        };
      });
      void run(begun);
      const elsewhere = callOf(host);
      elsewhere.guest.call.restore(await stoppedWith);
      const request = elsewhere.guest.request.bind(elsewhere.guest);
      elsewhere.guest.request = (operation, args) => {
        asked.push([operation, Buffer.from(args).toString("hex")]);
        return request(operation, args);
      };
      expect(await run(elsewhere)).toEqual(expected);
      expect(asked[1]).toEqual(asked[0]);
    }
  });
});
