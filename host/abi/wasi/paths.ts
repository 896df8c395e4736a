/** Imports: files, folders and links by their paths. */
import { type Descriptors, folderOf } from "./descriptors.ts";
import { type Errno, errnoOf, fail } from "./errno.ts";
import { timesOf } from "./file-state.ts";
import type { FileNode, FolderNode } from "./file-system.ts";
import { FILESTAT_BYTES, room, roomView, storeFileStat } from "./memory.ts";
import { atPath, linkTextOf, type Place, pathOf } from "./path.ts";
import {
  FD_FLAGS_ALL,
  FdFlag,
  LOOKUP_FOLLOW,
  OPEN_FLAGS_ALL,
  OpenFlag,
  RIGHTS_OF_FILE,
  RIGHTS_OF_FOLDER,
  Right,
  rightsOf,
} from "./types.ts";
import type { World } from "./world.ts";

/** A link at the end is a name that is taken, wherever it leads. */
const NEW = OpenFlag.create | OpenFlag.exclusive;

interface Opening {
  /** OpenFlag bits. */
  readonly how: number;
  readonly rights: number;
  readonly inheriting: number;
  /** FdFlag bits. */
  readonly flags: number;
}

export const paths = (world: World) => {
  const pathAt = (pointer: number, length: number): string => pathOf(room(world, pointer, length));

  const from = (fd: number, rights: number): FolderNode => folderOf(world.descriptors(), fd, rights).folder;

  return {
    path_open: (
      fd: number,
      lookup: number,
      pathPointer: number,
      pathLength: number,
      how: number,
      base: bigint,
      inheriting: bigint,
      flags: number,
      fdPointer: number,
    ): Errno =>
      errnoOf(() => {
        const descriptors = world.descriptors();
        const result = roomView(world, fdPointer, 4);
        const opening = { how, rights: rightsOf(base), inheriting: rightsOf(inheriting), flags };
        const folder = mayOpen(descriptors, fd, opening);
        const path = pathAt(pathPointer, pathLength);
        const opened = atPath(folder, path, follows(lookup) && !isBoth(how, NEW), (place) => open(descriptors, place, opening));
        result.setUint32(0, opened, true);
      }),

    path_filestat_get: (fd: number, lookup: number, pathPointer: number, pathLength: number, pointer: number): Errno =>
      errnoOf(() => {
        const folder = from(fd, Right.pathFilestatGet);
        const view = roomView(world, pointer, FILESTAT_BYTES);
        const path = pathAt(pathPointer, pathLength);
        storeFileStat(
          view,
          atPath(folder, path, follows(lookup), ({ node }) => (node ?? fail("noent")).stat()),
        );
      }),

    path_filestat_set_times: (
      fd: number,
      lookup: number,
      pathPointer: number,
      pathLength: number,
      access: bigint,
      modification: bigint,
      flags: number,
    ): Errno =>
      errnoOf(() => {
        const folder = from(fd, Right.pathFilestatSetTimes);
        const path = pathAt(pathPointer, pathLength);
        const times = timesOf(world, access, modification, flags);
        atPath(folder, path, follows(lookup), ({ node }) => (node ?? fail("noent")).setTimes(times));
      }),

    path_create_directory: (fd: number, pathPointer: number, pathLength: number): Errno =>
      errnoOf(() => {
        const folder = from(fd, Right.pathCreateDirectory);
        const path = pathAt(pathPointer, pathLength);
        atPath(folder, path, false, ({ folder: parent, name, node }) =>
          name === null || node !== undefined ? fail("exist") : parent.createFolder(name),
        );
      }),

    path_remove_directory: (fd: number, pathPointer: number, pathLength: number): Errno =>
      errnoOf(() => {
        const folder = from(fd, Right.pathRemoveDirectory);
        const path = pathAt(pathPointer, pathLength);
        atPath(folder, path, false, ({ folder: parent, name, node }) => {
          if (name === null) {
            return fail("inval");
          }
          if ((node ?? fail("noent")).kind !== "folder") {
            return fail("notdir");
          }
          parent.removeFolder(name);
        });
      }),

    path_unlink_file: (fd: number, pathPointer: number, pathLength: number): Errno =>
      errnoOf(() => {
        const folder = from(fd, Right.pathUnlinkFile);
        const path = pathAt(pathPointer, pathLength);
        atPath(folder, path, false, ({ folder: parent, name, node }) => {
          if (name === null || (node ?? fail("noent")).kind === "folder") {
            return fail("isdir");
          }
          parent.unlink(name);
        });
      }),

    path_link: (
      oldFd: number,
      lookup: number,
      oldPointer: number,
      oldLength: number,
      newFd: number,
      newPointer: number,
      newLength: number,
    ): Errno =>
      errnoOf(() => {
        const source = from(oldFd, Right.pathLinkSource);
        const target = from(newFd, Right.pathLinkTarget);
        const [oldPath, newPath] = [pathAt(oldPointer, oldLength), pathAt(newPointer, newLength)];
        if (lookup !== 0) {
          fail("inval");
        }
        atPath(source, oldPath, false, (old) =>
          atPath(target, newPath, false, (place) => {
            if (old.name === null || (old.node ?? fail("noent")).kind === "folder") {
              return fail("perm");
            }
            place.folder.link(old.folder, old.name, freeName(place));
          }),
        );
      }),

    path_symlink: (textPointer: number, textLength: number, fd: number, pathPointer: number, pathLength: number): Errno =>
      errnoOf(() => {
        const folder = from(fd, Right.pathSymlink);
        const text = linkTextOf(room(world, textPointer, textLength));
        const path = pathAt(pathPointer, pathLength);
        if (text.startsWith("/")) {
          fail("notcapable");
        }
        if (text === "") {
          fail("noent");
        }
        atPath(folder, path, false, (place) => place.folder.createLink(freeName(place), text));
      }),

    path_readlink: (
      fd: number,
      pathPointer: number,
      pathLength: number,
      pointer: number,
      length: number,
      sizePointer: number,
    ): Errno =>
      errnoOf(() => {
        const folder = from(fd, Right.pathReadlink);
        const path = pathAt(pathPointer, pathLength);
        const into = room(world, pointer, length);
        const size = roomView(world, sizePointer, 4);
        const text = atPath(folder, path, false, ({ node }) => {
          const found = node ?? fail("noent");
          return found.kind === "link" ? Buffer.from(found.target) : fail("inval");
        });
        const fitting = text.subarray(0, into.byteLength);
        into.set(fitting);
        size.setUint32(0, fitting.byteLength, true);
      }),

    path_rename: (
      oldFd: number,
      oldPointer: number,
      oldLength: number,
      newFd: number,
      newPointer: number,
      newLength: number,
    ): Errno =>
      errnoOf(() => {
        const source = from(oldFd, Right.pathRenameSource);
        const target = from(newFd, Right.pathRenameTarget);
        const [oldPath, newPath] = [pathAt(oldPointer, oldLength), pathAt(newPointer, newLength)];
        atPath(source, oldPath, false, (old) =>
          atPath(target, newPath, false, (place) => {
            if (old.name === null || place.name === null) {
              return fail("busy");
            }
            const moved = old.node ?? fail("noent");
            if (place.namesFolder && moved.kind !== "folder") {
              return fail("notdir");
            }
            old.folder.rename(old.name, place.folder, place.name);
          }),
        );
      }),
  };
};

/** @throws WasiError badf, notdir, inval, notcapable */
function mayOpen(descriptors: Descriptors, fd: number, { how, rights, inheriting, flags }: Opening): FolderNode {
  if ((how & ~OPEN_FLAGS_ALL) !== 0 || (flags & ~FD_FLAGS_ALL) !== 0 || isBoth(how, OpenFlag.create | OpenFlag.folder)) {
    fail("inval");
  }
  const needed =
    Right.pathOpen |
    ((how & OpenFlag.create) !== 0 ? Right.pathCreateFile : 0) |
    ((how & OpenFlag.truncate) !== 0 ? Right.pathFilestatSetSize : 0);
  const { descriptor, folder } = folderOf(descriptors, fd, needed);
  const passed =
    rights |
    inheriting |
    ((flags & (FdFlag.sync | FdFlag.rsync)) !== 0 ? Right.fdSync : 0) |
    ((flags & FdFlag.dsync) !== 0 ? Right.fdDatasync : 0);
  return (passed & ~descriptor.inheriting) !== 0 ? fail("notcapable") : folder;
}

/** @returns the new descriptor's number */
function open(descriptors: Descriptors, place: Place, { how, rights, inheriting, flags }: Opening): number {
  descriptors.mustHaveRoom();
  const node = place.node ?? created(place, how);
  if (place.node !== undefined && isBoth(how, NEW)) {
    fail("exist");
  }
  if (node.kind === "link") {
    return fail("loop");
  }
  if (node.kind === "file" && (how & OpenFlag.folder) !== 0) {
    fail("notdir");
  }
  if (node.kind === "folder" && ((rights & Right.fdWrite) !== 0 || (how & (OpenFlag.truncate | OpenFlag.create)) !== 0)) {
    fail("isdir");
  }
  const granted = rights & (node.kind === "file" ? RIGHTS_OF_FILE : RIGHTS_OF_FOLDER);
  const truncates = node.kind === "file" && (how & OpenFlag.truncate) !== 0;
  const writes = truncates || (granted & (Right.fdWrite | Right.fdAllocate | Right.fdFilestatSetSize)) !== 0;
  node.open({ reads: (granted & Right.fdRead) !== 0, writes });
  try {
    if (truncates) {
      node.resize(0);
    }
    return descriptors.add({ target: node, preopen: null, rights: granted, inheriting, flags, offset: 0 });
  } catch (error) {
    node.close();
    throw error;
  }
}

function created({ folder, name, namesFolder }: Place, how: number): FileNode {
  if (name === null || (how & OpenFlag.create) === 0) {
    return fail("noent");
  }
  return namesFolder ? fail("isdir") : folder.createFile(name, isBoth(how, NEW));
}

/** A name that nothing has. @throws WasiError exist; noent for one with a slash behind it */
function freeName({ name, node, namesFolder }: Place): string {
  if (name === null || node !== undefined) {
    return fail("exist");
  }
  return namesFolder ? fail("noent") : name;
}

function follows(lookup: number): boolean {
  return (lookup & LOOKUP_FOLLOW) !== 0;
}

function isBoth(flags: number, both: number): boolean {
  return (flags & both) === both;
}
