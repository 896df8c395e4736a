/**
 * Imports: Faasm's state for modules whose state is aliased (H22): the local tier of a value is a memory region that all calls of the tenant on this
 * node reach by the pointers they get, the global one the object "state/<key>". Between them bytes go by pushes and pulls only.
 *
 * A1. A region "state/<key>" begins with HEADER_BYTES: whether it was filled from the object, and how many bytes the value has. Who finds
 *     it empty fills it, under its lock, and makes no step for that: whether it was empty no log knows (F23).
 * A2. Locks of Faasm are those of a region of their own, as a value may be locked before anybody has said how large it is.
 */
import { type Guest, type GuestAliases, GuestFault } from "../../sandbox/guest.ts";
import { guestBytes } from "../guest-memory.ts";
import {
  GuestError,
  Operation,
  type Operation as OperationCode,
  PushMode,
  regionArgs,
  regionOpenArgs,
  regionRangeArgs,
} from "../operations.ts";
import { request } from "../requests.ts";
import type { CallFileSystem } from "../wasi/index.ts";
import { objectBytes, readObject } from "../whole-objects.ts";
import { wholeFile } from "./files.ts";
import { VALUE_MAX_BYTES } from "./local-state.ts";
import { checkChunk, stateKey } from "./text.ts";

const HEADER_BYTES = 64;
const FILLED = 0;
const SIZE = 1;
const HEADER_WORDS = 2;
const LOCK_PREFIX = "lock/";
const LOCK_BYTES = 4;
const LockMode = { read: 0, write: 1 } as const;

/** A value that the call has open. */
interface AliasedValue {
  readonly key: string;
  readonly handle: number;
  /** Of the region's first byte in the shared memory: it stays there as long as it is open. */
  readonly base: number;
}

/** Imports of Faasm's state that wait here, and not where values are copies. */
export const WAITING_WHEN_ALIASED: ReadonlySet<string> = new Set(["env.__faasm_write_state", "env.__faasm_unlock_state_read"]);

export const aliasedState = (guest: Guest, aliases: GuestAliases, files: CallFileSystem) => {
  const ask = async (operation: OperationCode, args: Uint8Array): Promise<number> => (await request(guest, operation, args)).code;
  const header = ({ base }: AliasedValue) => new Int32Array(aliases.memory().buffer, base, HEADER_WORDS);
  const sizeOf = (value: AliasedValue) => Atomics.load(header(value), SIZE) >>> 0;
  const pointerTo = ({ base }: AliasedValue, offset: number) => (aliases.base + base + HEADER_BYTES + offset) | 0;
  const keyAt = (name: string, pointer: number) => stateKey(guest, `${name}: key`, pointer);

  function bytesOf({ base }: AliasedValue, offset: number, length: number): Uint8Array {
    return new Uint8Array(aliases.memory().buffer, base + HEADER_BYTES + offset, length);
  }

  /** The value becomes these bytes. */
  function replace(value: AliasedValue, bytes: Uint8Array): void {
    bytesOf(value, 0, bytes.byteLength).set(bytes);
    Atomics.store(header(value), SIZE, bytes.byteLength);
  }

  const fileAt = files.asks.waiting((pathPointer: number) =>
    wholeFile(guest, files, "__faasm_write_state_from_file: path", pathPointer, VALUE_MAX_BYTES),
  ) as (pathPointer: number) => Uint8Array | Promise<Uint8Array>;

  /** @throws GuestFault  the region cannot be had in that size */
  async function openRegion(what: string, name: string, sizeBytes: number): Promise<number> {
    const handle = await ask(Operation.regionOpen, regionOpenArgs.encode({ name, sizeBytes, maxBytes: 0 }));
    if (handle < 0) {
      throw new GuestFault(`${what}: no memory region ${name} of ${sizeBytes} bytes can be had: code ${handle}`);
    }
    return handle;
  }

  /** The value with at least so many bytes, of its object or zeros. @throws GuestFault */
  async function open(name: string, key: string, sizeBytes: number): Promise<AliasedValue> {
    const known = await ask(Operation.regionOpen, regionOpenArgs.encode({ name: key, sizeBytes: 0, maxBytes: 0 }));
    const needed = known >= 0 ? sizeBytes : Math.max(sizeBytes, await objectBytes(guest, key));
    const handle = await openRegion(name, key, HEADER_BYTES + needed);
    const value = { key, handle, base: aliases.regionBase(handle) };
    if (Atomics.load(header(value), FILLED) === 0) {
      await fill(value);
    }
    for (let size = sizeOf(value); size < sizeBytes; size = sizeOf(value)) {
      Atomics.compareExchange(header(value), SIZE, size, sizeBytes);
    }
    return value;
  }

  async function fill(value: AliasedValue): Promise<void> {
    await ask(Operation.regionLock, regionArgs.encode(value.handle, LockMode.write));
    if (Atomics.load(header(value), FILLED) === 0) {
      const object = await readObject(guest, value.key, -1, () => {});
      const bytes = object?.bytes.subarray(0, aliases.regionBytes(value.handle) - HEADER_BYTES) ?? new Uint8Array(0);
      bytesOf(value, 0, bytes.byteLength).set(bytes);
      Atomics.store(header(value), SIZE, bytes.byteLength);
      Atomics.store(header(value), FILLED, 1);
    }
    await ask(Operation.regionUnlock, regionArgs.encode(value.handle));
  }

  /** @throws GuestFault unless the chunk lies inside of the value */
  async function openChunk(name: string, pointer: number, total: number, offset: number, length: number): Promise<AliasedValue> {
    checkChunk(name, total >>> 0, offset >>> 0, length >>> 0);
    return open(name, keyAt(name, pointer), total >>> 0);
  }

  /** Bytes of the region become those of the object at the same place, or all of it. */
  async function pushRange(name: string, value: AliasedValue, mode: number, offset: number, length: number): Promise<void> {
    const { handle, key } = value;
    const args = regionRangeArgs.encode({ handle, offset: HEADER_BYTES + offset, length, key, at: offset, mode });
    const code = await ask(Operation.regionPush, args);
    if (code < 0) {
      throw new GuestFault(`${name}: the object ${key} cannot have ${length} bytes at ${offset}: code ${code}`);
    }
  }

  const push =
    (name: string) =>
    async (keyPointer: number): Promise<void> => {
      const value = await open(name, keyAt(name, keyPointer), 0);
      await pushRange(name, value, PushMode.whole, 0, sizeOf(value));
    };

  async function lockRegion(name: string, keyPointer: number): Promise<number> {
    return openRegion(name, LOCK_PREFIX + keyAt(name, keyPointer), LOCK_BYTES);
  }

  const lock =
    (name: string, mode: number) =>
    async (keyPointer: number): Promise<void> => {
      const code = await ask(Operation.regionLock, regionArgs.encode(await lockRegion(name, keyPointer), mode));
      if (code === GuestError.invalid) {
        throw new GuestFault(`${name}: the call holds the lock already`);
      }
    };

  const unlock =
    (name: string) =>
    async (keyPointer: number): Promise<void> => {
      await ask(Operation.regionUnlock, regionArgs.encode(await lockRegion(name, keyPointer)));
    };

  return {
    "env.__faasm_read_state": async (keyPointer: number, pointer: number, length: number): Promise<number> => {
      const name = "__faasm_read_state";
      const key = keyAt(name, keyPointer);
      guestBytes(guest, `${name}: buffer`, pointer, length);
      const value = await open(name, key, 0);
      const sizeBytes = sizeOf(value);
      const copied = Math.min(length >>> 0, sizeBytes);
      guestBytes(guest, `${name}: buffer`, pointer, copied).set(bytesOf(value, 0, copied));
      return sizeBytes;
    },

    "env.__faasm_read_state_ptr": async (keyPointer: number, total: number): Promise<number> => {
      const name = "__faasm_read_state_ptr";
      return pointerTo(await open(name, keyAt(name, keyPointer), total >>> 0), 0);
    },

    "env.__faasm_read_state_offset": async (
      keyPointer: number,
      total: number,
      offset: number,
      pointer: number,
      length: number,
    ): Promise<void> => {
      const name = "__faasm_read_state_offset";
      guestBytes(guest, `${name}: buffer`, pointer, length);
      const value = await openChunk(name, keyPointer, total, offset, length);
      guestBytes(guest, `${name}: buffer`, pointer, length).set(bytesOf(value, offset >>> 0, length >>> 0));
    },

    "env.__faasm_read_state_offset_ptr": async (
      keyPointer: number,
      total: number,
      offset: number,
      length: number,
    ): Promise<number> => {
      const value = await openChunk("__faasm_read_state_offset_ptr", keyPointer, total, offset, length);
      return pointerTo(value, offset >>> 0);
    },

    "env.__faasm_write_state": async (keyPointer: number, pointer: number, length: number): Promise<void> => {
      const name = "__faasm_write_state";
      guestBytes(guest, `${name}: bytes`, pointer, length);
      const value = await open(name, keyAt(name, keyPointer), length >>> 0);
      replace(value, guestBytes(guest, `${name}: bytes`, pointer, length));
    },

    "env.__faasm_write_state_from_file": async (keyPointer: number, pathPointer: number): Promise<number> => {
      const name = "__faasm_write_state_from_file";
      const key = keyAt(name, keyPointer);
      const bytes = await fileAt(pathPointer);
      replace(await open(name, key, bytes.byteLength), bytes);
      return bytes.byteLength;
    },

    "env.__faasm_write_state_offset": async (
      keyPointer: number,
      total: number,
      offset: number,
      pointer: number,
      length: number,
    ): Promise<void> => {
      const name = "__faasm_write_state_offset";
      guestBytes(guest, `${name}: bytes`, pointer, length);
      const value = await openChunk(name, keyPointer, total, offset, length);
      bytesOf(value, offset >>> 0, length >>> 0).set(guestBytes(guest, `${name}: bytes`, pointer, length));
    },

    // What pointers write is there.
    "env.__faasm_flag_state_dirty": (keyPointer: number, _total: number): void => {
      keyAt("__faasm_flag_state_dirty", keyPointer);
    },

    "env.__faasm_flag_state_offset_dirty": (keyPointer: number, _total: number, _offset: number, _length: number): void => {
      keyAt("__faasm_flag_state_offset_dirty", keyPointer);
    },

    "env.__faasm_push_state": push("__faasm_push_state"),
    "env.__faasm_push_state_partial": push("__faasm_push_state_partial"),

    "env.__faasm_push_state_partial_mask": async (keyPointer: number, maskPointer: number): Promise<void> => {
      const name = "__faasm_push_state_partial_mask";
      const maskKey = stateKey(guest, `${name}: mask`, maskPointer);
      const value = await open(name, keyAt(name, keyPointer), 0);
      const mask = await open(name, maskKey, 0);
      const marks = Uint8Array.from(bytesOf(mask, 0, Math.min(sizeOf(mask), sizeOf(value))));
      for (const { offset, length } of runsOf(marks)) {
        await pushRange(name, value, PushMode.part, offset, length);
      }
    },

    "env.__faasm_pull_state": async (keyPointer: number, total: number): Promise<void> => {
      const name = "__faasm_pull_state";
      const key = keyAt(name, keyPointer);
      const value = await open(name, key, Math.max(total >>> 0, await objectBytes(guest, key)));
      const { handle } = value;
      const length = sizeOf(value);
      await ask(Operation.regionPull, regionRangeArgs.encode({ handle, offset: HEADER_BYTES, length, key, at: 0, mode: 0 }));
    },

    "env.__faasm_lock_state_write": lock("__faasm_lock_state_write", LockMode.write),
    "env.__faasm_unlock_state_write": unlock("__faasm_unlock_state_write"),
    "env.__faasm_lock_state_read": lock("__faasm_lock_state_read", LockMode.read),
    "env.__faasm_unlock_state_read": unlock("__faasm_unlock_state_read"),
  };
};

/** Where bytes that are not 0 follow each other. */
function* runsOf(marks: Uint8Array): Generator<{ offset: number; length: number }> {
  for (let at = 0; at < marks.byteLength; at++) {
    const offset = at;
    while (at < marks.byteLength && marks[at] !== 0) {
      at += 1;
    }
    if (at > offset) {
      yield { offset, length: at - offset };
    }
  }
}
