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

/** The u32 at `offset`, which must be inside. Without a DataView: one for each record read is what the collector then has to find. */
export function u32At(bytes: Uint8Array, offset: number): number {
  return (
    ((bytes[offset] ?? 0) |
      ((bytes[offset + 1] ?? 0) << 8) |
      ((bytes[offset + 2] ?? 0) << 16) |
      ((bytes[offset + 3] ?? 0) << 24)) >>>
    0
  );
}

const scratch = new Uint8Array(8);
const scratchF64 = new Float64Array(scratch.buffer);
const scratchI64 = new BigInt64Array(scratch.buffer);

/** The f64 at `offset`, whose eight bytes must be inside. */
export function f64At(bytes: Uint8Array, offset: number): number {
  fillScratch(bytes, offset);
  return scratchF64[0] ?? 0;
}

function fillScratch(bytes: Uint8Array, offset: number): void {
  for (let i = 0; i < 8; i += 1) {
    scratch[i] = bytes[offset + i] ?? 0;
  }
}

/** Above it a text is decoded by the engine; below, looking for ASCII first is cheaper. */
const SHORT_TEXT_BYTES = 64;

/** Reads what ByteWriter wrote. Every method throws RangeError when the bytes end too early, and TypeError for text that is not UTF-8. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get remaining(): number {
    return this.#bytes.byteLength - this.#offset;
  }

  u8(): number {
    return this.#bytes[this.#take(1)] ?? 0;
  }

  u16(): number {
    const at = this.#take(2);
    return (this.#bytes[at] ?? 0) | ((this.#bytes[at + 1] ?? 0) << 8);
  }

  u32(): number {
    return u32At(this.#bytes, this.#take(4));
  }

  i32(): number {
    return this.u32() | 0;
  }

  f64(): number {
    return f64At(this.#bytes, this.#take(8));
  }

  i64(): bigint {
    fillScratch(this.#bytes, this.#take(8));
    return scratchI64[0] ?? 0n;
  }

  /** A view of the next `sizeBytes` bytes. */
  raw(sizeBytes: number): Uint8Array {
    const start = this.#take(sizeBytes);
    return this.#bytes.subarray(start, this.#offset);
  }

  /** A view of bytes written with their length. */
  bytes(): Uint8Array {
    return this.raw(this.u32());
  }

  text(): string {
    const sizeBytes = this.u32();
    const start = this.#take(sizeBytes);
    return sizeBytes <= SHORT_TEXT_BYTES && this.#isAscii(start)
      ? latin1Slice.call(this.#bytes, start, this.#offset)
      : utf8.decode(this.#bytes.subarray(start, this.#offset));
  }

  #isAscii(start: number): boolean {
    for (let at = start; at < this.#offset; at += 1) {
      if ((this.#bytes[at] ?? 0) >= 0x80) {
        return false;
      }
    }
    return true;
  }

  /** Goes past `sizeBytes` bytes and returns where they begin. */
  #take(sizeBytes: number): number {
    if (sizeBytes > this.remaining) {
      throw new RangeError(`${sizeBytes} bytes wanted, ${this.remaining} left`);
    }
    const start = this.#offset;
    this.#offset += sizeBytes;
    return start;
  }
}

const latin1Slice: (this: Uint8Array, start: number, end: number) => string = Buffer.prototype.latin1Slice;
