/** Shared files as a guest looks for them: a file is an object, a folder is what keys have in common up to a slash. */
import { OBJECT_KEY_MAX_BYTES } from "../../state/ids.ts";
import type { ObjectProtocol } from "../../state/protocols/index.ts";
import {
  FILES_PREFIX,
  FileKind,
  fileFindArgs,
  fileFindReply,
  fileListArgs,
  fileListReply,
  type ListedFile,
  positionOf,
} from "../abi/file-messages.ts";
import { Operation } from "../abi/operations.ts";
import type { OperationReply } from "../sandbox/sandbox.ts";
import { plainReply, refuseOverflown } from "./object-operations.ts";

const ENTRIES_MAX = 256;
/** No key that begins like this one without it is greater: it is longer than any key, and no character is. */
const LAST = "\u{10FFFF}".repeat(OBJECT_KEY_MAX_BYTES / 4);

export class FileOperations {
  readonly #objects: ObjectProtocol;

  constructor(objects: ObjectProtocol) {
    this.#objects = objects;
  }

  /** @returns null when `operation` is not one of files */
  perform(operation: number, args: Uint8Array): Promise<OperationReply> | null {
    switch (operation) {
      case Operation.fileFind:
        return this.#find(fileFindArgs.decode(args).path).catch(refuseOverflown);
      case Operation.fileList:
        return this.#list(fileListArgs.decode(args)).catch(refuseOverflown);
      default:
        return null;
    }
  }

  async #find(path: string): Promise<OperationReply> {
    const key = FILES_PREFIX + path;
    const file = await this.#objects.read(key, 0, 0);
    if (file.kind === "found") {
      return { code: FileKind.file, timeMs: file.timeMs, bytes: fileFindReply.encode(file.sizeBytes, file.version) };
    }
    const below = await this.#objects.list(`${key}/`, "", 1);
    return plainReply(below.length > 0 ? FileKind.folder : FileKind.none);
  }

  async #list({ folder, after, limit }: { folder: string; after: string; limit: number }): Promise<OperationReply> {
    const prefix = FILES_PREFIX + folder;
    const wanted = Math.min(limit, ENTRIES_MAX);
    const entries: ListedFile[] = [];
    let from = after === "" ? "" : keyBehind(prefix + after);
    while (entries.length < wanted) {
      const objects = await this.#objects.list(prefix, from, wanted);
      if (objects.length === 0) {
        break;
      }
      from = addEntries(
        entries,
        prefix,
        objects.map(({ key }) => key),
        wanted,
      );
    }
    return { code: entries.length, timeMs: 0, bytes: fileListReply.encode(entries) };
  }
}

/** A key, or what stands for the last one in a folder. */
function keyBehind(position: string): string {
  return position.endsWith("/") ? position + LAST : position;
}

/** Adds what `keys` show of the folder, each folder below it once. @returns where the list goes on */
function addEntries(entries: ListedFile[], prefix: string, keys: readonly string[], wanted: number): string {
  let from = prefix;
  /** The folder that was added last. */
  let inside: string | null = null;
  for (const key of keys) {
    if (inside !== null && key.startsWith(inside)) {
      continue;
    }
    if (entries.length === wanted) {
      break;
    }
    const rest = key.slice(prefix.length);
    const slash = rest.indexOf("/");
    from = key;
    if (slash >= 0) {
      const entry = { name: rest.slice(0, slash), isFolder: true };
      entries.push(entry);
      inside = `${prefix}${entry.name}/`;
      from = keyBehind(prefix + positionOf(entry));
    } else if (rest !== "") {
      // The folder's own object, which keeps it when it is empty, is no entry.
      entries.push({ name: rest, isFolder: false });
    }
  }
  return from;
}
