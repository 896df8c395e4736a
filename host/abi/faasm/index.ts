/** Faasm's host interface, module "env". See docs/guides/faasm.md and docs/decisions/0032-faasm.md. */
import type { Guest, GuestImport } from "../../sandbox/guest.ts";
import { abiTable } from "../abi-table.ts";
import type { CallFileSystem } from "../wasi/index.ts";
import { aliasedState, WAITING_WHEN_ALIASED } from "./aliased-state.ts";
import { appendedState } from "./appended-state.ts";
import { chain } from "./chain.ts";
import { dynamicLinking } from "./dynamic-linking.ts";
import { exceptions } from "./exceptions.ts";
import { ffi } from "./ffi.ts";
import { io } from "./io.ts";
import { memory } from "./memory.ts";
import { ndp } from "./ndp.ts";
import { omp } from "./omp.ts";
import { openmp } from "./openmp.ts";
import { openmpLoops } from "./openmp-loops.ts";
import { sharedMemory } from "./shared-memory.ts";
import { state } from "./state.ts";
import { system } from "./system.ts";
import { threads } from "./threads.ts";

/** @param name  "module.name" */
export const isFaasm = (name: string): boolean => abiTable.get(name)?.group === "faasm";

const IN_THREADS: ReadonlySet<string> = new Set([
  "env.__faasm_read_input",
  "env.__faasm_conf_flag",
  "env.__faasm_backtrace",
  "env.__faasm_sm_reduce",
  "env.__faasm_sm_critical_local",
  "env.__faasm_sm_critical_local_end",
  "env.__cxa_throw",
  "env.__cxa_rethrow",
  "env.__cxa_begin_catch",
  "env.__cxa_end_catch",
  "env.__cxa_get_exception_ptr",
  "env._Unwind_RaiseException",
  "env._Unwind_Resume",
  "env._Unwind_Resume_or_Rethrow",
  "env._Unwind_DeleteException",
  "env.bzero",
  "env.getcwd",
  "env.uname",
  "env.getpwuid",
  "env.dup",
  "env.__wasi_fd_dup",
  "env.ioctl",
  "env.omp_get_wtime",
  "env.omp_get_wtick",
]);

/** Whether all threads of a call may use it. */
export const isFaasmInThreads = (name: string): boolean => IN_THREADS.has(name) || abiTable.get(name)?.threads === true;

/** Whether it waits for the host, other than the table says: where state is aliased. */
export const waitsWhenAliased = ({ aliases }: Guest, name: string): boolean => aliases !== null && WAITING_WHEN_ALIASED.has(name);

export const faasm = (guest: Guest, files: CallFileSystem): Record<string, GuestImport["run"]> => ({
  ...io(guest),
  ...chain(guest),
  ...ndp(guest),
  ...(guest.aliases === null ? state(guest, files) : aliasedState(guest, guest.aliases, files)),
  ...appendedState(guest),
  ...memory(guest, files),
  ...dynamicLinking(guest),
  ...exceptions(guest),
  ...ffi(guest),
  ...sharedMemory(guest),
  ...system(guest),
  ...threads(guest),
  ...openmp(guest),
  ...openmpLoops(guest),
  ...omp(guest),
});
