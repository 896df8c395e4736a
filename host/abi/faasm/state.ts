/**
 * Imports: Faasm's two-tier state on objects (H22): copies of the call are its local tier, the objects "state/<key>" the global one.
 * See docs/guides/faasm.md for what is refreshed and merged when.
 */
import { type Guest, GuestFault } from "../../sandbox/guest.ts";
import { guestBytes } from "../guest-memory.ts";
import { lockArgs, Operation, type Operation as OperationCode } from "../operations.ts";
import { post, request } from "../requests.ts";
import type { CallFileSystem } from "../wasi/index.ts";
import { objectBytes } from "../whole-objects.ts";
import { wholeFile } from "./files.ts";
import { localState, settleState, VALUE_MAX_BYTES } from "./local-state.ts";
import type { StateValue } from "./state-value.ts";
import { checkChunk, stateKey } from "./text.ts";

const NOTHING = new Uint8Array(0);

export const state = (guest: Guest, files: CallFileSystem) => {
  guest.beforeEnd(() => (guest.call.state === null ? undefined : settleState(guest)));

  /** Maps a range of the value into the guest's memory, unless it is mapped already. @returns its address */
  function mapped(name: string, value: StateValue, offset: number, length: number): number {
    const known = value.addressOf(offset, length);
    if (known !== null) {
      return known;
    }
    const pointer = guest.call.mappings.take(Math.max(1, length), "call", (pages) => guest.grow(pages));
    if (pointer === null) {
      throw new GuestFault(`${name}: the memory of ${guest.memory().byteLength} bytes has no room for ${length} more`);
    }
    value.map({ pointer, offset, length }, guest.memory());
    return pointer;
  }

  /** The call's cursor is where the log is now. In a part it stays: what the part sees is of one moment. */
  async function sync(): Promise<void> {
    if (!guest.call.inPart) {
      await post(guest, Operation.sync, NOTHING, 0);
    }
  }

  async function lockOperation(name: string, operation: OperationCode, key: string): Promise<void> {
    const { code } = await request(guest, operation, lockArgs.encode(key));
    if (code < 0 && operation === Operation.lock) {
      throw new GuestFault(`${name}: the call holds as many locks as it may`);
    }
  }

  /** The key, where locks are possible. @throws GuestFault */
  function lockKey(name: string, pointer: number): string {
    const key = stateKey(guest, `${name}: key`, pointer);
    if (guest.call.inPart) {
      throw new GuestFault(`${name}: not possible inside a storage part`);
    }
    return key;
  }

  const push =
    (name: string) =>
    async (keyPointer: number): Promise<void> => {
      const key = stateKey(guest, `${name}: key`, keyPointer);
      const local = localState(guest);
      await local.merge(guest, key, local.peek(key));
    };

  function writeFromFile(keyPointer: number, pathPointer: number): number {
    const name = "__faasm_write_state_from_file";
    const key = stateKey(guest, `${name}: key`, keyPointer);
    const bytes = wholeFile(guest, files, `${name}: path`, pathPointer, VALUE_MAX_BYTES);
    localState(guest).replace(guest, key, bytes);
    return bytes.byteLength;
  }

  return {
    "env.__faasm_read_state": async (keyPointer: number, pointer: number, length: number): Promise<number> => {
      const key = stateKey(guest, "__faasm_read_state: key", keyPointer);
      guestBytes(guest, "__faasm_read_state: buffer", pointer, length);
      const local = localState(guest);
      if (length === 0 && !local.peek(key).isLoaded) {
        return objectBytes(guest, key);
      }
      const { bytes } = await local.read(guest, key);
      guestBytes(guest, "__faasm_read_state: buffer", pointer, Math.min(length >>> 0, bytes.byteLength)).set(
        bytes.subarray(0, length >>> 0),
      );
      return bytes.byteLength;
    },

    "env.__faasm_read_state_ptr": async (keyPointer: number, total: number): Promise<number> => {
      const key = stateKey(guest, "__faasm_read_state_ptr: key", keyPointer);
      const value = await localState(guest).atLeast(guest, key, total >>> 0);
      return mapped("__faasm_read_state_ptr", value, 0, total >>> 0);
    },

    "env.__faasm_read_state_offset": async (
      keyPointer: number,
      total: number,
      offset: number,
      pointer: number,
      length: number,
    ): Promise<void> => {
      const name = "__faasm_read_state_offset";
      const key = stateKey(guest, `${name}: key`, keyPointer);
      guestBytes(guest, `${name}: buffer`, pointer, length);
      checkChunk(name, total >>> 0, offset >>> 0, length >>> 0);
      const { bytes } = await localState(guest).atLeast(guest, key, total >>> 0);
      const start = offset >>> 0;
      guestBytes(guest, `${name}: buffer`, pointer, length).set(bytes.subarray(start, start + (length >>> 0)));
    },

    "env.__faasm_read_state_offset_ptr": async (
      keyPointer: number,
      total: number,
      offset: number,
      length: number,
    ): Promise<number> => {
      const name = "__faasm_read_state_offset_ptr";
      const key = stateKey(guest, `${name}: key`, keyPointer);
      checkChunk(name, total >>> 0, offset >>> 0, length >>> 0);
      const value = await localState(guest).atLeast(guest, key, total >>> 0);
      return mapped(name, value, offset >>> 0, length >>> 0);
    },

    "env.__faasm_write_state": (keyPointer: number, pointer: number, length: number): void => {
      const key = stateKey(guest, "__faasm_write_state: key", keyPointer);
      const bytes = guestBytes(guest, "__faasm_write_state: bytes", pointer, length);
      localState(guest).replace(guest, key, bytes);
    },

    "env.__faasm_write_state_offset": async (
      keyPointer: number,
      total: number,
      offset: number,
      pointer: number,
      length: number,
    ): Promise<void> => {
      const name = "__faasm_write_state_offset";
      const key = stateKey(guest, `${name}: key`, keyPointer);
      guestBytes(guest, `${name}: bytes`, pointer, length);
      checkChunk(name, total >>> 0, offset >>> 0, length >>> 0);
      const value = await localState(guest).atLeast(guest, key, total >>> 0);
      value.write(guest.memory(), offset >>> 0, guestBytes(guest, `${name}: bytes`, pointer, length));
    },

    "env.__faasm_write_state_from_file": files.asks.waiting(writeFromFile),

    "env.__faasm_flag_state_dirty": (keyPointer: number, _total: number): void => {
      localState(guest)
        .peek(stateKey(guest, "__faasm_flag_state_dirty: key", keyPointer))
        .collect(guest.memory());
    },

    "env.__faasm_flag_state_offset_dirty": (keyPointer: number, total: number, offset: number, length: number): void => {
      const name = "__faasm_flag_state_offset_dirty";
      const key = stateKey(guest, `${name}: key`, keyPointer);
      checkChunk(name, total >>> 0, offset >>> 0, length >>> 0);
      localState(guest).peek(key).collect(guest.memory());
    },

    "env.__faasm_push_state": push("__faasm_push_state"),

    "env.__faasm_push_state_partial": push("__faasm_push_state_partial"),

    "env.__faasm_push_state_partial_mask": async (keyPointer: number, maskPointer: number): Promise<void> => {
      const name = "__faasm_push_state_partial_mask";
      const key = stateKey(guest, `${name}: key`, keyPointer);
      const maskKey = stateKey(guest, `${name}: mask`, maskPointer);
      const local = localState(guest);
      const mask = await local.read(guest, maskKey);
      await local.mergeBy(guest, key, mask.bytes);
    },

    "env.__faasm_pull_state": async (keyPointer: number, total: number): Promise<void> => {
      const key = stateKey(guest, "__faasm_pull_state: key", keyPointer);
      const local = localState(guest);
      local.extend(local.peek(key), total >>> 0);
      await sync();
      await local.pull(guest, key);
    },

    "env.__faasm_lock_state_write": async (keyPointer: number): Promise<void> => {
      const key = lockKey("__faasm_lock_state_write", keyPointer);
      await lockOperation("__faasm_lock_state_write", Operation.lock, key);
      await localState(guest).readKnown(guest, key);
    },

    "env.__faasm_unlock_state_write": async (keyPointer: number): Promise<void> => {
      const key = lockKey("__faasm_unlock_state_write", keyPointer);
      const local = localState(guest);
      await local.merge(guest, key, local.peek(key));
      await lockOperation("__faasm_unlock_state_write", Operation.unlock, key);
    },

    "env.__faasm_lock_state_read": async (keyPointer: number): Promise<void> => {
      const key = lockKey("__faasm_lock_state_read", keyPointer);
      await lockOperation("__faasm_lock_state_read", Operation.lock, key);
      await lockOperation("__faasm_lock_state_read", Operation.unlock, key);
      await localState(guest).readKnown(guest, key);
    },

    "env.__faasm_unlock_state_read": (keyPointer: number): void => {
      lockKey("__faasm_unlock_state_read", keyPointer);
    },
  };
};
