/** One state value as a call has it: its bytes, which of them the call has changed, and where they are mapped in the guest's memory. */
import type { ByteReader, ByteWriter } from "../../../state/bytes.ts";

export interface Mapped {
  readonly pointer: number;
  readonly offset: number;
  readonly length: number;
}

/** What the host keeps beside each byte. */
const MARK_BYTES = 1;

export class StateValue {
  bytes: Uint8Array = new Uint8Array(0);
  /** Of the object that the unchanged bytes are those of; 0: it did not exist; -1: nobody has looked. */
  version = -1;
  /** All of it was written: the object becomes what `bytes` is, whatever it was. */
  isReplaced = false;
  #marks: Uint8Array = new Uint8Array(0);
  #mapped: readonly Mapped[] = [];
  #hasChanged = false;
  /** What the guest has said that it has at least. */
  #toldBytes = 0;

  /** Whether there is something to be merged into the object. */
  get isDirty(): boolean {
    return this.isReplaced || this.#hasChanged;
  }

  get isMapped(): boolean {
    return this.#mapped.length > 0;
  }

  /** Whether it is known what the object was. */
  get isLoaded(): boolean {
    return this.isDirty || this.version >= 0;
  }

  /** In the host's memory. */
  get hostBytes(): number {
    return this.bytes.byteLength * (1 + MARK_BYTES);
  }

  /** Longer by zeros, unless it is so long already. */
  extend(sizeBytes: number): void {
    this.#toldBytes = Math.max(this.#toldBytes, sizeBytes);
    if (sizeBytes > this.bytes.byteLength) {
      this.bytes = resized(this.bytes, sizeBytes);
      this.#marks = resized(this.#marks, sizeBytes);
    }
  }

  /** The whole value, in place of what there was. */
  replace(memory: Uint8Array, bytes: Uint8Array): void {
    this.bytes = Uint8Array.from(bytes);
    this.#marks = new Uint8Array(bytes.byteLength);
    this.#hasChanged = false;
    this.#toldBytes = 0;
    this.isReplaced = true;
    this.#show(memory);
  }

  /** A part of the value, which is long enough. */
  write(memory: Uint8Array, offset: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, offset);
    this.mark(offset, bytes.byteLength);
    this.#show(memory);
  }

  /** These bytes shall be merged although the call may not have changed them. */
  mark(offset: number, length: number): void {
    this.#marks.fill(1, offset, offset + length);
    this.#hasChanged ||= length > 0;
  }

  /** Marks the bytes at which `mask` is not 0. */
  markBy(mask: Uint8Array): void {
    for (const [at, byte] of mask.subarray(0, this.bytes.byteLength).entries()) {
      if (byte !== 0) {
        this.mark(at, 1);
      }
    }
  }

  map(mapped: Mapped, memory: Uint8Array): void {
    this.#mapped = [...this.#mapped, mapped];
    this.#show(memory);
  }

  /** Where the range is mapped; null when it is not. */
  addressOf(offset: number, length: number): number | null {
    const found = this.#mapped.find((one) => offset >= one.offset && offset + length <= one.offset + one.length);
    return found === undefined ? null : found.pointer + offset - found.offset;
  }

  /** Takes over what the guest has written through its pointers since they were last alike. */
  collect(memory: Uint8Array): void {
    for (const { pointer, offset, length } of this.#mapped) {
      const theirs = memory.subarray(pointer, pointer + length);
      const ours = this.bytes.subarray(offset, offset + length);
      if (Buffer.compare(theirs, ours) === 0) {
        continue;
      }
      for (let at = 0; at < length; at++) {
        const byte = theirs[at] ?? 0;
        if (byte !== ours[at]) {
          ours[at] = byte;
          this.mark(offset + at, 1);
        }
      }
    }
    this.#show(memory);
  }

  /** The object as it is now; what the call has changed stays. */
  refresh(memory: Uint8Array, object: Uint8Array, version: number): void {
    this.version = version;
    if (!this.isReplaced) {
      const sizeBytes = Math.max(object.byteLength, this.#neededBytes());
      const bytes = resized(object, sizeBytes);
      const marks = resized(this.#marks, sizeBytes);
      this.bytes = this.#over(bytes);
      this.#marks = marks;
    }
    this.#show(memory);
  }

  /** The object as it is now, and nothing of what the call has changed. */
  reset(memory: Uint8Array, object: Uint8Array, version: number): void {
    this.settled(version);
    this.bytes = resized(object, Math.max(object.byteLength, this.#neededBytes()));
    this.#marks = new Uint8Array(this.bytes.byteLength);
    this.#show(memory);
  }

  /** What the object becomes when the changes are made to it. */
  mergedInto(object: Uint8Array): Uint8Array {
    return this.#over(resized(object, Math.max(object.byteLength, this.#toldBytes, this.#changedEnd())));
  }

  /** The object has all changes now. */
  settled(version: number): void {
    this.version = version;
    this.isReplaced = false;
    this.#hasChanged = false;
    this.#marks.fill(0);
  }

  encode(w: ByteWriter): void {
    w.bytes(this.bytes)
      .f64(this.version)
      .u32(this.#toldBytes)
      .u8(this.isReplaced ? 1 : 0)
      .u8(this.#hasChanged ? 1 : 0)
      .bytes(this.#hasChanged ? this.#marks : new Uint8Array(0))
      .u32(this.#mapped.length);
    for (const { pointer, offset, length } of this.#mapped) {
      w.u32(pointer).u32(offset).u32(length);
    }
  }

  /** @throws RangeError when the bytes end too early */
  static decode(r: ByteReader): StateValue {
    const value = new StateValue();
    value.bytes = Uint8Array.from(r.bytes());
    value.version = r.f64();
    value.#toldBytes = r.u32();
    value.isReplaced = r.u8() === 1;
    value.#hasChanged = r.u8() === 1;
    value.#marks = resized(r.bytes(), value.bytes.byteLength);
    value.#mapped = Array.from({ length: r.u32() }, () => ({ pointer: r.u32(), offset: r.u32(), length: r.u32() }));
    return value;
  }

  /** `bytes` with what the call has changed written over it. */
  #over(bytes: Uint8Array): Uint8Array {
    if (this.#hasChanged) {
      for (let at = 0; at < this.#marks.byteLength; at++) {
        if (this.#marks[at] === 1) {
          bytes[at] = this.bytes[at] ?? 0;
        }
      }
    }
    return bytes;
  }

  /** Makes the guest's pointers see the value. */
  #show(memory: Uint8Array): void {
    for (const { pointer, offset, length } of this.#mapped) {
      const room = memory.subarray(pointer, pointer + length);
      const bytes = this.bytes.subarray(offset, offset + length);
      room.set(bytes);
      room.fill(0, bytes.byteLength);
    }
  }

  #neededBytes(): number {
    return Math.max(this.#toldBytes, this.#changedEnd(), this.#mappedEnd());
  }

  #changedEnd(): number {
    return this.#hasChanged ? this.#marks.lastIndexOf(1) + 1 : 0;
  }

  #mappedEnd(): number {
    return this.#mapped.reduce((end, { offset, length }) => Math.max(end, offset + length), 0);
  }
}

function resized(bytes: Uint8Array, sizeBytes: number): Uint8Array {
  const copy = new Uint8Array(sizeBytes);
  copy.set(bytes.subarray(0, sizeBytes));
  return copy;
}
