/** Work that may move to the data instead of having the data come to it. */
import { notAName, toBytes } from "./bytes";
import * as host from "./host";

export namespace storage {
  /**
   * Runs `part` near the object `key`: on the node that holds it when the host finds that cheaper than moving the object, else
   * right here. The result and all memory are the same in both cases, and `part` reads and writes objects as always; it only
   * cannot call other functions, and not sleep.
   *
   * `part` takes nothing: AssemblyScript has no closures, so what it needs and what it finds travels in globals (and whatever
   * they refer to). The less memory it leaves changed, the less comes back over the network: keep buffers small and clear
   * them before you return.
   *
   * ```ts
   * let lines = 0;
   * storage.run(key, () => { lines = countLines(key); return 0; });   // key is a global
   * ```
   *
   * @returns what `part` returned; use values from 0 on
   */
  export function run(key: string, part: () => i32): i32 {
    const name = toBytes(key);
    const value = host.storageCall(name.dataStart, name.byteLength, part.index);
    if (value == host.INVALID) throw new Error("storage.run: " + notAName(key, "key"));
    return value;
  }
}
