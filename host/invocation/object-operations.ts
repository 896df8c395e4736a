/** Carries out a guest's object operations on the protocol of its attempt. */
import { crc32 } from "node:zlib";
import { NeapError } from "../../state/errors.ts";
import { quote, seqNum } from "../../state/ids.ts";
import type { BlobStore, BlobWriter } from "../../state/objects/blobs.ts";
import { INLINE_MAX_BYTES, type ObjectValue } from "../../state/objects/object-record.ts";
import type { ObjectProtocol, ObjectRead } from "../../state/protocols/index.ts";
import { TransactionOverflown } from "../../state/txn/index.ts";
import {
  GuestError,
  Operation,
  objectDeleteArgs,
  objectListArgs,
  objectListReply,
  objectReadArgs,
  objectReadReply,
  objectUpdateArgs,
  objectWriteArgs,
} from "../abi/operations.ts";
import type { OperationReply } from "../sandbox/sandbox.ts";
import { storeBlob } from "./payloads.ts";
import type { StateMeter } from "./state-meter.ts";

const EMPTY = new Uint8Array(0);
/** What one list reply holds at most. */
const LIST_MAX_ENTRIES = 1000;

export const plainReply = (code: number, timeMs = 0): OperationReply => ({ code, timeMs, bytes: EMPTY });

/** @param why  with the limit */
const tooLarge = (why: string): OperationReply => ({ code: GuestError.tooLarge, timeMs: 0, bytes: Buffer.from(why) });

interface StepValue {
  readonly object: ObjectValue;
  /** CRC-32 of the value. */
  readonly crc: number;
}

/**
 * Owns: values that are being staged chunk by chunk. Does not own: the order of operations (Attempt calls one at a time).
 */
export class ObjectOperations {
  readonly #protocol: ObjectProtocol;
  readonly #blobs: BlobStore;
  readonly #objectMaxBytes: number;
  readonly #meter: StateMeter;
  readonly #onMoved: (sizeBytes: number) => void;
  #staged: { readonly writer: BlobWriter; crc: number; sizeBytes: number } | null = null;

  /** @param onMoved  told the size of every value that crosses between the guest's pool and the owner of the data */
  constructor(
    protocol: ObjectProtocol,
    blobs: BlobStore,
    objectMaxBytes: number,
    meter: StateMeter,
    onMoved: (sizeBytes: number) => void,
  ) {
    this.#protocol = protocol;
    this.#meter = meter;
    this.#blobs = blobs;
    this.#objectMaxBytes = objectMaxBytes;
    this.#onMoved = onMoved;
  }

  /** @returns null when `operation` is not one of objects */
  perform(operation: number, args: Uint8Array): Promise<OperationReply> | null {
    switch (operation) {
      case Operation.objectRead:
        return this.#read(args).catch(refuseOverflown);
      case Operation.objectReadForUpdate:
        return this.#readForUpdate(args).catch(refuseOverflown);
      case Operation.objectWrite:
        return this.#write(args);
      case Operation.objectUpdate:
        return this.#update(args).catch(refuseOverflown);
      case Operation.objectDelete:
        return this.#delete(args);
      case Operation.objectList:
        return this.#list(args).catch(refuseOverflown);
      case Operation.stageChunk:
        return this.#stage(args);
      default:
        return null;
    }
  }

  /** Drops what was staged and never named. */
  async close(): Promise<void> {
    const staged = this.#staged;
    this.#staged = null;
    this.#protocol.close();
    await staged?.writer.abort();
  }

  async #read(args: Uint8Array): Promise<OperationReply> {
    const { key, offset, maxBytes } = objectReadArgs.decode(args);
    return this.#readReply(await this.#protocol.read(key, offset, maxBytes));
  }

  async #readForUpdate(args: Uint8Array): Promise<OperationReply> {
    const { key, maxBytes } = objectReadArgs.decode(args);
    return this.#readReply(await this.#protocol.readForUpdate(key, maxBytes));
  }

  #readReply(read: ObjectRead): OperationReply {
    const { version, timeMs } = read;
    if (read.kind === "absent") {
      return { code: GuestError.notFound, timeMs, bytes: objectReadReply.encode(0, version, EMPTY) };
    }
    this.#onMoved(read.bytes.byteLength);
    return { code: 0, timeMs, bytes: objectReadReply.encode(read.sizeBytes, version, read.bytes) };
  }

  async #write(args: Uint8Array): Promise<OperationReply> {
    const { key, staged, value } = objectWriteArgs.decode(args);
    this.#meter.add(value.byteLength);
    if (value.byteLength > this.#objectMaxBytes) {
      // The guest has gone on: it cannot be told.
      throw new NeapError("OBJECT_TOO_LARGE", `object ${quote(key)}: ${this.#excess(`${value.byteLength}`)}`);
    }
    const { object, crc } = this.#inline(staged, value) ?? (await this.#value(staged, value));
    await this.#protocol.write(key, object, crc);
    return plainReply(0);
  }

  async #update(args: Uint8Array): Promise<OperationReply> {
    const { key, version, staged, value } = objectUpdateArgs.decode(args);
    this.#meter.add(value.byteLength);
    if (value.byteLength > this.#objectMaxBytes) {
      return tooLarge(this.#excess(`${value.byteLength}`));
    }
    const { object, crc } = this.#inline(staged, value) ?? (await this.#value(staged, value));
    const { kind, timeMs } = await this.#protocol.update(key, seqNum(version), object, crc);
    if (kind === "conflict" && object.kind === "blob") {
      // A function may lose so again and again.
      await this.#blobs.discard([object.ref.name]);
    }
    return plainReply(kind === "applied" ? 1 : GuestError.conflict, timeMs);
  }

  async #delete(args: Uint8Array): Promise<OperationReply> {
    await this.#protocol.delete(objectDeleteArgs.decode(args).key);
    return plainReply(0);
  }

  async #list(args: Uint8Array): Promise<OperationReply> {
    const { prefix, after, limit } = objectListArgs.decode(args);
    const entries = await this.#protocol.list(prefix, after, Math.min(limit, LIST_MAX_ENTRIES));
    return { code: entries.length, timeMs: 0, bytes: objectListReply.encode(entries) };
  }

  async #stage(chunk: Uint8Array): Promise<OperationReply> {
    this.#meter.add(chunk.byteLength);
    this.#staged ??= { writer: await this.#blobs.create(), crc: 0, sizeBytes: 0 };
    const staged = this.#staged;
    staged.sizeBytes += chunk.byteLength;
    if (staged.sizeBytes > this.#objectMaxBytes) {
      this.#staged = null;
      await staged.writer.abort();
      return tooLarge(this.#excess(`at least ${staged.sizeBytes}`));
    }
    staged.crc = crc32(chunk, staged.crc);
    await staged.writer.write(chunk);
    this.#onMoved(chunk.byteLength);
    return plainReply(0);
  }

  #excess(sizeBytes: string): string {
    return `a value of ${sizeBytes} bytes, ${this.#objectMaxBytes} may be (objectMaxBytes)`;
  }

  /** A value that travels in its record; null for a longer one. */
  #inline(isStaged: boolean, bytes: Uint8Array): StepValue | null {
    if ((isStaged && this.#staged !== null) || bytes.byteLength > INLINE_MAX_BYTES) {
      return null;
    }
    this.#onMoved(bytes.byteLength);
    return { object: { kind: "inline", bytes }, crc: crc32(bytes) };
  }

  async #value(isStaged: boolean, bytes: Uint8Array): Promise<StepValue> {
    const staged = this.#staged;
    if (isStaged && staged !== null) {
      this.#staged = null;
      return { object: { kind: "blob", ref: await staged.writer.commit() }, crc: staged.crc };
    }
    this.#onMoved(bytes.byteLength);
    return { object: { kind: "blob", ref: await storeBlob(this.#blobs, bytes) }, crc: crc32(bytes) };
  }
}

/** The guest learns that its transaction can only be ended, and why. */
export function refuseOverflown(error: unknown): OperationReply {
  if (error instanceof TransactionOverflown) {
    return tooLarge(error.message);
  }
  throw error;
}
