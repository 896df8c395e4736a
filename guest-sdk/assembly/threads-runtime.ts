/**
 * The runtime of functions with threads, for `--runtime guest-sdk/assembly/threads-runtime`: memory is taken and never given back, as in
 * "stub", but from a counter in memory, which all threads share. What "stub" keeps in a variable each thread would have for itself.
 */
import { AL_MASK, BLOCK, BLOCK_MAXSIZE, BLOCK_OVERHEAD, OBJECT, OBJECT_MAXSIZE, OBJECT_OVERHEAD } from "rt/common";

/** Bytes taken so far, as u64: no number of threads that want too much makes it small again. */
const TAKEN: usize = memory.data(8, 8);

// @ts-ignore: decorator
@inline function heapStart(): usize {
  return ((__heap_base + BLOCK_OVERHEAD + AL_MASK) & ~AL_MASK) - BLOCK_OVERHEAD;
}

// @ts-ignore: decorator
@inline function payloadOf(size: usize): usize {
  return ((size + BLOCK_OVERHEAD + AL_MASK) & ~AL_MASK) - BLOCK_OVERHEAD;
}

/** Makes the memory as large as what was taken. Several threads may do so at once: then it becomes larger than it must. */
function growFor(taken: u64): void {
  const end = <u64>heapStart() + taken;
  for (;;) {
    const pages = memory.size();
    if (<u64>pages << 16 >= end) return;
    const missing = <i32>((end - (<u64>pages << 16) + 0xffff) >> 16);
    if (memory.grow(max(missing, min(pages, 64))) < 0 && memory.grow(missing) < 0 && memory.size() == pages) unreachable();
  }
}

// @ts-ignore: decorator
@unsafe @global
export function __alloc(size: usize): usize {
  if (size > BLOCK_MAXSIZE) throw new Error("allocation too large");
  const payload = payloadOf(size);
  const before = atomic.add<u64>(TAKEN, <u64>(BLOCK_OVERHEAD + payload));
  growFor(before + <u64>(BLOCK_OVERHEAD + payload));
  const block = heapStart() + <usize>before;
  changetype<BLOCK>(block).mmInfo = payload;
  return block + BLOCK_OVERHEAD;
}

// @ts-ignore: decorator
@unsafe @global
export function __realloc(ptr: usize, size: usize): usize {
  const block = changetype<BLOCK>(ptr - BLOCK_OVERHEAD);
  const had = block.mmInfo;
  if (size <= had) return ptr;
  if (size > BLOCK_MAXSIZE) throw new Error("allocation too large");
  const payload = payloadOf(size);
  const end = <u64>(ptr + had - heapStart());
  const wanted = end + <u64>(payload - had);
  // The last block grows where it is.
  if (atomic.cmpxchg<u64>(TAKEN, end, wanted) == end) {
    growFor(wanted);
    block.mmInfo = payload;
    return ptr;
  }
  const copy = __alloc(max<usize>(payload, min<usize>(had << 1, BLOCK_MAXSIZE)));
  memory.copy(copy, ptr, had);
  return copy;
}

// @ts-ignore: decorator
@unsafe @global
export function __free(_ptr: usize): void {}

// @ts-ignore: decorator
@unsafe @global
export function __new(size: usize, id: u32): usize {
  if (size > OBJECT_MAXSIZE) throw new Error("allocation too large");
  const ptr = __alloc(OBJECT_OVERHEAD + size);
  const object = changetype<OBJECT>(ptr - BLOCK_OVERHEAD);
  object.gcInfo = 0;
  object.gcInfo2 = 0;
  object.rtId = id;
  object.rtSize = <u32>size;
  return ptr + OBJECT_OVERHEAD;
}

// @ts-ignore: decorator
@unsafe @global
export function __renew(oldPtr: usize, size: usize): usize {
  if (size > OBJECT_MAXSIZE) throw new Error("allocation too large");
  const ptr = __realloc(oldPtr - OBJECT_OVERHEAD, OBJECT_OVERHEAD + size);
  changetype<OBJECT>(ptr - BLOCK_OVERHEAD).rtSize = <u32>size;
  return ptr + OBJECT_OVERHEAD;
}

// @ts-ignore: decorator
@unsafe @global
export function __link(_parent: usize, _child: usize, _expectMultiple: bool): void {}

// @ts-ignore: decorator
@unsafe @global
export function __pin(ptr: usize): usize {
  return ptr;
}

// @ts-ignore: decorator
@unsafe @global
export function __unpin(_ptr: usize): void {}

// @ts-ignore: decorator
@unsafe @global
function __visit(_ptr: usize, _cookie: u32): void {}

// @ts-ignore: decorator
@unsafe @global
export function __collect(): void {}
