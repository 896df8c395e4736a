/** Calls single imports the way a guest does, for tests: a memory to put arguments into and to read results from. */
import { importFunctions } from "../../host/abi/create-imports.ts";
import { MemoryGuest, MemoryHost } from "./memory-guest.ts";
import type { ScriptedGuest } from "./scripted-guest.ts";
import type { ScriptedHost } from "./scripted-host.ts";

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

  /**
   * Calls "neap.<name>", or the import of another module by its whole name. Text arguments become a pointer and a length, in memory from
   * 0 on, 2 KiB apart.
   */
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
    const run = this.#functions[name.includes(".") ? name : `neap.${name}`] as ((...flat: unknown[]) => unknown) | undefined;
    return run?.(...flat);
  }

  bytesAt(pointer: number, length: number): Buffer {
    return Buffer.from(this.memory.subarray(pointer, pointer + length));
  }

  i64At(pointer: number): bigint {
    return this.bytesAt(pointer, 8).readBigInt64LE();
  }
}

/**
 * What `use` gives, within one call of a real host: the imports have a memory of the test's, and that host carries out what they ask for.
 * The call uses memory regions.
 */
export async function withinCall<T>(
  host: ScriptedHost,
  use: (calls: GuestCalls, guest: ScriptedGuest) => Promise<T>,
  memoryBytes?: number,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const main = async (guest: ScriptedGuest) => {
    const calls = new GuestCalls(new MemoryHost(), memoryBytes);
    calls.guest.request = (operation, args) => guest.request(operation, Uint8Array.from(args));
    calls.guest.post = (operation, args) => guest.request(operation, Uint8Array.from(args)).then(() => {});
    await use(calls, guest).then(resolve, reject);
    return 0;
  };
  await host.define("within", main, { regions: "used" });
  const [value] = await Promise.all([promise, host.told({ functionName: "within" })]);
  return value;
}
