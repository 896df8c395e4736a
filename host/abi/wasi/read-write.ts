/** Imports: bytes of files, of the input, to the output and the log. */
import { type Descriptor, fileOf, mustHave } from "./descriptors.ts";
import { type Errno, errnoOf, fail } from "./errno.ts";
import type { FileNode } from "./file-system.ts";
import { buffers, fileSize, roomView } from "./memory.ts";
import { FdFlag, Right, Whence } from "./types.ts";
import type { World } from "./world.ts";

/** Of several buffers that one read or write of a file takes. */
const JOINED_MAX_BYTES = 16 * 1024 * 1024;

export const readWrite = (world: World) => {
  const copyFrom = (rooms: readonly Uint8Array[], read: (room: Uint8Array, offset: number) => number, from: number): number => {
    let offset = from;
    for (const into of rooms) {
      const copied = read(into, offset);
      offset += copied;
      if (copied < into.byteLength || offset - from >= JOINED_MAX_BYTES) {
        break;
      }
    }
    return offset - from;
  };

  const writeTo = (file: FileNode, pieces: readonly Uint8Array[], offset: number): number => {
    const bytes = joined(pieces);
    file.write(bytes, offset);
    return bytes.byteLength;
  };

  const writeStream = (stream: "output" | "log", pieces: readonly Uint8Array[]): number => {
    for (const piece of pieces) {
      world.write(stream, piece);
    }
    return sum(pieces);
  };

  const read = (descriptor: Descriptor, rooms: readonly Uint8Array[]): number => {
    const { target } = descriptor;
    switch (target.kind) {
      case "file":
        return copyFrom(rooms, (into, offset) => target.read(into, offset), descriptor.offset);
      case "input":
        return copyFrom(rooms, (into, offset) => world.readInput(into, offset), descriptor.offset);
      default:
        return fail("notcapable");
    }
  };

  const write = (descriptor: Descriptor, pieces: readonly Uint8Array[]): number => {
    const { target } = descriptor;
    switch (target.kind) {
      case "file": {
        if ((descriptor.flags & FdFlag.append) !== 0) {
          descriptor.offset = Number(target.stat().sizeBytes);
        }
        const written = writeTo(target, pieces, descriptor.offset);
        descriptor.offset += written;
        return written;
      }
      case "output":
      case "log":
        return writeStream(target.kind, pieces);
      default:
        return fail("notcapable");
    }
  };

  const seek = (fd: number, delta: bigint, whence: number): number => {
    const isTell = whence === Whence.current && delta === 0n;
    const { descriptor, file } = fileOf(world.descriptors(), fd, 0);
    if (!(isTell && (descriptor.rights & Right.fdTell) !== 0)) {
      mustHave(descriptor, Right.fdSeek);
    }
    const from = startOf(descriptor, file, whence);
    const offset = from + delta;
    if (offset < 0n || offset > BigInt(Number.MAX_SAFE_INTEGER)) {
      fail("inval");
    }
    descriptor.offset = Number(offset);
    return descriptor.offset;
  };

  return {
    fd_read: (fd: number, list: number, count: number, sizePointer: number): Errno =>
      errnoOf(() => {
        const descriptor = streamOf(world, fd, Right.fdRead);
        const rooms = buffers(world, list, count);
        const size = roomView(world, sizePointer, 4);
        const copied = read(descriptor, rooms);
        descriptor.offset += copied;
        size.setUint32(0, copied, true);
      }),

    fd_pread: (fd: number, list: number, count: number, offset: bigint, sizePointer: number): Errno =>
      errnoOf(() => {
        const { file } = fileOf(world.descriptors(), fd, Right.fdRead | Right.fdSeek);
        const from = fileSize(offset);
        const rooms = buffers(world, list, count);
        const size = roomView(world, sizePointer, 4);
        size.setUint32(
          0,
          copyFrom(rooms, (into, at) => file.read(into, at), from),
          true,
        );
      }),

    fd_write: (fd: number, list: number, count: number, sizePointer: number): Errno =>
      errnoOf(() => {
        const descriptor = streamOf(world, fd, Right.fdWrite);
        const pieces = buffers(world, list, count);
        const size = roomView(world, sizePointer, 4);
        size.setUint32(0, write(descriptor, pieces), true);
      }),

    fd_pwrite: (fd: number, list: number, count: number, offset: bigint, sizePointer: number): Errno =>
      errnoOf(() => {
        const { file } = fileOf(world.descriptors(), fd, Right.fdWrite | Right.fdSeek);
        const at = fileSize(offset);
        const pieces = buffers(world, list, count);
        const size = roomView(world, sizePointer, 4);
        size.setUint32(0, writeTo(file, pieces, at), true);
      }),

    fd_seek: (fd: number, delta: bigint, whence: number, offsetPointer: number): Errno =>
      errnoOf(() => {
        const view = roomView(world, offsetPointer, 8);
        view.setBigUint64(0, BigInt(seek(fd, delta, whence)), true);
      }),

    fd_tell: (fd: number, offsetPointer: number): Errno =>
      errnoOf(() => {
        const view = roomView(world, offsetPointer, 8);
        view.setBigUint64(0, BigInt(seek(fd, 0n, Whence.current)), true);
      }),
  };
};

/** What holds bytes: no folder. @throws WasiError badf, isdir, notcapable */
function streamOf(world: World, fd: number, right: number): Descriptor {
  const descriptor = world.descriptors().get(fd);
  if (descriptor.target.kind === "folder") {
    fail("isdir");
  }
  mustHave(descriptor, right);
  return descriptor;
}

function startOf(descriptor: Descriptor, file: FileNode, whence: number): bigint {
  switch (whence) {
    case Whence.set:
      return 0n;
    case Whence.current:
      return BigInt(descriptor.offset);
    case Whence.end:
      return file.stat().sizeBytes;
    default:
      return fail("inval");
  }
}

function sum(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((total, piece) => total + piece.byteLength, 0);
}

/** The first pieces as one: a write may be short. Pieces may overlap, and together be far more than the program's memory. */
function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const taken: Uint8Array[] = [];
  let sizeBytes = 0;
  for (const piece of pieces) {
    sizeBytes += piece.byteLength;
    if (sizeBytes > JOINED_MAX_BYTES && taken.length > 0) {
      break;
    }
    taken.push(piece);
  }
  return taken.length === 1 && taken[0] !== undefined ? taken[0] : Buffer.concat(taken);
}
