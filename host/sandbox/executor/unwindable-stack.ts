/** The stack of an instance of a migratable module: taken apart into bytes, and put together from them (Asyncify). */
import { ASYNCIFY_EXPORTS, STACK_EXPORT } from "../../modules/artefact.ts";

/** Where in the stack's memory the frames begin: behind the two words that say where the next one goes and where there is no more room. */
const FRAMES = 8;

/**
 * Unwinding: `startUnwind` inside an import, which then returns; the module saves and leaves one frame after the other; when the entry
 * has returned `stopUnwind` has the frames. Rewinding: `startRewind`, then the same entry is called; it gets to the same import, in
 * which `stopRewind` is called, and goes on with what the import returns.
 */
export class UnwindableStack {
  readonly #memory: WebAssembly.Memory;
  readonly #startUnwind: Runtime;
  readonly #stopUnwind: Runtime;
  readonly #startRewind: Runtime;
  readonly #stopRewind: Runtime;

  private constructor(memory: WebAssembly.Memory, exports: WebAssembly.Exports) {
    this.#memory = memory;
    this.#startUnwind = runtime(exports, ASYNCIFY_EXPORTS.asyncify_start_unwind);
    this.#stopUnwind = runtime(exports, ASYNCIFY_EXPORTS.asyncify_stop_unwind);
    this.#startRewind = runtime(exports, ASYNCIFY_EXPORTS.asyncify_start_rewind);
    this.#stopRewind = runtime(exports, ASYNCIFY_EXPORTS.asyncify_stop_rewind);
  }

  /** Null for a module that is not migratable. */
  static of(exports: WebAssembly.Exports): UnwindableStack | null {
    const memory = exports[STACK_EXPORT];
    return memory instanceof WebAssembly.Memory ? new UnwindableStack(memory, exports) : null;
  }

  startUnwind(): void {
    this.#setBounds(FRAMES);
    this.#startUnwind(0);
  }

  /** The frames, innermost first. */
  stopUnwind(): Uint8Array {
    this.#stopUnwind();
    const end = new DataView(this.#memory.buffer).getUint32(0, true);
    return new Uint8Array(this.#memory.buffer).slice(FRAMES, end);
  }

  /** @throws RangeError when there is no room for so many frames */
  startRewind(frames: Uint8Array): void {
    if (frames.byteLength > this.#memory.buffer.byteLength - FRAMES) {
      throw new RangeError(`a stack of ${frames.byteLength} bytes has no room in one of ${this.#memory.buffer.byteLength}`);
    }
    new Uint8Array(this.#memory.buffer).set(frames, FRAMES);
    this.#setBounds(FRAMES + frames.byteLength);
    this.#startRewind(0);
  }

  stopRewind(): void {
    this.#stopRewind();
  }

  #setBounds(next: number): void {
    const words = new DataView(this.#memory.buffer);
    words.setUint32(0, next, true);
    words.setUint32(4, this.#memory.buffer.byteLength, true);
  }
}

type Runtime = (address?: number) => void;

function runtime(exports: WebAssembly.Exports, name: string): Runtime {
  const found = exports[name];
  if (typeof found !== "function") {
    throw new WebAssembly.LinkError(`the module does not export ${name}`);
  }
  return found as Runtime;
}
