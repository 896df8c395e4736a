/** Little-endian reading and writing of flat binary frames. */

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Collects values into a growing buffer. Numbers are unsigned unless the name says otherwise. */
export class ByteWriter {
  #buffer: Buffer;
  #length = 0;

  constructor(initialBytes = 256) {
    this.#buffer = Buffer.allocUnsafe(initialBytes);
  }

  get length(): number {
    return this.#length;
  }

  u8(value: number): this {
    this.#room(1);
    this.#length = this.#buffer.writeUInt8(value, this.#length);
    return this;
  }

  u16(value: number): this {
    this.#room(2);
    this.#length = this.#buffer.writeUInt16LE(value, this.#length);
    return this;
  }

  u32(value: number): this {
    this.#room(4);
    this.#length = this.#buffer.writeUInt32LE(value >>> 0, this.#length);
    return this;
  }

  i32(value: number): this {
    this.#room(4);
    this.#length = this.#buffer.writeInt32LE(value | 0, this.#length);
    return this;
  }

  /** Any JavaScript number; whole ones are exact up to 2^53. */
  f64(value: number): this {
    this.#room(8);
    this.#length = this.#buffer.writeDoubleLE(value, this.#length);
    return this;
  }

  i64(value: bigint): this {
    this.#room(8);
    this.#length = this.#buffer.writeBigInt64LE(value, this.#length);
    return this;
  }

  /** The bytes as they are, without a length. */
  raw(bytes: Uint8Array): this {
    this.#room(bytes.byteLength);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.byteLength;
    return this;
  }

  /** A u32 length and the bytes. */
  bytes(bytes: Uint8Array): this {
    return this.u32(bytes.byteLength).raw(bytes);
  }

  /** A u32 length and the UTF-8 bytes. */
  text(value: string): this {
    const sizeBytes = Buffer.byteLength(value);
    this.u32(sizeBytes);
    this.#room(sizeBytes);
    this.#length += this.#buffer.write(value, this.#length, sizeBytes, "utf8");
    return this;
  }

  /** What was written; a view that the next write may invalidate. */
  view(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  /** What was written, as a copy of its own. */
  take(): Uint8Array {
    return Uint8Array.prototype.slice.call(this.view());
  }

  reset(): this {
    this.#length = 0;
    return this;
  }

  #room(sizeBytes: number): void {
    const needed = this.#length + sizeBytes;
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
      this.#buffer.copy(larger, 0, 0, this.#length);
      this.#buffer = larger;
    }
  }
}

/** Reads what ByteWriter wrote. Every method throws RangeError when the bytes end too early, and TypeError for text that is not UTF-8. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.#bytes.byteLength - this.#offset;
  }

  u8(): number {
    const value = this.#view.getUint8(this.#offset);
    this.#offset += 1;
    return value;
  }

  u16(): number {
    const value = this.#view.getUint16(this.#offset, true);
    this.#offset += 2;
    return value;
  }

  u32(): number {
    const value = this.#view.getUint32(this.#offset, true);
    this.#offset += 4;
    return value;
  }

  i32(): number {
    const value = this.#view.getInt32(this.#offset, true);
    this.#offset += 4;
    return value;
  }

  f64(): number {
    const value = this.#view.getFloat64(this.#offset, true);
    this.#offset += 8;
    return value;
  }

  i64(): bigint {
    const value = this.#view.getBigInt64(this.#offset, true);
    this.#offset += 8;
    return value;
  }

  /** A view of the next `sizeBytes` bytes. */
  raw(sizeBytes: number): Uint8Array {
    if (sizeBytes > this.remaining) {
      throw new RangeError(`${sizeBytes} bytes wanted, ${this.remaining} left`);
    }
    const start = this.#offset;
    this.#offset += sizeBytes;
    return this.#bytes.subarray(start, this.#offset);
  }

  /** A view of bytes written with their length. */
  bytes(): Uint8Array {
    return this.raw(this.u32());
  }

  text(): string {
    return utf8.decode(this.bytes());
  }
}
