/** A memory for regions in this process: what the main thread does in it, it does at once. */
import type { ArenaMemory } from "../../../state/regions/index.ts";

const ENTRY_BYTES = 8;

export class ThreadArena implements ArenaMemory {
  /** What guests import. */
  readonly memory: WebAssembly.Memory;

  /** @throws RangeError  the system has no memory */
  constructor(maxPages: number) {
    this.memory = new WebAssembly.Memory({ initial: 1, maximum: maxPages, shared: true });
  }

  async grow(pages: number): Promise<void> {
    this.memory.grow(pages);
  }

  enter(handle: number, word: bigint): void {
    Atomics.store(new BigInt64Array(this.memory.buffer, handle * ENTRY_BYTES, 1), 0, word);
  }

  async clear(from: number, to: number): Promise<void> {
    new Uint8Array(this.memory.buffer, from, to - from).fill(0);
  }

  async read(address: number, length: number): Promise<Uint8Array> {
    return Uint8Array.from(new Uint8Array(this.memory.buffer, address, length));
  }

  async write(address: number, bytes: Uint8Array): Promise<void> {
    new Uint8Array(this.memory.buffer).set(bytes, address);
  }

  async load(address: number): Promise<number> {
    return Atomics.load(new Int32Array(this.memory.buffer, address, 1), 0);
  }
}
