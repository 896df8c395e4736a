/** Reads a stretch of a module's bytes; whatever they hold, it never reads past the end of the stretch. */
import { NeapError } from "../../state/errors.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Every method throws MODULE_INVALID, naming the stretch and the offset in the module, when the bytes do not hold what is read. */
export class ModuleReader {
  readonly bytes: Uint8Array;
  /** Offset of the next byte in the module. */
  offset: number;
  readonly end: number;
  /** How errors name the stretch, such as "type section". */
  readonly what: string;

  constructor(bytes: Uint8Array, what: string, offset = 0, end = bytes.byteLength) {
    this.bytes = bytes;
    this.what = what;
    this.offset = offset;
    this.end = end;
  }

  get remaining(): number {
    return this.end - this.offset;
  }

  fail(text: string, offset = this.offset): never {
    throw new NeapError("MODULE_INVALID", `${this.what} at offset ${offset}: ${text}`);
  }

  u8(what: string): number {
    const value = this.offset < this.end ? this.bytes[this.offset] : undefined;
    if (value === undefined) {
      this.fail(`truncated: ${what} is missing`);
    }
    this.offset += 1;
    return value;
  }

  /** An unsigned LEB128 number of at most 32 bits. */
  u32(what: string): number {
    return this.#unsigned(what, 32);
  }

  /** An unsigned LEB128 number of at most 64 bits; above 2^53 only the magnitude is right. */
  u64(what: string): number {
    return this.#unsigned(what, 64);
  }

  /** Skips a signed LEB128 number of at most 33 bits. */
  skipS33(what: string): void {
    const start = this.offset;
    while ((this.u8(what) & 0x80) !== 0) {
      if (this.offset - start === 5) {
        this.fail(`${what} is longer than 5 bytes`, start);
      }
    }
  }

  /**
   * The length of a vector whose entries take at least one byte each.
   * @throws MODULE_LIMIT when it is larger than `max`
   */
  count(what: string, max: number): number {
    const start = this.offset;
    const count = this.u32(`number of ${what}`);
    if (count > this.remaining) {
      this.fail(`truncated: says ${count} ${what}, ${this.remaining} bytes are left`, start);
    }
    if (count > max) {
      throw new NeapError("MODULE_LIMIT", `${this.what} at offset ${start}: ${count} ${what}, at most ${max} are allowed`);
    }
    return count;
  }

  /** Skips `sizeBytes` bytes and returns the offset where they begin. */
  skip(sizeBytes: number, what: string): number {
    const start = this.offset;
    if (sizeBytes > this.remaining) {
      this.fail(`truncated: ${what} says ${sizeBytes} bytes, ${this.remaining} are left`, start);
    }
    this.offset += sizeBytes;
    return start;
  }

  name(what: string): string {
    const sizeBytes = this.u32(`length of ${what}`);
    const start = this.skip(sizeBytes, what);
    try {
      return utf8.decode(this.bytes.subarray(start, this.offset));
    } catch {
      return this.fail(`${what} is not UTF-8`, start);
    }
  }

  /** @throws MODULE_INVALID unless everything was read */
  finish(): void {
    if (this.remaining > 0) {
      this.fail(`${this.remaining} bytes follow its last entry`);
    }
  }

  #unsigned(what: string, bits: number): number {
    const start = this.offset;
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.u8(what);
      if (shift + 7 > bits && byte >>> (bits - shift) !== 0) {
        this.fail(`${what} is not a number of ${bits} bits`, start);
      }
      value += (byte & 0x7f) * 2 ** shift;
      if ((byte & 0x80) === 0) {
        return value;
      }
    }
  }
}
