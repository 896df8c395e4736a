import { GLOBAL_EXPORT_PREFIX } from "../../modules/artefact.ts";
import { GuestFault } from "../guest.ts";

/** Linkers make it the first global. @throws GuestFault  the module has none */
export function stackPointer(exports: WebAssembly.Exports): WebAssembly.Global {
  const found = exports[`${GLOBAL_EXPORT_PREFIX}0`];
  if (!(found instanceof WebAssembly.Global) || typeof found.value !== "number") {
    throw new GuestFault("the module has no stack pointer: its first global is no mutable i32");
  }
  return found;
}
