/** Makes a module's stack something that can be taken apart into bytes and put together again (binaryen's Asyncify). */
import binaryen from "binaryen";
import { ASYNCIFY_EXPORTS, INTERRUPT_IMPORT, REWRITING_MODULE, STACK_EXPORT } from "../../artefact.ts";
import type { PassOptions } from "../rewriting.ts";

/** As much as the engine gives a guest's own stack: what runs there fits here. Only what is used becomes resident. */
const STACK_PAGES = 16;

/**
 * From now on the module can be unwound in any import that may suspend it, and in no other: code that cannot reach one of them stays as
 * it is. The stack is unwound into a second memory, which no instruction of the module's own names. It is exported as
 * STACK_EXPORT, and what unwinds and rewinds as ASYNCIFY_EXPORTS.
 *
 * The module does not change its table. What Asyncify adds is made small by `optimize`, which comes after it.
 */
export function asyncify(module: binaryen.Module, { suspending }: PassOptions): void {
  // They are those of the process, and not of the module.
  binaryen.clearPassArguments();
  binaryen.setPassArgument("asyncify-imports", [...suspending, `${REWRITING_MODULE}.${INTERRUPT_IMPORT}`].join(","));
  binaryen.setPassArgument("asyncify-in-secondary-memory", "1");
  binaryen.setPassArgument("asyncify-secondary-memory-size", String(STACK_PAGES));
  module.runPasses(["asyncify"]);
  binaryen.clearPassArguments();
  for (const [internal, name] of Object.entries(ASYNCIFY_EXPORTS)) {
    module.removeExport(internal);
    module.addFunctionExport(internal, name);
  }
  module.addMemoryExport("asyncify_memory", STACK_EXPORT);
}
