/** Output of many small pieces, handed to the host in large ones. Allocates nothing per piece. */
import { outputBytes } from "../../../../guest-sdk/assembly";

const CAPACITY_BYTES: i32 = 16384;
const DIGITS_MAX: i32 = 20;

export class TextBuffer {
  private readonly bytes: Uint8Array = new Uint8Array(CAPACITY_BYTES);
  private length: i32 = 0;

  /** Appends `length` bytes from `pointer`. */
  append(pointer: usize, length: i32): void {
    while (length > 0) {
      if (this.length == CAPACITY_BYTES) this.flush();
      const piece = min(length, CAPACITY_BYTES - this.length);
      memory.copy(this.bytes.dataStart + this.length, pointer, piece);
      this.length += piece;
      pointer += piece;
      length -= piece;
    }
  }

  appendByte(byte: u8): void {
    if (this.length == CAPACITY_BYTES) this.flush();
    store<u8>(this.bytes.dataStart + this.length, byte);
    this.length += 1;
  }

  /** Appends `value` in decimal. */
  appendNumber(value: u64): void {
    const digits = memory.data(20);
    let first = DIGITS_MAX;
    do {
      first -= 1;
      store<u8>(digits + first, <u8>(0x30 + (value % 10)));
      value /= 10;
    } while (value != 0);
    this.append(digits + first, DIGITS_MAX - first);
  }

  /** Hands over what has not been handed over. */
  flush(): void {
    outputBytes(this.bytes.subarray(0, this.length));
    this.length = 0;
  }
}
