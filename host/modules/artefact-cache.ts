/** Loaded artefacts, the least recently used ones dropped first. */
import type { Artefact, ModuleHash } from "./artefact.ts";

export interface LoadedArtefact<Value = Artefact> {
  readonly artefact: Value;
  readonly sizeBytes: number;
}

interface CacheEntry<Value> {
  readonly loaded: Promise<LoadedArtefact<Value>>;
  /** 0 while it is being loaded. */
  sizeBytes: number;
}

/** Safe across epochs: what a hash names never changes (F7). */
export class ArtefactCache<Value = Artefact> {
  readonly #maxBytes: number;
  /** Least recently used first. */
  readonly #entries = new Map<ModuleHash, CacheEntry<Value>>();
  #sizeBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Loads at most once at a time; a load that failed is tried again by the next caller. */
  async get(hash: ModuleHash, load: () => Promise<LoadedArtefact<Value>>): Promise<Value> {
    const entry = this.#entries.get(hash) ?? this.#begin(hash, load);
    this.#entries.delete(hash);
    this.#entries.set(hash, entry);
    return (await entry.loaded).artefact;
  }

  #begin(hash: ModuleHash, load: () => Promise<LoadedArtefact<Value>>): CacheEntry<Value> {
    const entry: CacheEntry<Value> = { loaded: load(), sizeBytes: 0 };
    entry.loaded.then(
      ({ sizeBytes }) => {
        entry.sizeBytes = sizeBytes;
        this.#sizeBytes += sizeBytes;
        this.#evict();
      },
      () => this.#entries.delete(hash),
    );
    return entry;
  }

  #evict(): void {
    for (const [hash, entry] of this.#entries) {
      if (this.#sizeBytes <= this.#maxBytes) {
        return;
      }
      if (entry.sizeBytes > 0) {
        this.#entries.delete(hash);
        this.#sizeBytes -= entry.sizeBytes;
      }
    }
  }
}
