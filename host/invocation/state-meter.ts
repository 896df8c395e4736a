import { NeapError } from "../../state/errors.ts";

/** Counts what one attempt writes: values of objects and records of the log, whatever becomes of them. The same in every replay. */
export class StateMeter {
  readonly #maxBytes: number;
  /** So far. */
  writtenBytes: number;

  constructor(maxBytes: number, writtenBytes = 0) {
    this.#maxBytes = maxBytes;
    this.writtenBytes = writtenBytes;
  }

  /** To be called before the bytes are written. @throws STATE_LIMIT */
  add(sizeBytes: number): void {
    this.writtenBytes += sizeBytes;
    if (this.writtenBytes > this.#maxBytes) {
      const text = `the call writes ${this.writtenBytes} bytes of state or more, at most ${this.#maxBytes} are allowed (stateMaxBytes)`;
      throw new NeapError("STATE_LIMIT", text);
    }
  }
}
