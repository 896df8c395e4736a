/** Imports of WASI preview 1, module "wasi_snapshot_preview1". See docs/guides/wasi.md and docs/decisions/0029-wasi.md. */
import type { Guest, GuestImport } from "../../sandbox/guest.ts";
import { callWorld } from "./call-world.ts";
import { fileState } from "./file-state.ts";
import { paths } from "./paths.ts";
import { poll } from "./poll.ts";
import { process } from "./process.ts";
import { readWrite } from "./read-write.ts";
import { sockets } from "./sockets.ts";
import type { World } from "./world.ts";

export const WASI_MODULE = "wasi_snapshot_preview1";

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
  Object.fromEntries(Object.entries(wasiFunctions(callWorld(guest))).map(([name, run]) => [`${WASI_MODULE}.${name}`, run]));
