/** Objects in one piece, in the host's memory: for imports that keep copies of them. */
import { type Guest, GuestFault } from "../sandbox/guest.ts";
import { codeOf, READ_SLICE_BYTES, stage } from "./objects.ts";
import {
  GuestError,
  Operation,
  type Operation as OperationCode,
  objectReadArgs,
  objectReadReply,
  objectUpdateArgs,
  objectWriteArgs,
  STAGE_CHUNK_BYTES,
} from "./operations.ts";
import { post, request } from "./requests.ts";

export interface WholeObject {
  readonly bytes: Uint8Array;
  /** 0: it does not exist, and has no bytes. */
  readonly version: number;
}

const NOTHING = new Uint8Array(0);

/**
 * The object at the call's cursor; null when its version is `knownVersion`.
 * @param checkSize  told its size before its bytes are kept
 */
export async function readObject(
  guest: Guest,
  key: string,
  knownVersion: number,
  checkSize: (sizeBytes: number) => void,
): Promise<WholeObject | null> {
  const head = await readSlice(guest, Operation.objectRead, key, 0, knownVersion < 0 ? READ_SLICE_BYTES : 0);
  if (head.version === knownVersion) {
    return null;
  }
  checkSize(head.sizeBytes);
  return { bytes: await readRest(guest, key, head), version: head.version };
}

/** Of the object at the call's cursor; 0 for none. */
export async function objectBytes(guest: Guest, key: string): Promise<number> {
  return (await readSlice(guest, Operation.objectRead, key, 0, 0)).sizeBytes;
}

/** Replaces the object. @throws GuestFault when it is too large */
export async function writeBytes(guest: Guest, key: string, bytes: Uint8Array): Promise<void> {
  const staged = await stageLong(guest, key, bytes);
  await post(guest, Operation.objectWrite, objectWriteArgs.encode({ key, staged, value: staged ? NOTHING : bytes }), 0);
}

/**
 * Makes the object what `change` makes of it; asked again when somebody else was faster.
 * @returns the new bytes
 * @throws GuestFault when it is too large
 */
export async function updateObject(guest: Guest, key: string, change: (bytes: Uint8Array) => Uint8Array): Promise<Uint8Array> {
  for (;;) {
    const head = await readSlice(guest, Operation.objectReadForUpdate, key, 0, READ_SLICE_BYTES);
    const changed = change(await readRest(guest, key, head));
    const staged = await stageLong(guest, key, changed);
    const args = objectUpdateArgs.encode({ key, version: head.version, staged, value: staged ? NOTHING : changed });
    const code = codeOf(guest, await request(guest, Operation.objectUpdate, args));
    if (code !== GuestError.conflict) {
      checkCode(guest, code, key, changed);
      return changed;
    }
  }
}

async function readSlice(guest: Guest, operation: OperationCode, key: string, offset: number, maxBytes: number) {
  const { code, bytes } = await request(guest, operation, objectReadArgs.encode({ key, offset, maxBytes }));
  if (code === GuestError.tooLarge) {
    throw new GuestFault(`the object ${key} cannot be read: ${Buffer.from(bytes)}`);
  }
  if (code < 0) {
    return { sizeBytes: 0, version: versionOf(bytes), slice: NOTHING };
  }
  return objectReadReply.decode(bytes);
}

/** Of an object that does not exist: that of its delete, for updates. */
function versionOf(bytes: Uint8Array): number {
  return bytes.byteLength === 0 ? 0 : objectReadReply.decode(bytes).version;
}

/** All slices are of one version: nothing moves the call's cursor between them. */
async function readRest(guest: Guest, key: string, head: { sizeBytes: number; slice: Uint8Array }): Promise<Uint8Array> {
  const whole = new Uint8Array(head.sizeBytes);
  whole.set(head.slice);
  for (let copiedBytes = head.slice.byteLength; copiedBytes < head.sizeBytes; ) {
    const { slice } = await readSlice(guest, Operation.objectRead, key, copiedBytes, READ_SLICE_BYTES);
    if (slice.byteLength === 0) {
      break;
    }
    whole.set(slice, copiedBytes);
    copiedBytes += slice.byteLength;
  }
  return whole;
}

/** @returns whether the value was sent ahead */
async function stageLong(guest: Guest, key: string, bytes: Uint8Array): Promise<boolean> {
  if (bytes.byteLength <= STAGE_CHUNK_BYTES) {
    return false;
  }
  const code = await stage(guest, bytes.byteLength, (offset, length) => bytes.subarray(offset, offset + length));
  checkCode(guest, code, key, bytes);
  return true;
}

function checkCode({ call }: Guest, code: number, key: string, bytes: Uint8Array): void {
  if (code < 0) {
    throw new GuestFault(`the object ${key} cannot have ${bytes.byteLength} bytes: ${Buffer.from(call.refusal)}`);
  }
}
