/** Posted operations of one call that the host has not carried out yet (H5). */

const OPERATIONS_MAX = 256;
const BYTES_MAX = 256 * 1024;

export class OperationWindow {
  readonly #sizes: number[] = [];
  #bytes = 0;

  /** The guest has to wait until the host has caught up. */
  get full(): boolean {
    return this.#sizes.length >= OPERATIONS_MAX || this.#bytes >= BYTES_MAX;
  }

  add(sizeBytes: number): void {
    this.#sizes.push(sizeBytes);
    this.#bytes += sizeBytes;
  }

  /** The oldest `count` are done. */
  acknowledge(count: number): void {
    for (const sizeBytes of this.#sizes.splice(0, count)) {
      this.#bytes -= sizeBytes;
    }
  }
}

/**
 * The host's side: collects acknowledgements, so that most calls need no frame for them. It owes the worker less than a quarter of the
 * window at any time, so a waiting guest always goes on once everything is carried out.
 */
export class AcknowledgementBatch {
  readonly #sizes: number[] = [];
  #count = 0;
  #bytes = 0;

  posted(sizeBytes: number): void {
    this.#sizes.push(sizeBytes);
  }

  /** More operations are not carried out than a window lets through. */
  get isOverrun(): boolean {
    return this.#sizes.length > OPERATIONS_MAX;
  }

  /** One more is carried out: how many to acknowledge now, 0 for none yet. */
  carriedOut(): number {
    this.#count += 1;
    this.#bytes += this.#sizes.shift() ?? 0;
    if (this.#count < OPERATIONS_MAX / 4 && this.#bytes < BYTES_MAX / 4) {
      return 0;
    }
    const count = this.#count;
    this.#count = 0;
    this.#bytes = 0;
    return count;
  }
}
