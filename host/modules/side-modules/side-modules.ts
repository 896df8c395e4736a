/** Side modules that calls of this process have opened, prepared once each and kept by the hash of their content. */
import { createHash } from "node:crypto";
import type { LogBookId } from "../../../state/ids.ts";
import type { ModuleHash, ModuleLimits } from "../artefact.ts";
import { ArtefactCache } from "../artefact-cache.ts";
import { NO_REWRITING } from "../rewriting/index.ts";
import { TenantTurns } from "../tenant-turns.ts";
import { hashInSlices } from "../upload-places.ts";
import type { Uploads } from "../uploads.ts";
import { decodeSideModule } from "./side-module.ts";

const CACHE_MAX_BYTES = 64 * 1024 * 1024;

interface KeptSideModule {
  readonly bytes: Uint8Array;
  /** While there is one, the engine need not compile equal bytes again, whichever thread asks. Null: they run in other processes only. */
  readonly compiled: WebAssembly.Module | null;
}

export class SideModules {
  readonly #uploads: Uploads;
  readonly #kept = new ArtefactCache<KeptSideModule>(CACHE_MAX_BYTES);
  /** To read and prepare one. */
  readonly #turns = new TenantTurns();

  /** @param uploads  of its own: no upload waits for a side module */
  constructor(uploads: Uploads) {
    this.#uploads = uploads;
  }

  /**
   * What `encodeSideModule` makes of what `read` gives, the same in every replay; null for null.
   * @throws what `read` throws, and `Uploads.prepare` for reasons of the host's: time, memory, processes
   */
  prepared(tenant: LogBookId, read: () => Promise<ArrayBuffer | null>, options: SideModuleOptions): Promise<Uint8Array | null> {
    return this.#turns.run(tenant, async () => {
      const module = await read();
      if (module === null) {
        return null;
      }
      const hash = createHash("sha256").update(options.preemptible ? "preemptible" : "plain");
      await hashInSlices(new Uint8Array(module), [hash]);
      const key = hash.digest("hex") as ModuleHash;
      const { bytes } = await this.#kept.get(key, () => this.#prepare(module, options));
      return bytes;
    });
  }

  async #prepare(module: ArrayBuffer, { limits, preemptible, isIsolated }: SideModuleOptions) {
    const rewriting = { ...NO_REWRITING, preemptible };
    const { artefact: bytes } = await this.#uploads.prepare(module, limits, rewriting, isIsolated, "side module");
    const prepared = isIsolated ? null : decodeSideModule(bytes);
    const compiled = prepared?.kind === "module" ? await WebAssembly.compile(prepared.module.wasm) : null;
    return { artefact: { bytes, compiled }, sizeBytes: (compiled === null ? 1 : 2) * bytes.byteLength };
  }
}

export interface SideModuleOptions {
  readonly limits: ModuleLimits;
  /** It gives way as the function does that opens it. */
  readonly preemptible: boolean;
  readonly isIsolated: boolean;
}
