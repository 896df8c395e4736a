/** Room for calls that were stopped in the middle and wait as bytes, in memory, their sandboxes given back. */
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

  give(sizeBytes: number): void {
    this.#usedBytes -= sizeBytes;
    this.#calls -= 1;
  }
}
