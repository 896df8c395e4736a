/** What all sandboxes of a module with typed entry points have in common. */
import { decodeEntryPoints, ENTRY_POINTS_SECTION, type EntryPoint } from "../../../modules/entry-points/index.ts";
import type { LoadedModule } from "../../frames/protocol.ts";
import { adapterModule } from "./adapter.ts";

export interface TypedModule {
  readonly entryPoints: readonly EntryPoint[];
  readonly adapter: WebAssembly.Module;
}

/** Null when the module has none. */
export function typedModule({ module, entry, entryReturns }: LoadedModule): TypedModule | null {
  const [section] = WebAssembly.Module.customSections(module, ENTRY_POINTS_SECTION);
  if (section === undefined) {
    return null;
  }
  const entryPoints = decodeEntryPoints(new Uint8Array(section));
  return { entryPoints, adapter: adapterModule(entryPoints, entry === "" ? null : { name: entry, returns: entryReturns }) };
}
