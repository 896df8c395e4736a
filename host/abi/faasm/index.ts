/** Faasm's host interface, module "env". See docs/guides/faasm.md and docs/decisions/0032-faasm.md. */
import type { Guest, GuestImport } from "../../sandbox/guest.ts";
import { abiTable } from "../abi-table.ts";
import { appendedState } from "./appended-state.ts";
import { chain } from "./chain.ts";
import { io } from "./io.ts";
import { ndp } from "./ndp.ts";
import { state } from "./state.ts";

/** @param name  "module.name" */
export const isFaasm = (name: string): boolean => abiTable.get(name)?.group === "faasm";

/** What all threads of a call may use. */
export const FAASM_IN_THREADS: ReadonlySet<string> = new Set([
  "env.__faasm_read_input",
  "env.__faasm_conf_flag",
  "env.__faasm_backtrace",
]);

export const faasm = (guest: Guest): Record<string, GuestImport["run"]> => ({
  ...io(guest),
  ...chain(guest),
  ...ndp(guest),
  ...state(guest),
  ...appendedState(guest),
});
