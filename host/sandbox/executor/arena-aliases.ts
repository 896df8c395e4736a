/** A tenant's memory regions by the addresses of a module that was rewritten for it (host/modules/rewriting/passes/aliases.ts). */
import { ALIAS_BASE } from "../../modules/artefact.ts";
import type { GuestAliases } from "../guest.ts";

/** Of the handle table at the head of the memory (state/regions/arena.ts): size above base. */
const ENTRY_BYTES = 8;

export class ArenaAliases implements GuestAliases {
  readonly base = ALIAS_BASE;
  readonly #arena: WebAssembly.Memory;

  constructor(arena: WebAssembly.Memory) {
    this.#arena = arena;
  }

  memory(): Uint8Array {
    return new Uint8Array(this.#arena.buffer);
  }

  regionBase(handle: number): number {
    return Number(this.#entry(handle) & 0xffff_ffffn);
  }

  regionBytes(handle: number): number {
    return Number(this.#entry(handle) >> 32n);
  }

  #entry(handle: number): bigint {
    return Atomics.load(new BigUint64Array(this.#arena.buffer, handle * ENTRY_BYTES, 1), 0);
  }
}
