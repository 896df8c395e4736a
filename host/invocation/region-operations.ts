/**
 * A guest's memory regions, as far as it does not reach them by itself: open, grow, lock, wait, and the steps by which values go into
 * the durable world and come out of it.
 *
 * Owns: what those steps read and write. Does not own: regions and their locks (state/regions), objects and steps (state/protocols).
 *
 * G1. All but the steps is volatile: a replay does it again, whatever has become of the region meanwhile. So it does what a pull writes
 *     into the region; the step only fixes which version that is.
 * G2. A push is the step of an object's write or update: in a replay the log has its value, whatever the region holds.
 * G3. Bytes pass this thread in slices (H27). Who wants all of them to be of one moment holds the region's lock.
 */
import { ByteReader, ByteWriter } from "../../state/bytes.ts";
import { RecordKind } from "../../state/logbook/index.ts";
import { decodeStep, fingerprint, NO_FINGERPRINT } from "../../state/logbook/step-record.ts";
import { BLOB_CHUNK_BYTES, type BlobStore, INLINE_MAX_BYTES, receive } from "../../state/objects/index.ts";
import type { StepStream } from "../../state/protocols/index.ts";
import type { MemoryRegion, RegionSession } from "../../state/regions/index.ts";
import type { Transactions } from "../../state/txn/index.ts";
import {
  GuestError,
  Operation,
  PushMode,
  type RegionRangeArgs,
  regionArgs,
  regionOpenArgs,
  regionPullReply,
  regionRangeArgs,
  regionWaitArgs,
} from "../abi/operations.ts";
import type { OperationReply } from "../sandbox/sandbox.ts";
import type { AttemptWait } from "./attempt-wait.ts";
import { payloadBlobs, readPayload, writePayload } from "./instance-record.ts";
import { plainReply, refuseOverflown } from "./object-operations.ts";
import { after, type Time } from "./pause.ts";
import { fromPayload, toPayload } from "./payloads.ts";
import type { StateMeter } from "./state-meter.ts";

const NOTHING = new Uint8Array(0);
const Waited = { notified: 0, notEqual: 1, timedOut: 2 } as const;

export interface RegionOperationsOptions {
  readonly session: RegionSession;
  readonly steps: StepStream;
  readonly transactions: Transactions;
  readonly blobs: BlobStore;
  readonly objectMaxBytes: number;
  readonly meter: StateMeter;
  readonly wait: AttemptWait;
  readonly time: Time;
  /** Told what passes between regions and objects. */
  readonly moved: (sizeBytes: number) => void;
}

export class RegionOperations {
  readonly #session: RegionSession;
  readonly #steps: StepStream;
  readonly #transactions: Transactions;
  readonly #blobs: BlobStore;
  readonly #objectMaxBytes: number;
  readonly #meter: StateMeter;
  readonly #wait: AttemptWait;
  readonly #time: Time;
  readonly #moved: (sizeBytes: number) => void;

  constructor(options: RegionOperationsOptions) {
    this.#session = options.session;
    this.#steps = options.steps;
    this.#transactions = options.transactions;
    this.#blobs = options.blobs;
    this.#objectMaxBytes = options.objectMaxBytes;
    this.#meter = options.meter;
    this.#wait = options.wait;
    this.#time = options.time;
    this.#moved = options.moved;
  }

  /** @returns null when `operation` is not one of regions */
  perform(operation: number, args: Uint8Array): Promise<OperationReply> | null {
    switch (operation) {
      case Operation.regionOpen:
        return this.#open(args);
      case Operation.regionGrow:
        return this.#grow(args);
      case Operation.regionLock:
        return this.#lock(args);
      case Operation.regionUnlock:
        return this.#unlock(args);
      case Operation.regionWait:
        return this.#waitFor(args);
      case Operation.regionNotify:
        return this.#notify(args);
      case Operation.regionPush:
        return this.#push(regionRangeArgs.decode(args)).catch(refuseOverflown);
      case Operation.regionPull:
        return this.#pull(regionRangeArgs.decode(args)).catch(refuseOverflown);
      case Operation.regionSnapshot:
        return this.#snapshot(regionRangeArgs.decode(args));
      default:
        return null;
    }
  }

  // volatile

  async #open(args: Uint8Array): Promise<OperationReply> {
    const { name, sizeBytes, maxBytes } = regionOpenArgs.decode(args);
    const opened = await this.#session.open(name, sizeBytes, maxBytes);
    switch (opened.kind) {
      case "opened":
        return plainReply(opened.region.handle);
      case "absent":
        return plainReply(GuestError.notFound);
      case "tooLarge":
        return plainReply(GuestError.tooLarge);
    }
  }

  async #grow(args: Uint8Array): Promise<OperationReply> {
    const { handle, first: sizeBytes } = regionArgs.decode(args);
    const region = this.#session.region(handle);
    if (region === null) {
      return plainReply(GuestError.invalid);
    }
    return plainReply((await this.#session.grow(region, sizeBytes)) ? 0 : GuestError.tooLarge);
  }

  async #lock(args: Uint8Array): Promise<OperationReply> {
    const { handle, first: mode } = regionArgs.decode(args);
    const region = this.#session.region(handle);
    const taken = region === null || mode > 1 ? null : this.#session.lock(region, mode === 1 ? "write" : "read");
    if (taken === null) {
      return plainReply(GuestError.invalid);
    }
    return plainReply((await this.#wait.for(taken)) === "abandoned" ? 1 : 0);
  }

  async #unlock(args: Uint8Array): Promise<OperationReply> {
    const region = this.#session.region(regionArgs.decode(args).handle);
    if (region === null) {
      return plainReply(GuestError.invalid);
    }
    return plainReply(this.#session.unlock(region) ? 0 : GuestError.notHeld);
  }

  async #waitFor(args: Uint8Array): Promise<OperationReply> {
    const { handle, offset, expected, timeoutMs } = regionWaitArgs.decode(args);
    const region = this.#word(handle, offset);
    if (region === null) {
      return plainReply(GuestError.invalid);
    }
    const waiter = await this.#session.wait(region, offset, expected);
    if (waiter === null) {
      return plainReply(Waited.notEqual);
    }
    const { promise: timedOut, resolve } = Promise.withResolvers<"timedOut">();
    const cancel = timeoutMs < 0 ? () => {} : after(this.#time, timeoutMs, () => resolve("timedOut"));
    try {
      const how = await this.#wait.for(Promise.race([waiter.notified, timedOut]));
      return plainReply(how === "timedOut" ? Waited.timedOut : Waited.notified);
    } finally {
      cancel();
      waiter.leave();
    }
  }

  async #notify(args: Uint8Array): Promise<OperationReply> {
    const { handle, first: offset, second: count } = regionArgs.decode(args);
    const region = this.#word(handle, offset);
    return plainReply(region === null ? GuestError.invalid : this.#session.notify(region, offset, count));
  }

  /** The region, if there is an i32 at `offset`. */
  #word(handle: number, offset: number): MemoryRegion | null {
    const region = this.#session.region(handle);
    return region !== null && offset % 4 === 0 && offset + 4 <= region.sizeBytes ? region : null;
  }

  // steps

  async #push(range: RegionRangeArgs): Promise<OperationReply> {
    const region = this.#range(range);
    if (region === null) {
      return plainReply(GuestError.invalid);
    }
    if (range.length > this.#objectMaxBytes) {
      return plainReply(GuestError.tooLarge);
    }
    this.#moved(range.length);
    if (range.mode !== PushMode.whole) {
      return this.#pushPart(region, range);
    }
    this.#meter.add(range.length);
    const value = await receive(this.#blobs, this.#bytesOf(region, range), INLINE_MAX_BYTES);
    await this.#transactions.write(range.key, value, NO_VALUE);
    return plainReply(0);
  }

  /** An update of the object as it is now: tried again as often as others are faster, each time with what they have left. */
  async #pushPart(region: MemoryRegion, range: RegionRangeArgs): Promise<OperationReply> {
    const { key } = range;
    for (;;) {
      const before = await this.#transactions.readForUpdate(key, 0);
      const sizeBytes = before.kind === "absent" ? 0 : before.sizeBytes;
      const at = range.mode === PushMode.end ? sizeBytes : range.at;
      if (at + range.length > this.#objectMaxBytes) {
        return plainReply(GuestError.tooLarge);
      }
      this.#meter.add(Math.max(sizeBytes, at + range.length));
      const value = await receive(this.#blobs, this.#patched(region, range, at, sizeBytes), INLINE_MAX_BYTES);
      const { kind, timeMs } = await this.#transactions.update(key, before.version, value, NO_VALUE);
      if (kind === "applied") {
        return plainReply(0, timeMs);
      }
      if (value.kind === "blob") {
        await this.#blobs.discard([value.ref.name]);
      }
    }
  }

  async #pull(range: RegionRangeArgs): Promise<OperationReply> {
    const region = this.#range(range);
    if (region === null) {
      return plainReply(GuestError.invalid);
    }
    const { key, at, length } = range;
    if (this.#transactions.open === null) {
      await this.#steps.step({ kind: RecordKind.sync, fingerprint: NO_FINGERPRINT, payload: NOTHING });
    }
    for (let done = 0; ; ) {
      const read = await this.#transactions.read(key, at + done, Math.min(BLOB_CHUNK_BYTES, length - done));
      if (read.kind === "absent") {
        return plainReply(GuestError.notFound, read.timeMs);
      }
      await this.#session.write(region, range.offset + done, read.bytes);
      done += read.bytes.byteLength;
      if (read.bytes.byteLength === 0 || done === length || at + done >= read.sizeBytes) {
        this.#moved(done);
        return { code: 0, timeMs: read.timeMs, bytes: regionPullReply.encode(read.sizeBytes) };
      }
    }
  }

  async #snapshot(range: RegionRangeArgs): Promise<OperationReply> {
    const region = this.#range(range);
    if (region === null) {
      return plainReply(GuestError.invalid);
    }
    const { offset, length } = range;
    this.#meter.add(length);
    const bytes = (await this.#session.read(region, offset, length)) ?? NOTHING;
    const payload = await toPayload(this.#blobs, bytes);
    const { record, theirs } = await this.#steps.step({
      kind: RecordKind.snapshot,
      fingerprint: fingerprint(`${offset} ${length} ${region.name}`, 0),
      payload: writePayload(new ByteWriter(64 + INLINE_MAX_BYTES), payload).take(),
      blobs: payloadBlobs(payload),
    });
    const logged =
      theirs === null ? bytes : await fromPayload(this.#blobs, readPayload(new ByteReader(decodeStep(theirs.data).payload)));
    return { code: 0, timeMs: record.timeMs, bytes: logged };
  }

  /** The region, if the range is inside. */
  #range({ handle, offset, length }: RegionRangeArgs): MemoryRegion | null {
    const region = this.#session.region(handle);
    return region !== null && offset + length <= region.sizeBytes ? region : null;
  }

  /** Copies of the range's bytes, as they are when they are asked for. */
  async *#bytesOf(region: MemoryRegion, { offset, length }: RegionRangeArgs): AsyncGenerator<Uint8Array> {
    for (let done = 0; done < length; done += BLOB_CHUNK_BYTES) {
      const sizeBytes = Math.min(BLOB_CHUNK_BYTES, length - done);
      yield (await this.#session.read(region, offset + done, sizeBytes)) ?? NOTHING;
    }
  }

  /** The object of `sizeBytes` bytes with the range's from `at` on. */
  async *#patched(region: MemoryRegion, range: RegionRangeArgs, at: number, sizeBytes: number): AsyncGenerator<Uint8Array> {
    yield* this.#bytesOfObject(range.key, 0, Math.min(at, sizeBytes));
    for (let gap = at - sizeBytes; gap > 0; gap -= BLOB_CHUNK_BYTES) {
      yield new Uint8Array(Math.min(BLOB_CHUNK_BYTES, gap));
    }
    yield* this.#bytesOf(region, range);
    yield* this.#bytesOfObject(range.key, at + range.length, sizeBytes);
  }

  async *#bytesOfObject(key: string, from: number, to: number): AsyncGenerator<Uint8Array> {
    for (let at = from; at < to; ) {
      const read = await this.#transactions.read(key, at, Math.min(BLOB_CHUNK_BYTES, to - at));
      if (read.kind === "absent" || read.bytes.byteLength === 0) {
        // It has changed: the update will find that, too.
        return;
      }
      at += read.bytes.byteLength;
      yield read.bytes;
    }
  }
}

/** Of what regions hold nothing goes into a fingerprint (F23). */
const NO_VALUE = 0;
