/** Imports of WASI preview 1, module "wasi_snapshot_preview1". See docs/guides/wasi.md and docs/decisions/0029-wasi.md. */
import type { Guest, GuestImport } from "../../sandbox/guest.ts";
import { abiTable } from "../abi-table.ts";
import { Asks } from "./asks.ts";
import { type CallWorld, callWorld } from "./call-world.ts";
import { fileState } from "./file-state.ts";
import { paths } from "./paths.ts";
import { poll } from "./poll.ts";
import { process } from "./process.ts";
import { readWrite } from "./read-write.ts";
import { sockets } from "./sockets.ts";
import type { World } from "./world.ts";

export { type Descriptors, firstDescriptors, type Stream } from "./descriptors.ts";
export { Errno, fail, WasiError } from "./errno.ts";
export type {
  FileAccess,
  FileNode,
  FileStat,
  FileTimes,
  FolderEntry,
  FolderNode,
  FsNode,
  LinkNode,
} from "./file-system.ts";
export { ClockId, FileType } from "./types.ts";
export type { World } from "./world.ts";

export const WASI_MODULE = "wasi_snapshot_preview1";
const PREFIX = `${WASI_MODULE}.`;

/** @param name  "module.name" */
export const isWasi = (name: string): boolean => name.startsWith(PREFIX);

/** Those that the program may have to wait in, wherever it runs. */
export const WAITING_FUNCTIONS: ReadonlySet<string> = new Set(["poll_oneoff"]);
/** Only what this has opened has anything to wait for in the imports ON_OPENED. */
const OPEN = `${PREFIX}path_open`;
const ON_OPENED: ReadonlySet<string> = new Set(
  [
    "fd_allocate",
    "fd_close",
    "fd_datasync",
    "fd_filestat_set_size",
    "fd_pread",
    "fd_pwrite",
    "fd_read",
    "fd_renumber",
    "fd_sync",
    "fd_write",
  ].map((name) => PREFIX + name),
);

/** Whether an import that may wait never does in a module with these imports: most that only print need no stack of their own (H1). */
export const neverWaits = (name: string, imported: ReadonlySet<string>): boolean => ON_OPENED.has(name) && !imported.has(OPEN);

/** A thread other than the main one has the streams alone, and may block for a clock. */
export const neverWaitsInThreads = (name: string): boolean =>
  ON_OPENED.has(name) || WAITING_FUNCTIONS.has(name.slice(PREFIX.length));

/** By their names without the module. */
export const wasiFunctions = (world: World): Readonly<Record<string, GuestImport["run"]>> => ({
  ...process(world),
  ...readWrite(world),
  ...fileState(world),
  ...paths(world),
  ...poll(world),
  ...sockets(world),
});

/** A call's world, and how imports on it wait: one of each, as the files of a call ask by it. */
export interface CallFileSystem {
  readonly world: CallWorld;
  readonly asks: Asks;
}

export function callFileSystem(guest: Guest): CallFileSystem {
  const asks = new Asks(guest);
  return { world: callWorld(guest, asks), asks };
}

export const wasi = (guest: Guest, { world, asks }: CallFileSystem): Record<string, GuestImport["run"]> => {
  guest.beforeEnd(world.finish);
  return Object.fromEntries(
    Object.entries(wasiFunctions(world)).map(([short, run]) => {
      const name = PREFIX + short;
      return [name, abiTable.get(name)?.suspends === true ? asks.waiting(run) : run];
    }),
  );
};
