/** Calls imports of WASI one by one, as a program does that keeps its arguments in a memory. */

import { importFunctions } from "../../host/abi/create-imports.ts";
import { Errno, type FolderNode, WASI_MODULE, wasiFunctions } from "../../host/abi/wasi/index.ts";
import { RIGHTS_ALL, RIGHTS_OF_FOLDER } from "../../host/abi/wasi/types.ts";
import { processWorld } from "../../host/cli/process-world.ts";
import { MemoryGuest, MemoryHost } from "./memory-guest.ts";

const NAMES = new Map<number, ErrnoName>(Object.entries(Errno).map(([name, value]) => [value, name as ErrnoName]));
/** Arguments from here on, results below. */
const ARGUMENTS_AT = 4096;
const RESULT_AT = 0;
const ROOM_AT = 1024;
export const ALL_RIGHTS = BigInt(RIGHTS_ALL);
export const ROOT = 3;
const CREATE = 1;
const TRUNCATE = 8;

export interface OpenOptions {
  readonly lookup?: number;
  readonly how?: number;
  readonly rights?: bigint;
  readonly inheriting?: bigint;
  readonly flags?: number;
}

/** An error number by its name, "success" for none. */
export type ErrnoName = keyof typeof Errno;

export class WasiCalls {
  readonly host: MemoryHost;
  readonly guest: MemoryGuest;
  readonly memory = Buffer.alloc(65_536);
  #free = ARGUMENTS_AT;
  readonly #functions: ReturnType<typeof importFunctions>;

  /** @param folder  what the program has as "/", with this process for the rest of its world; the scratch of a call unless given */
  constructor(input = "", folder?: FolderNode, host = new MemoryHost()) {
    this.host = host;
    this.guest = new MemoryGuest(this.host, Buffer.from(input));
    this.guest.attachBytes(this.memory);
    const preopens = folder === undefined ? [] : [{ name: "/", folder }];
    this.#functions =
      folder === undefined
        ? importFunctions(this.guest)
        : withModule(wasiFunctions(processWorld({ args: ["test"], environment: [], preopens, memory: () => this.memory })));
  }

  /** Texts become a pointer and a length. */
  async call(name: string, ...args: readonly (string | number | bigint)[]): Promise<ErrnoName> {
    this.#free = ARGUMENTS_AT;
    const flat = args.flatMap((arg) => (typeof arg === "string" ? [this.put(Buffer.from(arg)), Buffer.byteLength(arg)] : [arg]));
    const run = this.#functions[`${WASI_MODULE}.${name}`] as (...args: unknown[]) => number | Promise<number>;
    const errno = await run(...flat);
    const found = NAMES.get(errno);
    if (found === undefined) {
      throw new Error(`${name} answered ${errno}`);
    }
    return found;
  }

  /** Where the bytes are now. */
  put(bytes: Uint8Array): number {
    const pointer = this.#free;
    this.memory.set(bytes, pointer);
    this.#free += Math.ceil(bytes.byteLength / 8) * 8;
    return pointer;
  }

  u32(pointer = RESULT_AT): number {
    return this.memory.readUInt32LE(pointer);
  }

  u64(pointer = RESULT_AT): bigint {
    return this.memory.readBigUInt64LE(pointer);
  }

  /** The new descriptor, or the error. */
  async open(path: string, options: OpenOptions = {}, from = ROOT): Promise<number | ErrnoName> {
    const { lookup = 0, how = 0, rights = ALL_RIGHTS, inheriting = ALL_RIGHTS, flags = 0 } = options;
    const errno = await this.call("path_open", from, lookup, path, how, rights, inheriting, flags, RESULT_AT);
    return errno === "success" ? this.u32() : errno;
  }

  /** The new descriptor. @throws for any error */
  async opened(path: string, options: OpenOptions = {}, from = ROOT): Promise<number> {
    const fd = await this.open(path, options, from);
    if (typeof fd === "string") {
      throw new Error(`open ${path}: ${fd}`);
    }
    return fd;
  }

  /** A folder with all that a folder can have. */
  folder(path: string): Promise<number> {
    return this.opened(path, { rights: BigInt(RIGHTS_OF_FOLDER) });
  }

  /** Bytes written, or the error. */
  async write(fd: number, ...pieces: readonly string[]): Promise<number | ErrnoName> {
    const errno = await this.#transfer(
      "fd_write",
      fd,
      pieces.map((piece) => Buffer.from(piece)),
    );
    return errno === "success" ? this.u32() : errno;
  }

  async pwrite(fd: number, text: string, offset: bigint): Promise<number | ErrnoName> {
    const errno = await this.#transfer("fd_pwrite", fd, [Buffer.from(text)], offset);
    return errno === "success" ? this.u32() : errno;
  }

  /** The text read, or "!" and the error. */
  async read(fd: number, length = 1024): Promise<string> {
    const errno = await this.#transfer("fd_read", fd, [Buffer.alloc(length)]);
    return errno === "success" ? this.#readText(length) : `!${errno}`;
  }

  async pread(fd: number, length: number, offset: bigint): Promise<string> {
    const errno = await this.#transfer("fd_pread", fd, [Buffer.alloc(length)], offset);
    return errno === "success" ? this.#readText(length) : `!${errno}`;
  }

  /** Size and what else a test looks at, or the error. */
  async stat(path: string, lookup = 0) {
    const errno = await this.call("path_filestat_get", ROOT, lookup, path, ROOM_AT);
    return errno === "success" ? this.statAt(ROOM_AT) : errno;
  }

  async fdStat(fd: number) {
    const errno = await this.call("fd_filestat_get", fd, ROOM_AT);
    return errno === "success" ? this.statAt(ROOM_AT) : errno;
  }

  statAt(pointer: number) {
    return {
      ino: this.u64(pointer + 8),
      type: this.memory.readUInt8(pointer + 16),
      links: this.u64(pointer + 24),
      size: this.u64(pointer + 32),
      mtim: this.u64(pointer + 48),
    };
  }

  /** The names in a folder, read in rooms of `length` bytes. */
  async list(fd: number, length = 256): Promise<string[]> {
    const names: string[] = [];
    for (let cookie = 0n, used = length; used === length; ) {
      const errno = await this.call("fd_readdir", fd, ROOM_AT, length, cookie, RESULT_AT);
      if (errno !== "success") {
        throw new Error(errno);
      }
      used = this.u32();
      for (let at = 0; at + 24 <= used; ) {
        const nameLength = this.u32(ROOM_AT + at + 16);
        if (at + 24 + nameLength > used) {
          break;
        }
        cookie = this.u64(ROOM_AT + at);
        names.push(this.memory.toString("utf8", ROOM_AT + at + 24, ROOM_AT + at + 24 + nameLength));
        at += 24 + nameLength;
      }
    }
    return names;
  }

  /** Writes the file from its beginning, and closes it. */
  async store(path: string, text: string, how = CREATE | TRUNCATE): Promise<void> {
    const fd = await this.opened(path, { how });
    await this.write(fd, text);
    const errno = await this.call("fd_close", fd);
    if (errno !== "success") {
      throw new Error(`close ${path}: ${errno}`);
    }
  }

  /** What is in the file, or "!" and the error. */
  async text(path: string): Promise<string> {
    const fd = await this.open(path);
    if (typeof fd === "string") {
      return `!${fd}`;
    }
    const text = await this.read(fd, 8192);
    await this.call("fd_close", fd);
    return text;
  }

  get output(): string {
    return Buffer.from(this.guest.call.output()).toString();
  }

  async #transfer(name: string, fd: number, pieces: readonly Buffer[], ...offset: readonly bigint[]): Promise<ErrnoName> {
    let at = ARGUMENTS_AT + pieces.length * 8;
    for (const [index, piece] of pieces.entries()) {
      this.memory.writeUInt32LE(at, ARGUMENTS_AT + index * 8);
      this.memory.writeUInt32LE(piece.byteLength, ARGUMENTS_AT + index * 8 + 4);
      this.memory.set(piece, at);
      at += piece.byteLength;
    }
    return this.call(name, fd, ARGUMENTS_AT, pieces.length, ...offset, RESULT_AT);
  }

  #readText(length: number): string {
    const at = ARGUMENTS_AT + 8;
    return this.memory.toString("utf8", at, at + Math.min(length, this.u32()));
  }
}

function withModule(functions: ReturnType<typeof wasiFunctions>): ReturnType<typeof wasiFunctions> {
  return Object.fromEntries(Object.entries(functions).map(([name, run]) => [`${WASI_MODULE}.${name}`, run]));
}
