/** Room for calls that were stopped in the middle and are bytes, in memory, their sandboxes given back. */
export class Parking {
  readonly #maxBytes: number;
  #usedBytes = 0;
  #calls = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get calls(): number {
    return this.#calls;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Then no call leaves a node that does not stop: `hold` would go further beyond. */
  get isFull(): boolean {
    return this.#usedBytes > 0 && this.#usedBytes >= this.#maxBytes;
  }

  fits(sizeBytes: number): boolean {
    return this.#usedBytes + sizeBytes <= this.#maxBytes;
  }

  /** False, having taken nothing, when so many bytes more are too many. */
  take(sizeBytes: number): boolean {
    if (!this.fits(sizeBytes)) {
      return false;
    }
    this.#usedBytes += sizeBytes;
    this.#calls += 1;
    return true;
  }

  /**
   * Of a call that goes on at another node, for as long as it may come back: there is no refusing it any more. The returned call gives the
   * room back.
   */
  hold(sizeBytes: number): () => void {
    this.#usedBytes += sizeBytes;
    return () => {
      this.#usedBytes -= sizeBytes;
    };
  }

  give(sizeBytes: number): void {
    this.#usedBytes -= sizeBytes;
    this.#calls -= 1;
  }
}
