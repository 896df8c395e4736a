/** Faasm's host interface, module "env". See docs/guides/faasm.md and docs/decisions/0032-faasm.md. */
import type { Guest, GuestImport } from "../../sandbox/guest.ts";
import { abiTable } from "../abi-table.ts";
import { callWorld } from "../wasi/call-world.ts";
import { appendedState } from "./appended-state.ts";
import { chain } from "./chain.ts";
import { exceptions } from "./exceptions.ts";
import { io } from "./io.ts";
import { memory } from "./memory.ts";
import { ndp } from "./ndp.ts";
import { sharedMemory } from "./shared-memory.ts";
import { state } from "./state.ts";
import { system } from "./system.ts";

/** @param name  "module.name" */
export const isFaasm = (name: string): boolean => abiTable.get(name)?.group === "faasm";

export const faasm = (guest: Guest): Record<string, GuestImport["run"]> => ({
  ...io(guest),
  ...chain(guest),
  ...ndp(guest),
  ...state(guest),
  ...appendedState(guest),
  ...memory(guest, () => callWorld(guest).descriptors()),
  ...exceptions(guest),
  ...sharedMemory(guest),
  ...system(guest),
});
