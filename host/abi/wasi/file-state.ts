/** Imports: what is known of open files and folders, and changes to it; the table of descriptors. */
import { type Descriptor, fileOf, folderOf, mustHave } from "./descriptors.ts";
import { type Errno, errnoOf, fail } from "./errno.ts";
import type { FileStat, FileTimes, FolderNode } from "./file-system.ts";
import { FILESTAT_BYTES, fileSize, room, roomView, storeFileStat, viewOf } from "./memory.ts";
import { ClockId, FD_FLAGS_ALL, FileType, Right, rightsOf, TIME_FLAGS_ALL, TimeFlag } from "./types.ts";
import type { World } from "./world.ts";

const FDSTAT_BYTES = 24;
const PRESTAT_BYTES = 8;
const DIRENT_BYTES = 24;
const ADVICE_MAX = 5;
/** Cookies of a folder's entries come behind those of "." and "..". */
const DOT_ENTRIES = 2;

export const fileState = (world: World) => {
  const typeOf = ({ target }: Descriptor): FileType => {
    switch (target.kind) {
      case "file":
        return FileType.file;
      case "folder":
        return FileType.folder;
      default:
        return world.streamType(target.kind);
    }
  };

  const sync = (fd: number, right: number): Errno =>
    errnoOf(() => {
      const descriptor = world.descriptors().get(fd);
      mustHave(descriptor, right);
      const { target } = descriptor;
      if (target.kind !== "file" && target.kind !== "folder") {
        return fail("spipe");
      }
      target.sync();
    });

  return {
    fd_close: (fd: number): Errno => errnoOf(() => world.descriptors().close(fd)),

    fd_renumber: (fd: number, to: number): Errno => errnoOf(() => world.descriptors().renumber(fd, to)),

    fd_fdstat_get: (fd: number, pointer: number): Errno =>
      errnoOf(() => {
        const descriptor = world.descriptors().get(fd);
        const view = roomView(world, pointer, FDSTAT_BYTES);
        view.setBigUint64(0, 0n, true);
        view.setUint8(0, typeOf(descriptor));
        view.setUint16(2, descriptor.flags, true);
        view.setBigUint64(8, BigInt(descriptor.rights), true);
        view.setBigUint64(16, BigInt(descriptor.inheriting), true);
      }),

    fd_fdstat_set_flags: (fd: number, flags: number): Errno =>
      errnoOf(() => {
        const descriptor = world.descriptors().get(fd);
        mustHave(descriptor, Right.fdFdstatSetFlags);
        if ((flags & ~FD_FLAGS_ALL) !== 0) {
          fail("inval");
        }
        descriptor.flags = flags;
      }),

    fd_fdstat_set_rights: (fd: number, base: bigint, inheriting: bigint): Errno =>
      errnoOf(() => {
        const descriptor = world.descriptors().get(fd);
        const [rights, passed] = [rightsOf(base), rightsOf(inheriting)];
        if ((rights & ~descriptor.rights) !== 0 || (passed & ~descriptor.inheriting) !== 0) {
          fail("notcapable");
        }
        descriptor.rights = rights;
        descriptor.inheriting = passed;
      }),

    fd_filestat_get: (fd: number, pointer: number): Errno =>
      errnoOf(() => {
        const descriptor = world.descriptors().get(fd);
        mustHave(descriptor, Right.fdFilestatGet);
        const view = roomView(world, pointer, FILESTAT_BYTES);
        const { target } = descriptor;
        storeFileStat(view, target.kind === "file" || target.kind === "folder" ? target.stat() : streamStat(typeOf(descriptor)));
      }),

    fd_filestat_set_size: (fd: number, size: bigint): Errno =>
      errnoOf(() => fileOf(world.descriptors(), fd, Right.fdFilestatSetSize).file.resize(fileSize(size))),

    fd_filestat_set_times: (fd: number, access: bigint, modification: bigint, flags: number): Errno =>
      errnoOf(() => {
        const descriptor = world.descriptors().get(fd);
        mustHave(descriptor, Right.fdFilestatSetTimes);
        const { target } = descriptor;
        if (target.kind !== "file" && target.kind !== "folder") {
          return fail("spipe");
        }
        target.setTimes(timesOf(world, access, modification, flags));
      }),

    fd_advise: (fd: number, offset: bigint, length: bigint, advice: number): Errno =>
      errnoOf(() => {
        fileOf(world.descriptors(), fd, Right.fdAdvise);
        fileSize(offset);
        fileSize(length);
        if (advice >>> 0 > ADVICE_MAX) {
          fail("inval");
        }
      }),

    fd_allocate: (fd: number, offset: bigint, length: bigint): Errno =>
      errnoOf(() => {
        const { file } = fileOf(world.descriptors(), fd, Right.fdAllocate);
        const end = fileSize(offset) + fileSize(length);
        if (length === 0n) {
          fail("inval");
        }
        if (end > Number.MAX_SAFE_INTEGER) {
          fail("fbig");
        }
        if (BigInt(end) > file.stat().sizeBytes) {
          file.resize(end);
        }
      }),

    fd_sync: (fd: number): Errno => sync(fd, Right.fdSync),

    fd_datasync: (fd: number): Errno => sync(fd, Right.fdDatasync),

    fd_prestat_get: (fd: number, pointer: number): Errno =>
      errnoOf(() => {
        const name = preopenOf(world.descriptors().get(fd));
        const view = roomView(world, pointer, PRESTAT_BYTES);
        view.setUint32(0, 0, true);
        view.setUint32(4, name.byteLength, true);
      }),

    fd_prestat_dir_name: (fd: number, pointer: number, length: number): Errno =>
      errnoOf(() => {
        const name = preopenOf(world.descriptors().get(fd));
        if (name.byteLength > length >>> 0) {
          fail("nametoolong");
        }
        room(world, pointer, name.byteLength).set(name);
      }),

    fd_readdir: (fd: number, pointer: number, length: number, cookie: bigint, sizePointer: number): Errno =>
      errnoOf(() => {
        const { folder } = folderOf(world.descriptors(), fd, Right.fdReaddir);
        const after = fileSize(cookie);
        const into = room(world, pointer, length);
        const size = roomView(world, sizePointer, 4);
        size.setUint32(0, storeEntries(into, folder, after), true);
      }),
  };
};

/** @throws WasiError inval for flags that contradict each other */
export function timesOf(world: World, access: bigint, modification: bigint, flags: number): FileTimes {
  const pick = (value: bigint, given: number, now: number): bigint | undefined => {
    if ((flags & given) !== 0 && (flags & now) !== 0) {
      fail("inval");
    }
    return (flags & given) !== 0 ? BigInt.asUintN(64, value) : (flags & now) !== 0 ? world.nowNs(ClockId.realtime) : undefined;
  };
  if ((flags & ~TIME_FLAGS_ALL) !== 0) {
    fail("inval");
  }
  return {
    accessNs: pick(access, TimeFlag.access, TimeFlag.accessNow),
    modificationNs: pick(modification, TimeFlag.modification, TimeFlag.modificationNow),
  };
}

/** @throws WasiError badf for what was not given to the program from the start */
function preopenOf({ preopen }: Descriptor): Uint8Array {
  return preopen === null ? fail("badf") : Buffer.from(preopen);
}

function streamStat(type: FileType): FileStat {
  return {
    device: 0n,
    ino: 0n,
    type,
    linkCount: 1n,
    sizeBytes: 0n,
    accessNs: 0n,
    modificationNs: 0n,
    changeNs: 0n,
  };
}

/** Fills `into`, the last entry cut where the room ends. @returns bytes written: fewer than the room at the end of the folder */
function storeEntries(into: Uint8Array, folder: FolderNode, after: number): number {
  let used = 0;
  for (const { name, ino, type, next } of withDots(folder, after)) {
    const bytes = Buffer.from(name);
    const entry = new Uint8Array(DIRENT_BYTES + bytes.byteLength);
    const view = viewOf(entry);
    view.setBigUint64(0, BigInt(next), true);
    view.setBigUint64(8, ino, true);
    view.setUint32(16, bytes.byteLength, true);
    view.setUint8(20, type);
    entry.set(bytes, DIRENT_BYTES);
    const fitting = entry.subarray(0, into.byteLength - used);
    into.set(fitting, used);
    used += fitting.byteLength;
    if (used === into.byteLength) {
      break;
    }
  }
  return used;
}

function* withDots(folder: FolderNode, after: number) {
  if (after < 1) {
    yield { name: ".", ino: folder.stat().ino, type: FileType.folder, next: 1 };
  }
  if (after < DOT_ENTRIES) {
    // Which folder that is, is not the program's to know at the top; 0 is "unknown".
    yield { name: "..", ino: 0n, type: FileType.folder, next: DOT_ENTRIES };
  }
  for (const entry of folder.entries(Math.max(0, after - DOT_ENTRIES))) {
    yield { ...entry, next: entry.next + DOT_ENTRIES };
  }
}
