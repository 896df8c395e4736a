/**
 * A word in memory that preemptible guests share with whoever asks them to give way: not 0 while the worker has something else to do. A
 * guest that sees it so gives way (`ImportGate.interrupt`).
 */
export class ControlWord {
  /** As guests import it. */
  readonly memory: WebAssembly.Memory;
  readonly #words: Int32Array;

  /** @param memory  of the other thread; left out, a new one */
  constructor(memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })) {
    this.memory = memory;
    this.#words = new Int32Array(memory.buffer);
  }

  /** For a writer that knows bytes only: whatever it writes raises the word. */
  get bytes(): Uint8Array {
    return new Uint8Array(this.memory.buffer);
  }

  raise(): void {
    Atomics.store(this.#words, 0, 1);
  }

  lower(): void {
    Atomics.store(this.#words, 0, 0);
  }
}
