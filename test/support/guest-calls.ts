/** Calls single imports the way a guest does, for tests: a memory to put arguments into and to read results from. */
import { importFunctions } from "../../host/abi/create-imports.ts";
import { MemoryGuest, type MemoryHost } from "./memory-guest.ts";

export class GuestCalls {
  readonly guest: MemoryGuest;
  readonly memory: Uint8Array;
  readonly #functions: ReturnType<typeof importFunctions>;

  constructor(host: MemoryHost, memoryBytes = 65_536) {
    this.guest = new MemoryGuest(host, new Uint8Array(0));
    this.memory = new Uint8Array(memoryBytes);
    this.guest.attachBytes(this.memory);
    this.#functions = importFunctions(this.guest);
  }

  /** Calls "neap.<name>". Text arguments become a pointer and a length, in memory from 0 on, 2 KiB apart. */
  async call(name: string, ...args: readonly (string | number | bigint)[]): Promise<unknown> {
    let free = 0;
    const flat = args.flatMap((arg) => {
      if (typeof arg !== "string") {
        return [arg];
      }
      const bytes = Buffer.from(arg);
      const pointer = free;
      free += 2048;
      this.memory.set(bytes, pointer);
      return [pointer, bytes.byteLength];
    });
    const run = this.#functions[`neap.${name}`] as ((...flat: unknown[]) => unknown) | undefined;
    return run?.(...flat);
  }

  bytesAt(pointer: number, length: number): Buffer {
    return Buffer.from(this.memory.subarray(pointer, pointer + length));
  }

  i64At(pointer: number): bigint {
    return this.bytesAt(pointer, 8).readBigInt64LE();
  }
}
