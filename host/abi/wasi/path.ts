/**
 * From a path to a place below a folder, name by name.
 *
 * W1. A walk never leaves the folder it began in: "..", an absolute path and a link that would are refused with notcapable.
 * W2. Each name is looked up in the folder that the walk stands in, never by a path: what others do to the names before it cannot
 *     turn the walk elsewhere.
 */
import { fail } from "./errno.ts";
import type { FolderNode, FsNode } from "./file-system.ts";

export const PATH_MAX_BYTES = 4096;
const NAME_MAX_BYTES = 255;
/** As many as Linux follows. */
const LINKS_MAX = 40;
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Where a path leads. */
export interface Place {
  /** The folder that has, or would have, the name. */
  readonly folder: FolderNode;
  /** Null: the path leads to the folder itself, as "." does. */
  readonly name: string | null;
  /** What is there now; the folder itself for a path without a name. */
  readonly node: FsNode | undefined;
  /** The path ends in a slash. */
  readonly namesFolder: boolean;
}

/** A path as a guest gives it. @throws WasiError noent, nametoolong, ilseq, inval, notcapable */
export function pathOf(bytes: Uint8Array): string {
  if (bytes.byteLength === 0) {
    fail("noent");
  }
  const path = linkTextOf(bytes);
  return path.startsWith("/") ? fail("notcapable") : path;
}

/** What a link shall say. @throws WasiError noent, nametoolong, ilseq, inval */
export function linkTextOf(bytes: Uint8Array): string {
  if (bytes.byteLength > PATH_MAX_BYTES) {
    fail("nametoolong");
  }
  if (bytes.includes(0)) {
    fail("inval");
  }
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return fail("ilseq");
  }
}

/**
 * Walks from `base` along `path` and has `use` do something there. A link at the end is followed if `follow` is set, or if a slash
 * comes behind it.
 *
 * @throws WasiError noent, notdir: a name on the way is missing, is no folder, or has a slash behind it and is none
 * @throws WasiError notcapable, loop, nametoolong  and what `use` throws
 */
export function atPath<T>(base: FolderNode, path: string, follow: boolean, use: (place: Place) => T): T {
  const stack: FolderNode[] = [];
  let last: FsNode | undefined;
  try {
    const place = walk(base, stack, path, follow);
    last = place.node;
    return use(place);
  } finally {
    last?.release();
    for (let folder = stack.pop(); folder !== undefined; folder = stack.pop()) {
      folder.release();
    }
  }
}

function walk(base: FolderNode, stack: FolderNode[], path: string, follow: boolean): Place {
  const rest = namesOf(path);
  let namesFolder = path.endsWith("/");
  let links = 0;
  for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
    if (name === ".") {
      continue;
    }
    if (name === "..") {
      (stack.pop() ?? fail("notcapable")).release();
      continue;
    }
    const folder = stack.at(-1) ?? base;
    const node = folder.lookup(name);
    const isLast = rest.length === 0;
    if (node?.kind === "link" && (!isLast || follow || namesFolder)) {
      links += 1;
      const { target } = node;
      node.release();
      if (links > LINKS_MAX) {
        fail("loop");
      }
      if (target.startsWith("/")) {
        fail("notcapable");
      }
      namesFolder ||= isLast && target.endsWith("/");
      rest.push(...namesOf(target));
      continue;
    }
    if (isLast) {
      if (namesFolder && node !== undefined && node.kind !== "folder") {
        node.release();
        fail("notdir");
      }
      return { folder, name, node, namesFolder };
    }
    if (node === undefined) {
      return fail("noent");
    }
    if (node.kind !== "folder") {
      node.release();
      return fail("notdir");
    }
    stack.push(node);
  }
  const folder = stack.at(-1) ?? base;
  return { folder, name: null, node: folder, namesFolder: true };
}

/** The last name first. */
function namesOf(path: string): string[] {
  const names = path.split("/").filter((name) => name !== "");
  if (names.some((name) => name.length > NAME_MAX_BYTES || Buffer.byteLength(name) > NAME_MAX_BYTES)) {
    fail("nametoolong");
  }
  return names.length === 0 ? fail("noent") : names.reverse();
}
