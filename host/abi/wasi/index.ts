/** Imports of WASI preview 1, module "wasi_snapshot_preview1". See docs/guides/wasi.md and docs/decisions/0029-wasi.md. */
import type { Guest, GuestImport } from "../../sandbox/guest.ts";
import { abiTable } from "../abi-table.ts";
import { callWorld } from "./call-world.ts";
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

/** Those that the program may have to wait in. */
export const WAITING_FUNCTIONS: ReadonlySet<string> = new Set(
  [...abiTable].flatMap(([name, { suspends }]) => (suspends && name.startsWith(PREFIX) ? [name.slice(PREFIX.length)] : [])),
);

/** By their names without the module. */
export const wasiFunctions = (world: World): Readonly<Record<string, GuestImport["run"]>> => ({
  ...process(world),
  ...readWrite(world),
  ...fileState(world),
  ...paths(world),
  ...poll(world),
  ...sockets(world),
});

export const wasi = (guest: Guest): Record<string, GuestImport["run"]> =>
  Object.fromEntries(Object.entries(wasiFunctions(callWorld(guest))).map(([name, run]) => [`${PREFIX}${name}`, run]));
