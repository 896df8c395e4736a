/** Imports: threads of the call. Those of WASI are https://github.com/WebAssembly/wasi-threads: a number, or an errno below 0. */
import { availableParallelism } from "node:os";
import type { Guest } from "../sandbox/guest.ts";
import { Errno } from "./wasi/index.ts";

export const processors = availableParallelism();

export const threads = (guest: Guest) => ({
  "neap.threads_max": (): number => Math.min(guest.team?.threadsMax ?? 1, processors),

  "wasi.thread-spawn": (argument: number): number => guest.team?.start({ kind: "export", argument }) || -Errno.again,
});
