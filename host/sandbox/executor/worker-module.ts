/** A module in a worker: what its sandboxes have in common, and those that wait for a call. */

import type { LoadedModule } from "../frames/protocol.ts";
import { type TypedModule, typedModule } from "./entry-points/index.ts";
import { MemoryImage } from "./memory-image.ts";
import type { SandboxInstance } from "./sandbox-instance.ts";

export class WorkerModule {
  readonly loaded: LoadedModule;
  readonly image: MemoryImage;
  readonly imports: readonly { readonly module: string; readonly name: string; readonly kind: string }[];
  /** Null: it has no typed entry points. */
  readonly typed: TypedModule | null;
  /** "module.name" of each. */
  readonly importNames: readonly string[];
  /** The last one was used last. */
  readonly idle: SandboxInstance[] = [];
  /** No call will come any more: sandboxes are not kept. */
  unloaded = false;
  #freshBlocks: readonly number[] | undefined;

  constructor(loaded: LoadedModule) {
    this.loaded = loaded;
    this.image = MemoryImage.ofSnapshot(loaded.snapshot);
    this.imports = WebAssembly.Module.imports(loaded.module);
    this.typed = typedModule(loaded);
    this.importNames = this.imports.map(({ module, name }) => `${module}.${name}`);
  }

  /** Makes the memory of a new instance the snapshot's: its data segments may have written over what the start function left. */
  initialise(memory: Uint8Array): void {
    this.#freshBlocks ??= this.image.differingBlocks(memory);
    this.image.copyTo(memory, this.#freshBlocks);
  }
}
