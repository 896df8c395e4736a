/** The table of what a program has open. */
import { errnoOf, fail, WasiError } from "./errno.ts";
import type { FileNode, FolderNode } from "./file-system.ts";
import { RIGHTS_ALL, RIGHTS_OF_FOLDER, RIGHTS_OF_INPUT, RIGHTS_OF_OUTPUT } from "./types.ts";

const DESCRIPTORS_MAX = 1024;

export type Stream = "input" | "output" | "log";

export interface Descriptor {
  readonly target: { readonly kind: Stream } | FileNode | FolderNode;
  /** The name under which a folder is given to the program from the start; null for what it has opened itself. */
  readonly preopen: string | null;
  /** What may be done with it. */
  rights: number;
  /** What those opened through it can be allowed. */
  inheriting: number;
  /** FdFlag bits. */
  flags: number;
  /** Where the next read or write of a file or of the input begins. */
  offset: number;
}

export class Descriptors {
  readonly #open = new Map<number, Descriptor>();

  /** @throws WasiError badf */
  get(fd: number): Descriptor {
    return this.#open.get(fd >>> 0) ?? fail("badf");
  }

  /** @throws WasiError mfile */
  mustHaveRoom(): void {
    if (this.#open.size === DESCRIPTORS_MAX) {
      fail("mfile");
    }
  }

  /** By the lowest number that is free. @throws WasiError mfile */
  add(descriptor: Descriptor): number {
    this.mustHaveRoom();
    let fd = 0;
    while (this.#open.has(fd)) {
      fd += 1;
    }
    this.#open.set(fd, descriptor);
    return fd;
  }

  /** Under a number that is free. */
  set(fd: number, descriptor: Descriptor): void {
    this.#open.set(fd, descriptor);
  }

  /** @throws WasiError badf; what else it throws, it is closed */
  close(fd: number): void {
    const { target } = this.get(fd);
    const errno = target.kind === "file" || target.kind === "folder" ? errnoOf(() => target.close()) : 0;
    this.#open.delete(fd >>> 0);
    if (errno !== 0) {
      throw new WasiError(errno);
    }
  }

  /** `fd` gets the number `to`; what had it is closed. @throws WasiError badf unless both are open */
  renumber(fd: number, to: number): void {
    const descriptor = this.get(fd);
    this.get(to);
    if (fd !== to) {
      this.close(to);
      this.#open.delete(fd >>> 0);
      this.#open.set(to >>> 0, descriptor);
    }
  }

  [Symbol.iterator](): IterableIterator<[number, Descriptor]> {
    return this.#open.entries();
  }
}

/** Input, output, log, and the given folders from 3 on. */
export function firstDescriptors(preopens: readonly { readonly name: string; readonly folder: FolderNode }[]): Descriptors {
  const descriptors = new Descriptors();
  for (const kind of ["input", "output", "log"] as const) {
    const rights = kind === "input" ? RIGHTS_OF_INPUT : RIGHTS_OF_OUTPUT;
    descriptors.add({ target: { kind }, preopen: null, rights, inheriting: 0, flags: 0, offset: 0 });
  }
  for (const { name, folder } of preopens) {
    folder.open({ reads: true, writes: false });
    const inheriting = RIGHTS_ALL;
    descriptors.add({ target: folder, preopen: name, rights: RIGHTS_OF_FOLDER, inheriting, flags: 0, offset: 0 });
  }
  return descriptors;
}

/** @throws WasiError notcapable */
export function mustHave(descriptor: Descriptor, rights: number): void {
  if ((descriptor.rights & rights) !== rights) {
    fail("notcapable");
  }
}

/** @throws WasiError badf, notdir, notcapable */
export function folderOf(descriptors: Descriptors, fd: number, rights: number): { descriptor: Descriptor; folder: FolderNode } {
  const descriptor = descriptors.get(fd);
  const { target } = descriptor;
  if (target.kind !== "folder") {
    return fail("notdir");
  }
  mustHave(descriptor, rights);
  return { descriptor, folder: target };
}

/** @throws WasiError badf, isdir, notcapable; spipe for input, output and log */
export function fileOf(descriptors: Descriptors, fd: number, rights: number): { descriptor: Descriptor; file: FileNode } {
  const descriptor = descriptors.get(fd);
  const { target } = descriptor;
  switch (target.kind) {
    case "file":
      mustHave(descriptor, rights);
      return { descriptor, file: target };
    case "folder":
      return fail("isdir");
    default:
      return fail("spipe");
  }
}
