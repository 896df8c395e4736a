/** Whole numbers from 0 to 2^53 − 1 in as few bytes as they need: seven bits in each, the lowest first, the top bit says that more follow. */

const MAX_BYTES = 8;

export class VarintWriter {
  #buffer = Buffer.allocUnsafeSlow(4_096);
  #length = 0;

  number(value: number): this {
    this.#room(MAX_BYTES);
    let rest = value;
    while (rest > 0x7f) {
      this.#buffer[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#length++] = rest;
    return this;
  }

  text(value: string): this {
    const sizeBytes = Buffer.byteLength(value);
    this.number(sizeBytes);
    this.#room(sizeBytes);
    this.#length += this.#buffer.write(value, this.#length, sizeBytes, "utf8");
    return this;
  }

  /** Ends what was written; a copy. */
  take(): Buffer {
    const bytes = Buffer.from(this.#buffer.subarray(0, this.#length));
    this.#length = 0;
    return bytes;
  }

  #room(sizeBytes: number): void {
    const needed = this.#length + sizeBytes;
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
      this.#buffer.copy(larger, 0, 0, this.#length);
      this.#buffer = larger;
    }
  }
}

/** Every method throws RangeError when the bytes end too early. */
export class VarintReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get hasMore(): boolean {
    return this.#at < this.#bytes.length;
  }

  number(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 0x80) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) {
        throw new RangeError(`a number goes beyond ${this.#bytes.length} bytes`);
      }
      if (byte <= 0x7f) {
        return value + byte * factor;
      }
      value += (byte & 0x7f) * factor;
    }
  }

  text(): string {
    const end = this.number() + this.#at;
    if (end > this.#bytes.length) {
      throw new RangeError(`a text goes beyond ${this.#bytes.length} bytes`);
    }
    const value = this.#bytes.toString("utf8", this.#at, end);
    this.#at = end;
    return value;
  }
}
