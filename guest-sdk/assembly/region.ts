/**
 * Memory regions: bytes that all functions of a tenant on one node share, without copying. Loads and stores are put into the function
 * when it is uploaded.
 *
 * What is in a region is in no log: it is gone with the host, or when nobody has used the region for a while, and a call that the host
 * runs again does to it again what it has done before. Values become durable by `push`, and come out of objects by `pull`.
 *
 * A function that uses regions is not run again after a crash when it has taken a step before. If that does no harm to it, it says so:
 *
 *     export const neap_region_safe: bool = true;
 */
import { toBytes } from "./bytes";
import * as host from "./host";
import * as raw from "./region-imports";

/** How `MemoryRegion.wait` ended. */
export enum Waited {
  NOTIFIED = 0,
  /** The value was another one already. */
  NOT_EQUAL = 1,
  TIMED_OUT = 2,
}

/** A region of the tenant's. An access outside of it ends the call. */
export class MemoryRegion {
  private constructor(
    readonly name: string,
    /** The same for every function of the tenant on this node. */
    readonly handle: i32,
  ) {}

  /**
   * Opens the region, or makes it: `sizeBytes` bytes of zeros, which may grow up to `maxBytes`. A shorter one grows. It stays until this
   * call has ended, at least.
   */
  static open(name: string, sizeBytes: u32, maxBytes: u32 = 0): MemoryRegion {
    const bytes = toBytes(name);
    const handle = raw.open(bytes.dataStart, bytes.byteLength, sizeBytes, maxBytes);
    if (handle < 0) throw new Error("memory region '" + name + "': " + reason(handle));
    return new MemoryRegion(name, handle);
  }

  /** Opens the region if there is one. */
  static find(name: string): MemoryRegion | null {
    const bytes = toBytes(name);
    const handle = raw.open(bytes.dataStart, bytes.byteLength, 0, 0);
    if (handle == host.NOT_FOUND) return null;
    if (handle < 0) throw new Error("memory region '" + name + "': " + reason(handle));
    return new MemoryRegion(name, handle);
  }

  get sizeBytes(): u32 {
    return raw.size(this.handle);
  }

  /** Makes the region at least so long, for everybody at once. */
  grow(sizeBytes: u32): void {
    this.check(raw.grow(this.handle, sizeBytes));
  }

  /** Its elements from `offset` on, as many as there are or `length`. */
  view<T>(offset: u32 = 0, length: i32 = -1): RegionView<T> {
    return new RegionView<T>(this, offset, length < 0 ? (this.sizeBytes - offset) / sizeof<T>() : length);
  }

  /** The value at `offset`, of any numeric type. */
  @inline
  load<T>(offset: u32): T {
    return loadAt<T>(this.handle, offset);
  }

  @inline
  store<T>(offset: u32, value: T): void {
    storeAt<T>(this.handle, offset, value);
  }

  /** Copies `length` bytes out of the region. */
  read(offset: u32, length: i32): Uint8Array {
    const bytes = new Uint8Array(length);
    raw.read(this.handle, offset, bytes.dataStart, length);
    return bytes;
  }

  /** Copies `bytes` into the region. */
  write(offset: u32, bytes: Uint8Array): void {
    raw.write(this.handle, offset, bytes.dataStart, bytes.byteLength);
  }

  fill(offset: u32, value: u8, length: u32): void {
    raw.fill(this.handle, offset, value, length);
  }

  /** Atomic accesses take i32, u32, i64 or u64; `offset` is a multiple of their size. */
  @inline
  atomicLoad<T>(offset: u32): T {
    return sizeof<T>() == 8 ? <T>raw.i64AtomicLoad(this.handle, offset) : <T>raw.i32AtomicLoad(this.handle, offset);
  }

  @inline
  atomicStore<T>(offset: u32, value: T): void {
    if (sizeof<T>() == 8) raw.i64AtomicStore(this.handle, offset, <i64>value);
    else raw.i32AtomicStore(this.handle, offset, <i32>value);
  }

  /** The value before, as of all atomic changes. */
  @inline
  atomicAdd<T>(offset: u32, value: T): T {
    return sizeof<T>() == 8 ? <T>raw.i64AtomicAdd(this.handle, offset, <i64>value) : <T>raw.i32AtomicAdd(this.handle, offset, <i32>value);
  }

  @inline
  atomicSub<T>(offset: u32, value: T): T {
    return sizeof<T>() == 8 ? <T>raw.i64AtomicSub(this.handle, offset, <i64>value) : <T>raw.i32AtomicSub(this.handle, offset, <i32>value);
  }

  @inline
  atomicAnd<T>(offset: u32, value: T): T {
    return sizeof<T>() == 8 ? <T>raw.i64AtomicAnd(this.handle, offset, <i64>value) : <T>raw.i32AtomicAnd(this.handle, offset, <i32>value);
  }

  @inline
  atomicOr<T>(offset: u32, value: T): T {
    return sizeof<T>() == 8 ? <T>raw.i64AtomicOr(this.handle, offset, <i64>value) : <T>raw.i32AtomicOr(this.handle, offset, <i32>value);
  }

  @inline
  atomicXor<T>(offset: u32, value: T): T {
    return sizeof<T>() == 8 ? <T>raw.i64AtomicXor(this.handle, offset, <i64>value) : <T>raw.i32AtomicXor(this.handle, offset, <i32>value);
  }

  @inline
  atomicExchange<T>(offset: u32, value: T): T {
    return sizeof<T>() == 8 ? <T>raw.i64AtomicXchg(this.handle, offset, <i64>value) : <T>raw.i32AtomicXchg(this.handle, offset, <i32>value);
  }

  /** Puts `replacement` there if `expected` is there. */
  @inline
  atomicCompareExchange<T>(offset: u32, expected: T, replacement: T): T {
    return sizeof<T>() == 8
      ? <T>raw.i64AtomicCmpxchg(this.handle, offset, <i64>expected, <i64>replacement)
      : <T>raw.i32AtomicCmpxchg(this.handle, offset, <i32>expected, <i32>replacement);
  }

  /**
   * Waits for the region's lock, together with other readers; first come, first served. The end of the call gives it back. A call holds
   * it once.
   *
   * @returns true when the last writer has ended without giving it back: what it wrote may be half done
   */
  lockRead(): bool {
    return this.check(raw.lock(this.handle, 0)) == 1;
  }

  /** As `lockRead`, alone. */
  lockWrite(): bool {
    return this.check(raw.lock(this.handle, 1)) == 1;
  }

  unlock(): void {
    this.check(raw.unlock(this.handle));
  }

  /**
   * Waits until another function notifies at `offset`, a multiple of 4, unless the i32 there is not `expected`. Other calls of the same
   * thread go on meanwhile. Below 0 `timeoutMs` is none.
   */
  wait(offset: u32, expected: i32, timeoutMs: i64 = -1): Waited {
    return <Waited>this.check(raw.wait(this.handle, offset, expected, timeoutMs));
  }

  /** Wakes up to `count` of those who wait at `offset`, those first that came first. @returns how many */
  notify(offset: u32, count: i32 = 1): i32 {
    return this.check(raw.notify(this.handle, offset, count));
  }

  /**
   * Makes the region's bytes, all of them or `length` from `offset` on, the value of an object, of the region's name unless `key` says
   * otherwise. Others may write meanwhile: hold the lock if the bytes must be of one moment.
   */
  push(key: string = this.name, offset: u32 = 0, length: u32 = this.sizeBytes - offset): void {
    const bytes = toBytes(key);
    this.check(raw.push(this.handle, offset, length, bytes.dataStart, bytes.byteLength));
  }

  /** Puts `length` bytes from `offset` on into the object of the region's name, at the same place unless told otherwise; the rest of it stays. */
  pushPartial(offset: u32, length: u32, key: string = this.name, at: i64 = offset): void {
    const bytes = toBytes(key);
    this.check(raw.pushPartial(this.handle, offset, length, bytes.dataStart, bytes.byteLength, at));
  }

  /** Adds `length` bytes from `offset` on to the end of an object. */
  append(key: string, offset: u32, length: u32): void {
    const bytes = toBytes(key);
    this.check(raw.append(this.handle, offset, length, bytes.dataStart, bytes.byteLength));
  }

  /**
   * Copies the object of the region's name, as it is now, into the region, as far as there is room: all of it, or from its byte `at` on up
   * to `length` bytes to `offset`.
   *
   * @returns size of the whole object, -1 when there is none
   */
  pull(key: string = this.name, offset: u32 = 0, length: u32 = this.sizeBytes - offset, at: i64 = 0): i64 {
    const bytes = toBytes(key);
    const size = raw.pull(this.handle, offset, length, bytes.dataStart, bytes.byteLength, at);
    if (size == host.NOT_FOUND) return -1;
    if (size < 0) this.check(<i32>size);
    return size;
  }

  /** A logged copy: when the host runs the call again, it gets the same bytes. At most 1 MiB. */
  snapshot(offset: u32, length: i32): Uint8Array {
    const bytes = new Uint8Array(length);
    this.check(raw.snapshot(this.handle, offset, length, bytes.dataStart));
    return bytes;
  }

  private check(code: i32): i32 {
    if (code < 0) throw new Error("memory region '" + this.name + "': " + reason(code));
    return code;
  }
}

/** Elements of one type in a region, one behind the other: `view[i]`. */
export class RegionView<T> {
  readonly handle: i32;

  constructor(
    readonly region: MemoryRegion,
    /** Where in the region it begins. */
    readonly offset: u32,
    readonly length: i32,
  ) {
    this.handle = region.handle;
  }

  @inline
  @operator("[]")
  get(index: i32): T {
    return loadAt<T>(this.handle, this.offset + index * sizeof<T>());
  }

  @inline
  @operator("[]=")
  set(index: i32, value: T): void {
    storeAt<T>(this.handle, this.offset + index * sizeof<T>(), value);
  }
}

export type U8View = RegionView<u8>;
export type I32View = RegionView<i32>;
export type I64View = RegionView<i64>;
export type F32View = RegionView<f32>;
export type F64View = RegionView<f64>;

@inline
function loadAt<T>(handle: i32, offset: u32): T {
  if (isFloat<T>()) {
    return sizeof<T>() == 8 ? <T>raw.f64Load(handle, offset) : <T>raw.f32Load(handle, offset);
  }
  if (sizeof<T>() == 8) return <T>raw.i64Load(handle, offset);
  if (sizeof<T>() == 4) return <T>raw.i32Load(handle, offset);
  if (sizeof<T>() == 2) return isSigned<T>() ? <T>raw.i32Load16S(handle, offset) : <T>raw.i32Load16U(handle, offset);
  return isSigned<T>() ? <T>raw.i32Load8S(handle, offset) : <T>raw.i32Load8U(handle, offset);
}

@inline
function storeAt<T>(handle: i32, offset: u32, value: T): void {
  if (isFloat<T>()) {
    if (sizeof<T>() == 8) raw.f64Store(handle, offset, <f64>value);
    else raw.f32Store(handle, offset, <f32>value);
  } else if (sizeof<T>() == 8) raw.i64Store(handle, offset, <i64>value);
  else if (sizeof<T>() == 4) raw.i32Store(handle, offset, <i32>value);
  else if (sizeof<T>() == 2) raw.i32Store16(handle, offset, <i32>value);
  else raw.i32Store8(handle, offset, <i32>value);
}

function reason(code: i32): string {
  if (code == host.TOO_LARGE) return "larger than it may grow, or than what is left for this tenant's regions or for an object";
  if (code == host.NOT_HELD) return "this call does not hold the lock";
  return "a name is none, a range is outside, or the lock is held already";
}
