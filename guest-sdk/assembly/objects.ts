/**
 * Objects: what your functions remember. An object is bytes under a key; keys are texts of 1 to 1024 bytes without control
 * characters and often look like paths, "account/alice".
 *
 * A call reads the objects as they were at one moment, and sees its own writes. Every write happens exactly once, also when the
 * host crashes and runs the call again.
 */
import { notAName, toBytes, toText } from "./bytes";
import * as host from "./host";
import { transaction } from "./transaction";

/** Most objects are smaller: one request reads them. */
const FIRST_READ_BYTES: i32 = 4096;
const LIST_PAGE_BYTES: i32 = 16384;

/** An object at the moment of the call, for `objects.compareAndSet`. */
export class Version {
  constructor(
    /** null when there was no such object. */
    readonly bytes: Uint8Array | null,
    readonly number: i64,
  ) {}

  /** `bytes` as text. */
  get text(): string | null {
    const bytes = this.bytes;
    return bytes === null ? null : toText(bytes);
  }
}

export namespace objects {
  /** The object's text, or null when there is no such object. */
  export function get(key: string): string | null {
    const bytes = getBytes(key);
    return bytes === null ? null : toText(bytes);
  }

  /** The object's bytes, or null when there is no such object. */
  export function getBytes(key: string): Uint8Array | null {
    const name = toBytes(key);
    let room = new Uint8Array(FIRST_READ_BYTES);
    const size = checked(host.objectRead(name.dataStart, name.byteLength, 0, room.dataStart, room.byteLength, 0), "objects.get", key);
    if (size < 0) return null;
    if (size > room.byteLength) {
      const whole = new Uint8Array(<i32>size);
      memory.copy(whole.dataStart, room.dataStart, room.byteLength);
      const rest = whole.subarray(room.byteLength);
      host.objectRead(name.dataStart, name.byteLength, room.byteLength, rest.dataStart, rest.byteLength, 0);
      return whole;
    }
    return room.subarray(0, <i32>size);
  }

  /**
   * Reads a piece: the bytes from `offset` on, as many as fit into `buffer`.
   *
   * @returns how many bytes were read, 0 at the end of the object, -1 when there is no such object
   */
  export function read(key: string, offset: i64, buffer: Uint8Array): i32 {
    if (offset < 0) throw new Error("objects.read: offset is " + offset.toString() + ", must be 0 or more");
    const name = toBytes(key);
    const size = checked(
      host.objectRead(name.dataStart, name.byteLength, offset, buffer.dataStart, buffer.byteLength, 0),
      "objects.read",
      key,
    );
    if (size < 0) return -1;
    return offset < size ? <i32>min<i64>(size - offset, buffer.byteLength) : 0;
  }

  /** The object with its version. */
  export function getVersion(key: string): Version {
    const name = toBytes(key);
    const version = memory.data(8, 8);
    let room = new Uint8Array(FIRST_READ_BYTES);
    while (true) {
      const sizeBytes = checked(
        host.objectRead(name.dataStart, name.byteLength, 0, room.dataStart, room.byteLength, version),
        "objects.getVersion",
        key,
      );
      if (sizeBytes < 0) return new Version(null, load<i64>(version));
      if (sizeBytes <= room.byteLength) return new Version(room.subarray(0, <i32>sizeBytes), load<i64>(version));
      room = new Uint8Array(<i32>sizeBytes);
    }
  }

  /**
   * Writes the object only if it is still at `version`. To change an object whatever it holds, `update` is simpler.
   *
   * @returns whether it was written; if not, another call has changed or removed it since
   */
  export function compareAndSet(key: string, version: Version, text: string): bool {
    const name = toBytes(key);
    const bytes = toBytes(text);
    const outcome = host.objectUpdate(name.dataStart, name.byteLength, bytes.dataStart, bytes.byteLength, version.number);
    return outcome != host.CONFLICT && checked(outcome, "objects.compareAndSet", key) > 0;
  }

  /** Size of the object in bytes, or -1 when there is no such object. */
  export function size(key: string): i64 {
    const name = toBytes(key);
    return checked(host.objectRead(name.dataStart, name.byteLength, 0, 0, 0, 0), "objects.size", key);
  }

  /** Whether there is such an object. */
  export function exists(key: string): bool {
    return size(key) >= 0;
  }

  /** Creates or replaces an object. */
  export function put(key: string, text: string): void {
    putBytes(key, toBytes(text));
  }

  /** Creates or replaces an object. */
  export function putBytes(key: string, bytes: Uint8Array): void {
    const name = toBytes(key);
    checked(host.objectWrite(name.dataStart, name.byteLength, bytes.dataStart, bytes.byteLength), "objects.put", key);
  }

  /** Removes an object. Nothing happens when there is none. */
  export function remove(key: string): void {
    const name = toBytes(key);
    checked(host.objectDelete(name.dataStart, name.byteLength), "objects.remove", key);
  }

  /** The keys that start with `prefix`, in order of their bytes. */
  export function list(prefix: string): string[] {
    const start = toBytes(prefix);
    const page = new Uint8Array(LIST_PAGE_BYTES);
    const keys: string[] = [];
    let after = new Uint8Array(0);
    while (true) {
      const sizeBytes = <i32>checked(
        host.objectList(
          start.dataStart,
          start.byteLength,
          after.dataStart,
          after.byteLength,
          page.dataStart,
          page.byteLength,
        ),
        "objects.list",
        prefix,
      );
      if (sizeBytes == 0) return keys;
      const end = page.dataStart + sizeBytes;
      for (let entry = page.dataStart; entry < end; ) {
        const keyBytes = <i32>load<u16>(entry);
        keys.push(String.UTF8.decodeUnsafe(entry + 2, keyBytes));
        entry += 2 + keyBytes + 8;
      }
      after = toBytes(keys[keys.length - 1]);
    }
  }

  /**
   * Reads an object, computes its new text with `change`, and writes it, with nobody in between: when another call changes the
   * object first, this reads and computes again. `change` gets null when there is no such object. It is a function of its
   * argument and of globals; AssemblyScript has no closures.
   *
   * ```ts
   * objects.update("visits", (old) => old === null ? "1" : (I64.parseInt(old) + 1).toString());
   * ```
   *
   * @returns the text that was written
   */
  export function update(key: string, change: (old: string | null) => string): string {
    const name = toBytes(key);
    const version = memory.data(8, 8);
    let room = new Uint8Array(FIRST_READ_BYTES);
    while (true) {
      const sizeBytes = checked(
        host.objectReadForUpdate(name.dataStart, name.byteLength, room.dataStart, room.byteLength, version),
        "objects.update",
        key,
      );
      if (sizeBytes > room.byteLength) {
        room = new Uint8Array(<i32>sizeBytes);
        continue;
      }
      const text = change(sizeBytes < 0 ? null : toText(room.subarray(0, <i32>sizeBytes)));
      const bytes = toBytes(text);
      const outcome = host.objectUpdate(name.dataStart, name.byteLength, bytes.dataStart, bytes.byteLength, load<i64>(version));
      if (outcome != host.CONFLICT) {
        checked(outcome, "objects.update", key);
        return text;
      }
    }
  }
}

/** Passes sizes and "not found" on; a key or value that may not be is a mistake of the program and ends the call. */
function checked(code: i64, what: string, key: string): i64 {
  if (code == host.INVALID) throw new Error(what + ": " + notAName(key, "key"));
  if (code == host.TOO_LARGE) throw new Error(what + ": '" + key + "': " + transaction.conflict());
  return code;
}
