/**
 * Checked access to the program's memory. A range that is not all inside of it is errno fault: the program goes on, and nothing has
 * happened. So every pointer of an import is checked before its first effect.
 */
import { fail } from "./errno.ts";
import type { FileStat } from "./file-system.ts";
import type { World } from "./world.ts";

/** Buffers of one read or write; as many as POSIX systems take. */
const BUFFERS_MAX = 1024;
const BUFFER_BYTES = 8;
export const FILESTAT_BYTES = 64;

/** A view of the program's bytes, valid until it runs again. @throws WasiError fault */
export function room({ memory, aliased }: Pick<World, "memory" | "aliased">, pointer: number, length: number): Uint8Array {
  const bytes = memory();
  const start = pointer >>> 0;
  const end = start + (length >>> 0);
  return end > bytes.byteLength ? (aliased?.(start, end - start) ?? fail("fault")) : bytes.subarray(start, end);
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Room for numbers. @throws WasiError fault */
export function roomView(world: World, pointer: number, sizeBytes: number): DataView {
  return viewOf(room(world, pointer, sizeBytes));
}

/** The buffers of a read or write. @throws WasiError inval, fault */
export function buffers(world: World, pointer: number, count: number): Uint8Array[] {
  const length = count >>> 0;
  if (length > BUFFERS_MAX) {
    fail("inval");
  }
  const list = roomView(world, pointer, length * BUFFER_BYTES);
  return Array.from({ length }, (_, at) =>
    room(world, list.getUint32(at * BUFFER_BYTES, true), list.getUint32(at * BUFFER_BYTES + 4, true)),
  );
}

/** A size or offset. @throws WasiError inval for what no file can have */
export function fileSize(value: bigint): number {
  const unsigned = BigInt.asUintN(64, value);
  return unsigned > BigInt(Number.MAX_SAFE_INTEGER) ? fail("inval") : Number(unsigned);
}

export function storeFileStat(view: DataView, stat: FileStat): void {
  view.setBigUint64(0, stat.device, true);
  view.setBigUint64(8, stat.ino, true);
  view.setBigUint64(16, 0n, true);
  view.setUint8(16, stat.type);
  view.setBigUint64(24, stat.linkCount, true);
  view.setBigUint64(32, stat.sizeBytes, true);
  view.setBigUint64(40, stat.accessNs, true);
  view.setBigUint64(48, stat.modificationNs, true);
  view.setBigUint64(56, stat.changeNs, true);
}
