/**
 * Compiled modules of a pool, by content hash; the least recently used go when they are too many bytes. A module that reaches memory
 * regions is there once for each of their memories, as its sandboxes are bound to one.
 */
import type { ArenaMemory } from "../../../state/regions/index.ts";
import type { Artefact } from "../../modules/artefact.ts";

/** Compiled on the main thread, in at most 0.3 ms: handing the work over and back takes as long. */
const COMPILE_AT_ONCE_MAX_BYTES = 64 * 1024;

export class ModuleEntry {
  /** Names the module to workers. */
  readonly id: number;
  readonly artefact: Artefact;
  readonly arena: ArenaMemory | undefined;
  readonly sizeBytes: number;
  /** Undefined until it is compiled, and for ever where modules are compiled by who runs them. */
  module: WebAssembly.Module | undefined;
  /** It can be handed to a worker. */
  isReady = false;
  /** Attempts that need the module to stay. */
  users = 0;
  readonly #compiled: Promise<WebAssembly.Module> | undefined;

  constructor(id: number, artefact: Artefact, arena: ArenaMemory | undefined, compiles: boolean) {
    this.id = id;
    this.artefact = artefact;
    this.arena = arena;
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
  readonly #arenas = new WeakMap<ArenaMemory, number>();
  #arenaCount = 0;

  /** @param compiles  false where modules are compiled by who runs them */
  constructor(maxBytes: number, compiles: boolean, onEvict: (entry: ModuleEntry) => void) {
    this.#maxBytes = maxBytes;
    this.#compiles = compiles;
    this.#onEvict = onEvict;
  }

  /** The module's entry; compiling begins when it is new. */
  get(artefact: Artefact, arena?: ArenaMemory): ModuleEntry {
    if (this.#newest?.artefact.hash === artefact.hash && this.#newest.arena === arena) {
      return this.#newest;
    }
    const key = arena === undefined ? artefact.hash : `${artefact.hash} ${this.#arenaId(arena)}`;
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      this.#ids += 1;
      entry = new ModuleEntry(this.#ids, artefact, arena, this.#compiles);
      this.#bytes += entry.sizeBytes;
      this.#evict();
    } else {
      this.#entries.delete(key);
    }
    this.#entries.set(key, entry);
    this.#newest = entry;
    return entry;
  }

  /** Lets go of the modules that are bound to a memory that no attempt uses any more. */
  forget(arena: ArenaMemory): void {
    for (const [key, entry] of this.#entries) {
      if (entry.arena === arena && entry.users === 0) {
        this.#drop(key, entry);
      }
    }
  }

  #evict(): void {
    for (const [key, entry] of this.#entries) {
      if (this.#bytes <= this.#maxBytes) {
        return;
      }
      if (entry.users === 0) {
        this.#drop(key, entry);
      }
    }
  }

  #drop(key: string, entry: ModuleEntry): void {
    this.#bytes -= entry.sizeBytes;
    this.#entries.delete(key);
    if (this.#newest === entry) {
      this.#newest = undefined;
    }
    this.#onEvict(entry);
  }

  #arenaId(arena: ArenaMemory): number {
    const known = this.#arenas.get(arena) ?? this.#arenaCount;
    if (known === this.#arenaCount) {
      this.#arenas.set(arena, known);
      this.#arenaCount += 1;
    }
    return known;
  }
}

async function compileAtOnce(wasm: Uint8Array): Promise<WebAssembly.Module> {
  return new WebAssembly.Module(wasm);
}
