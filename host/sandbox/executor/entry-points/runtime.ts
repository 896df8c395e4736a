/** AssemblyScript's runtime in a guest, as `@assemblyscript/loader` uses it. */
import { type ASUtil, instantiateSync } from "@assemblyscript/loader";
import { InvariantBroken } from "../../../../state/errors.ts";
import { RUNTIME_MEMORY, RUNTIME_TYPES } from "../../../modules/entry-points/index.ts";
import { GuestFault } from "../../guest.ts";
import { GuestKill } from "../guest-call.ts";
import { bridgeModule } from "./adapter.ts";
import type { Allocation } from "./lower.ts";

export type Loader = Required<Pick<ASUtil, "__new" | "__newString" | "__newArray" | "__getString">>;

let bridge: WebAssembly.Module | undefined;

export class GuestRuntime {
  readonly loader: Loader;
  readonly #memory: WebAssembly.Memory;
  #allocations: readonly Allocation[] = [];
  #made: readonly number[] = [];
  #next = 0;

  constructor(exports: WebAssembly.Exports) {
    const { [RUNTIME_MEMORY]: memory, [RUNTIME_TYPES]: types } = exports;
    if (!(memory instanceof WebAssembly.Memory) || types === undefined) {
      throw new WebAssembly.LinkError("the module does not export AssemblyScript's runtime");
    }
    this.#memory = memory;
    bridge ??= bridgeModule();
    // All is pinned that the adapter has made, for the rest of the call.
    const host = {
      __new: (sizeBytes: number, id: number) => this.#take(sizeBytes, id),
      __pin: (pointer: number) => pointer,
      __unpin: () => {},
    };
    const guest = { [RUNTIME_MEMORY]: memory, [RUNTIME_TYPES]: types };
    this.loader = instantiateSync<Loader & Record<string, unknown>>(bridge, { host, guest }).exports;
  }

  /** What the guest has made for the allocations is given out in their order. */
  supply(allocations: readonly Allocation[], made: readonly number[]): void {
    this.#allocations = allocations;
    this.#made = made;
    this.#next = 0;
  }

  /** The memory now. */
  view(): DataView {
    return new DataView(this.#memory.buffer);
  }

  /** @throws GuestFault  where the guest's memory is not as its entry points say */
  guarded<T>(use: () => T): T {
    try {
      return use();
    } catch (error) {
      if (error instanceof GuestFault || error instanceof GuestKill || error instanceof InvariantBroken) {
        throw error;
      }
      const text = error instanceof Error ? error.message : String(error);
      throw new GuestFault(`the module's memory is not as its entry points say: ${text}`);
    }
  }

  #take(sizeBytes: number, id: number): number {
    const allocation = this.#allocations[this.#next];
    const pointer = this.#made[this.#next];
    this.#next += 1;
    if (pointer === undefined || allocation?.sizeBytes !== sizeBytes >>> 0 || allocation.id !== id >>> 0) {
      throw new GuestFault("the module's runtime has other types than its entry points say");
    }
    return pointer;
  }
}
