/** The bytes of a memory that other threads may grow: the engine then has a longer buffer, and the shorter one stays valid. */
export class SharedView {
  readonly #memory: WebAssembly.Memory;
  #bytes = new Uint8Array(0);

  constructor(memory: WebAssembly.Memory) {
    this.#memory = memory;
  }

  bytes(): Uint8Array {
    const { buffer } = this.#memory;
    if (this.#bytes.buffer !== buffer) {
      this.#bytes = new Uint8Array(buffer);
    }
    return this.#bytes;
  }
}
