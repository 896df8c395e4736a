/**
 * The tenant's shared files as a call reads and writes them. Each method asks the main thread, in the sense of `asks.ts`.
 *
 * Owns: pages that were read, and which files below "faasm://" are open. Does not own: files that the call has made its own.
 *
 * S1. What a call sees follows from its cursor and its pages, and the pages travel with it: every replay sees the same (F13).
 * S2. All that is read of one opening of a file is of one version: another one that has taken its place is errno stale.
 */
import { createHash } from "node:crypto";
import type { ByteReader, ByteWriter } from "../../../state/bytes.ts";
import { isObjectKey, OBJECT_KEY_MAX_BYTES } from "../../../state/ids.ts";
import type { Guest } from "../../sandbox/guest.ts";
import type { OperationReply } from "../../sandbox/sandbox.ts";
import {
  FILES_PREFIX,
  FileKind,
  fileFindArgs,
  fileFindReply,
  fileListArgs,
  fileListReply,
  type ListedFile,
} from "../file-messages.ts";
import { READ_SLICE_BYTES, stage } from "../objects.ts";
import {
  GuestError,
  Operation,
  objectDeleteArgs,
  objectReadArgs,
  objectReadReply,
  objectUpdateArgs,
  objectWriteArgs,
  STAGE_CHUNK_BYTES,
} from "../operations.ts";
import { request } from "../requests.ts";
import type { Asks } from "./asks.ts";
import { fail } from "./errno.ts";
import type { SharedFile } from "./shared-folder.ts";

const PAGE_BYTES = 64 * 1024;
const PAGES_MAX = 16;
/** Of one read. */
const READ_MAX_BYTES = 16 * 1024 * 1024;
const LIST_ENTRIES_MAX = 128;
const NOTHING = new Uint8Array(0);

/** One version of a shared file. */
export interface FileVersion {
  readonly path: string;
  readonly version: number;
  readonly sizeBytes: number;
  readonly timeMs: number;
}

export type FoundFile = { readonly kind: "folder" } | { readonly kind: "file"; readonly file: FileVersion };

export class SharedFiles {
  /** Those below "faasm://" that are open, by path: all descriptors of a call see one file. */
  readonly live = new Map<string, SharedFile>();
  readonly #guest: Guest;
  readonly #asks: Asks;
  readonly #pages = new Map<string, Uint8Array>();

  constructor(guest: Guest, asks: Asks) {
    this.#guest = guest;
    this.#asks = asks;
  }

  find(path: string): FoundFile | undefined {
    if (!isObjectKey(FILES_PREFIX + path)) {
      return undefined;
    }
    return this.#asks.ask(`find ${path}`, () => this.#find(path));
  }

  /** @param folder  "", or with a slash at its end. None behind the last one. */
  list(folder: string, after: string): readonly ListedFile[] {
    return this.#asks.ask(`list ${folder}\n${after}`, async () => {
      const args = fileListArgs.encode({ folder, after, limit: LIST_ENTRIES_MAX });
      return fileListReply.decode((await this.#request(Operation.fileList, args)).bytes);
    });
  }

  /** Bytes copied: fewer than there is room for at the end of the file, and behind 16 MiB. @throws WasiError stale */
  read(file: FileVersion, room: Uint8Array, offset: number): number {
    const length = Math.min(room.byteLength, READ_MAX_BYTES, Math.max(0, file.sizeBytes - offset));
    if (length > PAGE_BYTES) {
      const { path, version } = file;
      room.set(this.#asks.ask(`read ${offset} ${length} ${version} ${path}`, () => this.#slices(file, offset, length)));
      return length;
    }
    for (let copied = 0; copied < length; ) {
      const at = offset + copied;
      const page = this.#page(file, Math.floor(at / PAGE_BYTES));
      const found = page.subarray(at % PAGE_BYTES, (at % PAGE_BYTES) + length - copied);
      room.set(found, copied);
      copied += found.byteLength;
    }
    return length;
  }

  /** @throws WasiError stale */
  whole(file: FileVersion): Uint8Array {
    return this.#asks.ask(`whole ${file.version} ${file.path}`, () => this.#slices(file, 0, file.sizeBytes));
  }

  /** Makes an empty file. @throws WasiError nametoolong, inval; exist: another call was first, and `exclusive` is set */
  create(path: string, exclusive: boolean): FileVersion {
    const key = keyOf(path);
    return this.#asks.ask(`create ${path}`, async () => {
      const args = objectUpdateArgs.encode({ key, version: 0, staged: false, value: NOTHING });
      const { code } = await request(this.#guest, Operation.objectUpdate, args);
      return code === GuestError.conflict && exclusive ? fail("exist") : ((await this.#version(path)) ?? fail("stale"));
    });
  }

  /** An object that keeps an empty folder. @throws WasiError nametoolong, inval */
  createFolder(path: string): void {
    const key = keyOf(`${path}/`);
    this.#asks.ask(`folder ${path}`, () => this.#write(key, 0, () => NOTHING, null));
  }

  remove(path: string): void {
    this.#asks.ask(`remove ${path}`, () => this.#remove(path));
  }

  /** The new file is there before the old one is gone. @throws WasiError nametoolong, inval, stale, fbig */
  move(file: FileVersion, path: string): FileVersion {
    const key = keyOf(path);
    return this.#asks.ask(`move ${file.path}\n${path}`, async () => {
      await this.#write(key, file.sizeBytes, (offset, length) => this.#slices(file, offset, length), null);
      const moved = (await this.#version(path)) ?? fail("stale");
      await this.#remove(file.path);
      return moved;
    });
  }

  /** `store`, asked by an import. */
  publish(path: string, bytes: Uint8Array, version: number | null): FileVersion {
    return this.#asks.ask(`publish ${path}`, () => this.store(path, bytes, version));
  }

  /**
   * Makes `bytes` the file.
   *
   * @param version  that the bytes were made from, null for none
   * @returns the version that is there now
   * @throws WasiError stale: another call has replaced it; fbig
   */
  async store(path: string, bytes: Uint8Array, version: number | null): Promise<FileVersion> {
    const slice = (offset: number, length: number) => bytes.subarray(offset, offset + length);
    await this.#write(keyOf(path), bytes.byteLength, slice, version);
    return (await this.#version(path)) ?? fail("stale");
  }

  encodePages(w: ByteWriter): void {
    w.u32(this.#pages.size);
    for (const [name, bytes] of this.#pages) {
      w.text(name).bytes(bytes);
    }
  }

  decodePages(r: ByteReader): void {
    for (let left = r.u32(); left > 0; left--) {
      this.#pages.set(r.text(), Uint8Array.from(r.bytes()));
    }
  }

  async #find(path: string): Promise<FoundFile | undefined> {
    const { code, bytes, timeMs } = await this.#request(Operation.fileFind, fileFindArgs.encode(path));
    switch (code) {
      case FileKind.file:
        return { kind: "file", file: { path, timeMs, ...fileFindReply.decode(bytes) } };
      case FileKind.folder:
        return { kind: "folder" };
      default:
        return undefined;
    }
  }

  async #version(path: string): Promise<FileVersion | undefined> {
    const found = await this.#find(path);
    return found?.kind === "file" ? found.file : undefined;
  }

  #page(file: FileVersion, index: number): Uint8Array {
    const name = `${index} ${file.version} ${file.path}`;
    const known = this.#pages.get(name);
    if (known !== undefined) {
      return known;
    }
    const offset = index * PAGE_BYTES;
    const length = Math.min(PAGE_BYTES, file.sizeBytes - offset);
    const page = this.#asks.ask(`page ${name}`, () => this.#slices(file, offset, length));
    this.#pages.set(name, page);
    const [oldest] = this.#pages.keys();
    if (this.#pages.size > PAGES_MAX && oldest !== undefined) {
      this.#pages.delete(oldest);
    }
    return page;
  }

  async #slices({ path, version }: FileVersion, offset: number, length: number): Promise<Uint8Array> {
    const key = FILES_PREFIX + path;
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const maxBytes = Math.min(READ_SLICE_BYTES, length - at);
      const reply = await request(
        this.#guest,
        Operation.objectRead,
        objectReadArgs.encode({ key, offset: offset + at, maxBytes }),
      );
      if (reply.code === GuestError.notFound) {
        return fail("stale");
      }
      const { version: found, slice } = objectReadReply.decode(checked(reply).bytes);
      if (found !== version || slice.byteLength === 0) {
        return fail("stale");
      }
      bytes.set(slice, at);
      at += slice.byteLength;
    }
    return bytes;
  }

  /** Without ever holding more than a chunk of it. */
  async #write(
    key: string,
    sizeBytes: number,
    slice: (offset: number, length: number) => Uint8Array | Promise<Uint8Array>,
    version: number | null,
  ): Promise<void> {
    const staged = sizeBytes > STAGE_CHUNK_BYTES;
    if (staged) {
      checkCode(await stage(this.#guest, sizeBytes, slice));
    }
    const value = staged ? NOTHING : await slice(0, sizeBytes);
    await (version === null
      ? this.#request(Operation.objectWrite, objectWriteArgs.encode({ key, staged, value }))
      : this.#request(Operation.objectUpdate, objectUpdateArgs.encode({ key, version, staged, value })));
  }

  async #remove(path: string): Promise<void> {
    await this.#request(Operation.objectDelete, objectDeleteArgs.encode(FILES_PREFIX + path));
  }

  async #request(operation: Operation, args: Uint8Array): Promise<OperationReply> {
    return checked(await request(this.#guest, operation, args));
  }
}

/** Shared files and folders have the inode number that their path gives them. */
export function inoOf(path: string): number {
  return createHash("sha256").update(path).digest().readUIntBE(0, 6);
}

/** @throws WasiError for a code that refuses */
function checked(reply: OperationReply): OperationReply {
  checkCode(reply.code);
  return reply;
}

/** @throws WasiError for one that refuses */
function checkCode(code: number): void {
  if (code < 0) {
    fail(code === GuestError.conflict ? "stale" : code === GuestError.tooLarge ? "fbig" : "io");
  }
}

/** @throws WasiError nametoolong, inval */
function keyOf(path: string): string {
  const key = FILES_PREFIX + path;
  if (!isObjectKey(key)) {
    fail(Buffer.byteLength(key) > OBJECT_KEY_MAX_BYTES ? "nametoolong" : "inval");
  }
  return key;
}
