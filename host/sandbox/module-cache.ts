/** Compiled modules of a pool, by content hash; the least recently used go when they are too many bytes. */
import type { Artefact } from "../modules/artefact.ts";

/** Compiled on the main thread, in at most 0.3 ms: handing the work over and back takes as long. */
const COMPILE_AT_ONCE_MAX_BYTES = 64 * 1024;

export class ModuleEntry {
  /** Names the module to workers. */
  readonly id: number;
  readonly artefact: Artefact;
  readonly sizeBytes: number;
  /** Undefined until it is compiled, and for ever where modules are compiled by who runs them. */
  module: WebAssembly.Module | undefined;
  /** It can be handed to a worker. */
  isReady = false;
  /** Attempts that need the module to stay. */
  users = 0;
  readonly #compiled: Promise<WebAssembly.Module> | undefined;

  constructor(id: number, artefact: Artefact, compiles: boolean) {
    this.id = id;
    this.artefact = artefact;
    this.sizeBytes = artefact.wasm.byteLength + artefact.snapshot.runs.reduce((sum, run) => sum + run.bytes.byteLength, 0);
    if (!compiles) {
      this.isReady = true;
      return;
    }
    this.#compiled =
      artefact.wasm.byteLength <= COMPILE_AT_ONCE_MAX_BYTES ? compileAtOnce(artefact.wasm) : WebAssembly.compile(artefact.wasm);
    this.#compiled.then(
      (module) => {
        this.module = module;
        this.isReady = true;
      },
      () => {},
    );
  }

  /** Resolves when it is ready; rejects when the bytes do not compile. */
  async compiled(): Promise<void> {
    await this.#compiled;
  }
}

export class ModuleCache {
  /** In the order of last use, oldest first. */
  readonly #entries = new Map<string, ModuleEntry>();
  readonly #maxBytes: number;
  readonly #compiles: boolean;
  readonly #onEvict: (entry: ModuleEntry) => void;
  #bytes = 0;
  #ids = 0;
  #newest: ModuleEntry | undefined;

  /** @param compiles  false where modules are compiled by who runs them */
  constructor(maxBytes: number, compiles: boolean, onEvict: (entry: ModuleEntry) => void) {
    this.#maxBytes = maxBytes;
    this.#compiles = compiles;
    this.#onEvict = onEvict;
  }

  /** The module's entry; compiling begins when it is new. */
  get(artefact: Artefact): ModuleEntry {
    if (this.#newest?.artefact.hash === artefact.hash) {
      return this.#newest;
    }
    let entry = this.#entries.get(artefact.hash);
    if (entry === undefined) {
      this.#ids += 1;
      entry = new ModuleEntry(this.#ids, artefact, this.#compiles);
      this.#bytes += entry.sizeBytes;
      this.#evict();
    } else {
      this.#entries.delete(artefact.hash);
    }
    this.#entries.set(artefact.hash, entry);
    this.#newest = entry;
    return entry;
  }

  #evict(): void {
    for (const [hash, entry] of this.#entries) {
      if (this.#bytes <= this.#maxBytes) {
        return;
      }
      if (entry.users === 0) {
        this.#bytes -= entry.sizeBytes;
        this.#entries.delete(hash);
        this.#onEvict(entry);
      }
    }
  }
}

async function compileAtOnce(wasm: Uint8Array): Promise<WebAssembly.Module> {
  return new WebAssembly.Module(wasm);
}
