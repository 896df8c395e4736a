/** Memory and globals of an instance: everything of the guest that a reset puts back and a delta carries. */
import { MEMORY_EXPORT, usesThreads, WASM_PAGE_BYTES } from "../../modules/artefact.ts";
import { captureDelta, type Delta, decodeDelta } from "./delta.ts";
import type { MemoryImage } from "./memory-image.ts";
import { SharedView } from "./shared-view.ts";
import type { WorkerModule } from "./worker-module.ts";

/** A sandbox that has touched more is not worth keeping (H9). */
const TOUCHED_MAX_BYTES = 4 * 1024 * 1024;
/** Stack, instance and wrappers, beside the memory. */
const OVERHEAD_BYTES = 24 * 1024;

export class InstanceState {
  readonly #module: WorkerModule;
  readonly #memory: WebAssembly.Memory;
  readonly #globals: readonly WebAssembly.Global[];
  #view = new Uint8Array(0);
  readonly #shared: SharedView | null;
  /** Estimate of what the sandbox keeps resident while it is idle. */
  idleBytes = OVERHEAD_BYTES;

  /** Makes the new instance's state that of the module's snapshot. @throws RangeError when the memory cannot be grown to it */
  constructor(module: WorkerModule, exports: WebAssembly.Exports) {
    this.#module = module;
    this.#memory = exportOf(exports, MEMORY_EXPORT, WebAssembly.Memory);
    this.#shared = usesThreads(module.loaded) ? new SharedView(this.#memory) : null;
    this.#globals = globalsOf(module, exports);
    this.#growTo(module.image.pages);
    module.initialise(this.view());
    setGlobals(this.#globals, module.loaded.snapshot.globals);
  }

  /** The memory now; take it anew whenever the guest may have run. */
  view(): Uint8Array {
    if (this.#shared !== null) {
      return this.#shared.bytes();
    }
    if (this.#view.byteLength === 0) {
      this.#view = new Uint8Array(this.#memory.buffer);
    }
    return this.#view;
  }

  get pages(): number {
    return this.view().byteLength / WASM_PAGE_BYTES;
  }

  /** @returns the pages before; -1: there is no room, or the maximum is reached */
  grow(pages: number): number {
    try {
      return this.#memory.grow(pages);
    } catch {
      return -1;
    }
  }

  /** Puts the snapshot back. False when the sandbox shall be dropped instead: its memory has grown, or too much of it was touched. */
  reset(): boolean {
    const { image, loaded } = this.#module;
    const memory = this.view();
    if (memory.byteLength !== image.pages * WASM_PAGE_BYTES) {
      return false;
    }
    const touchedBytes = image.reset(memory, TOUCHED_MAX_BYTES);
    if (touchedBytes > TOUCHED_MAX_BYTES) {
      return false;
    }
    this.idleBytes = Math.max(this.idleBytes, OVERHEAD_BYTES + touchedBytes);
    setGlobals(this.#globals, loaded.snapshot.globals);
    return true;
  }

  /** What differs from `base`, with all globals: a view that the next capture overwrites. */
  capture(base: MemoryImage): Uint8Array {
    const globals = this.#module.loaded.globals.map((declared, at) => ({ ...declared, value: this.#globals[at]?.value ?? 0 }));
    return captureDelta(this.view(), base, globals);
  }

  /** Writes a delta over the present state. @throws RangeError, having changed nothing, when it does not fit this module */
  apply(bytes: Uint8Array): Delta {
    const delta = decodeDelta(bytes, this.#module.loaded.globals);
    this.#growTo(delta.pages);
    const memory = this.view();
    for (const run of delta.runs) {
      memory.set(run.bytes, run.offset);
    }
    setGlobals(this.#globals, delta.globals);
    return delta;
  }

  #growTo(pages: number): void {
    const now = this.view().byteLength / WASM_PAGE_BYTES;
    if (pages < now) {
      throw new RangeError(`a memory of ${now} pages cannot become one of ${pages}`);
    }
    if (pages > now) {
      this.#memory.grow(pages - now);
    }
  }
}

/** The mutable globals of an instance, in the order of `Artefact.globals`. */
export function globalsOf({ loaded }: WorkerModule, exports: WebAssembly.Exports): WebAssembly.Global[] {
  return loaded.globals.map(({ name }) => exportOf(exports, name, WebAssembly.Global));
}

export function setGlobals(globals: readonly WebAssembly.Global[], values: readonly (number | bigint)[]): void {
  for (const [at, value] of values.entries()) {
    const global = globals[at];
    if (global !== undefined) {
      global.value = value;
    }
  }
}

function exportOf<T>(exports: WebAssembly.Exports, name: string, kind: new (...args: never[]) => T): T {
  const value = exports[name];
  if (!(value instanceof kind)) {
    throw new WebAssembly.LinkError(`the module does not export ${name}`);
  }
  return value;
}
