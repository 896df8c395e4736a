/** The imports of module "region" as they are: see region.ts for what functions use, ../abi.json for what each does. */

@external("region", "open")
export declare function open(name: usize, nameLength: i32, size: u32, max: u32): i32;
@external("region", "grow")
export declare function grow(handle: i32, size: u32): i32;
@external("region", "lock")
export declare function lock(handle: i32, mode: i32): i32;
@external("region", "unlock")
export declare function unlock(handle: i32): i32;
@external("region", "wait")
export declare function wait(handle: i32, offset: u32, expected: i32, timeoutMs: i64): i32;
@external("region", "notify")
export declare function notify(handle: i32, offset: u32, count: i32): i32;
@external("region", "push")
export declare function push(handle: i32, offset: u32, length: u32, key: usize, keyLength: i32): i32;
@external("region", "push_partial")
export declare function pushPartial(handle: i32, offset: u32, length: u32, key: usize, keyLength: i32, at: i64): i32;
@external("region", "append")
export declare function append(handle: i32, offset: u32, length: u32, key: usize, keyLength: i32): i32;
@external("region", "pull")
export declare function pull(handle: i32, offset: u32, length: u32, key: usize, keyLength: i32, at: i64): i64;
@external("region", "snapshot")
export declare function snapshot(handle: i32, offset: u32, length: u32, pointer: usize): i32;
@external("region", "size")
export declare function size(handle: i32): u32;
@external("region", "i32_load8_s")
export declare function i32Load8S(handle: i32, offset: u32): i32;
@external("region", "i32_load8_u")
export declare function i32Load8U(handle: i32, offset: u32): i32;
@external("region", "i32_load16_s")
export declare function i32Load16S(handle: i32, offset: u32): i32;
@external("region", "i32_load16_u")
export declare function i32Load16U(handle: i32, offset: u32): i32;
@external("region", "i32_load")
export declare function i32Load(handle: i32, offset: u32): i32;
@external("region", "i64_load")
export declare function i64Load(handle: i32, offset: u32): i64;
@external("region", "f32_load")
export declare function f32Load(handle: i32, offset: u32): f32;
@external("region", "f64_load")
export declare function f64Load(handle: i32, offset: u32): f64;
@external("region", "i32_store8")
export declare function i32Store8(handle: i32, offset: u32, value: i32): void;
@external("region", "i32_store16")
export declare function i32Store16(handle: i32, offset: u32, value: i32): void;
@external("region", "i32_store")
export declare function i32Store(handle: i32, offset: u32, value: i32): void;
@external("region", "i64_store")
export declare function i64Store(handle: i32, offset: u32, value: i64): void;
@external("region", "f32_store")
export declare function f32Store(handle: i32, offset: u32, value: f32): void;
@external("region", "f64_store")
export declare function f64Store(handle: i32, offset: u32, value: f64): void;
@external("region", "i32_atomic_load")
export declare function i32AtomicLoad(handle: i32, offset: u32): i32;
@external("region", "i32_atomic_store")
export declare function i32AtomicStore(handle: i32, offset: u32, value: i32): void;
@external("region", "i32_atomic_add")
export declare function i32AtomicAdd(handle: i32, offset: u32, value: i32): i32;
@external("region", "i32_atomic_sub")
export declare function i32AtomicSub(handle: i32, offset: u32, value: i32): i32;
@external("region", "i32_atomic_and")
export declare function i32AtomicAnd(handle: i32, offset: u32, value: i32): i32;
@external("region", "i32_atomic_or")
export declare function i32AtomicOr(handle: i32, offset: u32, value: i32): i32;
@external("region", "i32_atomic_xor")
export declare function i32AtomicXor(handle: i32, offset: u32, value: i32): i32;
@external("region", "i32_atomic_xchg")
export declare function i32AtomicXchg(handle: i32, offset: u32, value: i32): i32;
@external("region", "i32_atomic_cmpxchg")
export declare function i32AtomicCmpxchg(handle: i32, offset: u32, expected: i32, replacement: i32): i32;
@external("region", "i64_atomic_load")
export declare function i64AtomicLoad(handle: i32, offset: u32): i64;
@external("region", "i64_atomic_store")
export declare function i64AtomicStore(handle: i32, offset: u32, value: i64): void;
@external("region", "i64_atomic_add")
export declare function i64AtomicAdd(handle: i32, offset: u32, value: i64): i64;
@external("region", "i64_atomic_sub")
export declare function i64AtomicSub(handle: i32, offset: u32, value: i64): i64;
@external("region", "i64_atomic_and")
export declare function i64AtomicAnd(handle: i32, offset: u32, value: i64): i64;
@external("region", "i64_atomic_or")
export declare function i64AtomicOr(handle: i32, offset: u32, value: i64): i64;
@external("region", "i64_atomic_xor")
export declare function i64AtomicXor(handle: i32, offset: u32, value: i64): i64;
@external("region", "i64_atomic_xchg")
export declare function i64AtomicXchg(handle: i32, offset: u32, value: i64): i64;
@external("region", "i64_atomic_cmpxchg")
export declare function i64AtomicCmpxchg(handle: i32, offset: u32, expected: i64, replacement: i64): i64;
@external("region", "read")
export declare function read(handle: i32, offset: u32, pointer: usize, length: u32): void;
@external("region", "write")
export declare function write(handle: i32, offset: u32, pointer: usize, length: u32): void;
@external("region", "fill")
export declare function fill(handle: i32, offset: u32, value: i32, length: u32): void;
