/**
 * Each import of WASI with arguments that are right, at the edge of what is right, and beyond it, one argument at a time. What the
 * imports do with right ones is in the tests beside this.
 */
import { describe, expect, it } from "vitest";
import abi from "../../../../../guest-sdk/abi.json" with { type: "json" };
import { WASI_MODULE } from "../../../../../host/abi/wasi/index.ts";
import { GuestExit } from "../../../../../host/sandbox/guest.ts";
import { ALL_RIGHTS, type ErrnoName, ROOT, WasiCalls } from "../../../../support/wasi-calls.ts";

const END = 65_536;
const [SLOTS, SLOT_BYTES] = [8_192, 1_024];
/** "file", open with all rights; the folder is ROOT. */
const FILE = 4;
const I32 = [2 ** 31 - 1, -(2 ** 31), -1];
const I64 = [2n ** 63n - 1n, -(2n ** 63n), -1n];

type Value = number | bigint;
type Arg =
  | Value
  /** A descriptor of anything that is open, or of a folder. */
  | { readonly fd: number }
  | { readonly folder: number }
  /** A pointer to so many bytes, which are given. */
  | { readonly at: Uint8Array }
  /** A pointer and a length. */
  | { readonly room: number }
  | { readonly path: string }
  | { readonly text: string }
  /** A list of buffers, and their number. */
  | { readonly buffers: readonly number[] }
  /** A number, and those that are refused. */
  | { readonly value: Value; readonly not: readonly Value[]; readonly errno: ErrnoName };

const fd = (number: number): Arg => ({ fd: number });
const out = (bytes: number): Arg => ({ at: new Uint8Array(bytes) });
const inval = (value: Value, ...not: Value[]): Arg => ({ value, not, errno: "inval" });
const file = fd(FILE);
const root: Arg = { folder: ROOT };
const [size, offset] = [out(4), out(8)];
const clock = inval(1, 2, 3, ...I32);
const place = inval(0n, 2n ** 53n, ...I64);
const times = inval(5, 1 | 2, 4 | 8, 16, ...I32);
const path = (text: string): Arg => ({ path: text });
const buffers: Arg = { buffers: [3, 0, 2] };

/** A clock subscription that is due. */
const subscription = Buffer.alloc(48);
subscription.writeUInt8(5, 24);
subscription.writeUInt8(1, 40);

const IMPORTS: readonly (readonly [name: string, args: readonly Arg[], answer?: ErrnoName])[] = [
  ["args_sizes_get", [size, size]],
  ["args_get", [out(8), out(7)]],
  ["environ_sizes_get", [size, size]],
  ["environ_get", [out(4), out(4)]],
  ["clock_res_get", [clock, out(8)]],
  ["clock_time_get", [clock, 0n, out(8)]],
  ["random_get", [{ room: 16 }]],
  ["proc_raise", [6], "notsup"],
  ["sched_yield", []],
  ["fd_read", [file, buffers, size]],
  ["fd_pread", [file, buffers, place, size]],
  ["fd_write", [file, buffers, size]],
  ["fd_pwrite", [file, buffers, place, size]],
  ["fd_seek", [file, inval(3n, ...I64), inval(0, 3, 255, ...I32), offset]],
  ["fd_tell", [file, offset]],
  ["fd_close", [file]],
  ["fd_renumber", [file, fd(1)]],
  ["fd_fdstat_get", [file, out(24)]],
  ["fd_fdstat_set_flags", [file, inval(1, 32, ...I32)]],
  ["fd_fdstat_set_rights", [file, { value: 2n, not: [1n << 13n, -1n], errno: "notcapable" }, 0n]],
  ["fd_filestat_get", [file, out(64)]],
  ["fd_filestat_set_size", [file, inval(5n, 2n ** 53n, ...I64)]],
  ["fd_filestat_set_times", [file, 1n, 1n, times]],
  ["fd_advise", [file, place, place, inval(5, 6, ...I32)]],
  ["fd_allocate", [file, place, inval(9n, 0n, 2n ** 53n, ...I64)]],
  ["fd_sync", [file]],
  ["fd_datasync", [file]],
  ["fd_readdir", [root, { room: 64 }, place, size]],
  ["fd_prestat_get", [fd(ROOT), out(8)]],
  ["fd_prestat_dir_name", [fd(ROOT), out(1), { value: 1, not: [0], errno: "nametoolong" }]],
  ["path_open", [root, 0, path("file"), inval(0, 16, 1 | 2, ...I32), ALL_RIGHTS, ALL_RIGHTS, inval(0, 32, ...I32), size]],
  ["path_filestat_get", [root, 0, path("file"), out(64)]],
  ["path_filestat_set_times", [root, 0, path("file"), 1n, 1n, times]],
  ["path_create_directory", [root, path("new")]],
  ["path_remove_directory", [root, path("folder")]],
  ["path_unlink_file", [root, path("file")]],
  ["path_link", [root, inval(0, 1, 2, ...I32), path("file"), root, path("new")]],
  ["path_symlink", [{ text: "file" }, root, path("new")]],
  ["path_readlink", [root, path("link"), { room: 4 }, size]],
  ["path_rename", [root, path("file"), root, path("new")]],
  ["poll_oneoff", [{ at: subscription }, out(32), inval(1, 0, 1025, ...I32), size]],
  ["sock_accept", [file, 0, 0], "notsock"],
  ["sock_recv", [file, 0, 0, 0, 0, 0], "notsock"],
  ["sock_send", [file, 0, 0, 0, 0], "notsock"],
  ["sock_shutdown", [file, 0], "notsock"],
];

/** A folder with a file of ten bytes, which is open, an empty folder and a link. */
async function world(): Promise<WasiCalls> {
  const wasi = new WasiCalls("input");
  wasi.guest.call.commandLine = Buffer.from("test\0x\0\0K=v");
  await wasi.store("file", "0123456789");
  await wasi.call("path_create_directory", ROOT, "folder");
  await wasi.call("path_symlink", "file", ROOT, "link");
  expect(await wasi.opened("file")).toBe(FILE);
  wasi.memory.fill(0);
  return wasi;
}

/** One argument in place of the right one: a number, bytes that end at the end of the memory or beyond it, or a length. */
type Change =
  | { readonly value: Value }
  | { readonly end: number }
  | { readonly length: number }
  | { readonly buffer: [number, number] };

/** Puts the argument's bytes into the slot, or where the change says. */
function lay(wasi: WasiCalls, arg: Arg, slot: number, change: Change | null): readonly Value[] {
  if (typeof arg !== "object") {
    return [arg];
  }
  if ("fd" in arg || "folder" in arg || "value" in arg) {
    const right = "fd" in arg ? arg.fd : "folder" in arg ? arg.folder : arg.value;
    return [change !== null && "value" in change ? change.value : right];
  }
  const bytes = bytesOf(arg, slot, change);
  const pointer = change === null || !("end" in change) ? slot : change.end - bytes.byteLength;
  if (pointer + bytes.byteLength <= END) {
    wasi.memory.set(bytes, pointer);
  }
  const count = "buffers" in arg ? arg.buffers.length : bytes.byteLength;
  const length = change !== null && "length" in change ? change.length : count;
  return [change !== null && "value" in change ? change.value : pointer, ...("at" in arg ? [] : [length])];
}

function bytesOf(arg: Exclude<Arg, Value>, slot: number, change: Change | null): Uint8Array {
  if ("at" in arg) {
    return arg.at;
  }
  if ("buffers" in arg) {
    const list = Buffer.alloc(arg.buffers.length * 8);
    arg.buffers.forEach((length, at) => {
      const isLast = at === arg.buffers.length - 1;
      const [pointer, size] = change !== null && "buffer" in change && isLast ? change.buffer : [slot + 512 + at * 16, length];
      list.writeUInt32LE(pointer, at * 8);
      list.writeUInt32LE(size, at * 8 + 4);
    });
    return list;
  }
  if ("room" in arg) {
    return new Uint8Array(arg.room);
  }
  return Buffer.from("path" in arg ? arg.path : "text" in arg ? arg.text : "");
}

async function answer(wasi: WasiCalls, name: string, args: readonly Arg[], at = -1, change: Change | null = null) {
  const flat = args.flatMap((arg, index) => lay(wasi, arg, SLOTS + index * SLOT_BYTES, index === at ? change : null));
  const [memory, call, operations] = [Buffer.from(wasi.memory), wasi.guest.call.encode(), wasi.host.operations.length];
  const errno = await wasi.call(name, ...flat);
  return {
    errno,
    /** The program's memory, or what the call has open. */
    changed: !memory.equals(wasi.memory) || Buffer.compare(call, wasi.guest.call.encode()) !== 0,
    asked: wasi.host.operations.length > operations,
  };
}

/** What is refused, with its errno. */
function refused(arg: Arg): readonly (readonly [change: Change, errno: ErrnoName])[] {
  if (typeof arg !== "object") {
    return [];
  }
  if ("fd" in arg || "folder" in arg) {
    const closed = [5, 1024, ...I32].map((value) => [{ value }, "badf"] as const);
    return "fd" in arg ? closed : [...closed, [{ value: FILE }, "notdir"], [{ value: 0 }, "notdir"]];
  }
  if ("value" in arg) {
    return arg.not.map((value) => [{ value }, arg.errno] as const);
  }
  const outside: [Change, ErrnoName][] = [
    [{ end: END + 1 }, "fault"],
    [{ value: -1 }, "fault"],
    [{ value: -(2 ** 31) }, "fault"],
  ];
  if ("buffers" in arg) {
    const beyond = [1025, -1].map((length) => [{ length }, "inval"] as const);
    const buffersOutside = [
      [END - 1, 2],
      [0, 2 ** 32 - 1],
      [2 ** 32 - 1, 1],
    ].map(([pointer = 0, length = 0]) => [{ buffer: [pointer, length] } as Change, "fault"] as const);
    return [...outside, ...beyond, ...buffersOutside];
  }
  return "at" in arg ? outside : [...outside, [{ length: -1 }, "fault"], [{ length: END }, "fault"]];
}

/** What no path may be, whatever it is for. */
const NO_PATHS: readonly (readonly [text: string, errno: ErrnoName])[] = [
  ["", "noent"],
  ["/file", "notcapable"],
  ["../file", "notcapable"],
  ["folder/../../file", "notcapable"],
  ["a\0b", "inval"],
  ["x".repeat(256), "nametoolong"],
  ["none/file", "noent"],
  ["file/x", "notdir"],
];

it("every import is in the table but proc_exit, which does not return", async () => {
  const names = abi.imports.filter(({ module }) => module === WASI_MODULE).map(({ name }) => name);
  expect([...IMPORTS.map(([name]) => name), "proc_exit"].sort()).toEqual(names.sort());
  for (const code of [0, 1, 255, ...I32]) {
    await expect((await world()).call("proc_exit", code)).rejects.toEqual(new GuestExit(code));
  }
});

const errnosIn = (text = "") => new Set(text.match(/\w+/g));
/** What abi.json says that the import answers. */
function documented(name: string): ReadonlySet<string> {
  const { answers } = abi.imports.find((one) => one.module === WASI_MODULE && one.name === name) ?? {};
  const ofPaths = name.startsWith("path_") ? /Those of paths, [^.]*/.exec(abi.modules[WASI_MODULE])?.[0] : "";
  return errnosIn(`${answers} ${ofPaths}`);
}

describe.each(IMPORTS.map(([name, args, right = "success"]) => ({ name, args, right })))("$name", ({ name, args, right }) => {
  it(`answers ${right} for arguments that are right, also where they end with the memory`, async () => {
    expect((await answer(await world(), name, args)).errno).toBe(right);
    for (const [at, arg] of args.entries()) {
      if (typeof arg === "object" && ("at" in arg || "room" in arg || "path" in arg || "text" in arg || "buffers" in arg)) {
        expect((await answer(await world(), name, args, at, { end: END })).errno, `argument ${at}`).toBe(right);
      }
      if (typeof arg === "object" && "buffers" in arg) {
        expect((await answer(await world(), name, args, at, { buffer: [END - 2, 2] })).errno).toBe(right);
      }
    }
  });

  it("refuses each that is wrong by its errno, and nothing has happened then", async () => {
    const wasi = await world();
    for (const [at, arg] of args.entries()) {
      for (const [change, errno] of refused(arg)) {
        expect(documented(name)).toContain(errno);
        const what = `argument ${at}: ${JSON.stringify(change, (_, value) => (typeof value === "bigint" ? `${value}` : value))}`;
        expect([what, await answer(wasi, name, args, at, change)]).toEqual([what, { errno, changed: false, asked: false }]);
      }
    }
  });

  it.each(
    args.flatMap((arg, at) => (typeof arg === "object" && "path" in arg ? NO_PATHS.map((one) => [at, ...one] as const) : [])),
  )("argument %i as the path %j is %s", async (at, text, errno) => {
    const { errno: told, changed } = await answer(
      await world(),
      name,
      args.map((arg, index) => (index === at ? path(text) : arg)),
    );
    expect([told, changed]).toEqual([errno, false]);
  });
});
