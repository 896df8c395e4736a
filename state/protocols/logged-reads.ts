/**
 * Reads and lists that are steps: what was found is in the log, so every replay and every peer finds the same. They are of now, or of
 * the moment of a transaction that is open.
 *
 * The payload of a `read` record: f64 version, f64 time in ms, u8 whether it exists, then the value as in a write. Of a `listed` record:
 * the objects (listed.ts).
 */
import { ByteReader, ByteWriter } from "../bytes.ts";
import { hasCode } from "../errors.ts";
import { MAX_SEQNUM, type SeqNum } from "../ids.ts";
import { RecordKind } from "../logbook/kinds.ts";
import type { ListedObject } from "../logbook/logbook.ts";
import { mismatch, type Place } from "../logbook/placement.ts";
import { decodeStep, fingerprint } from "../logbook/step-record.ts";
import type { BlobStore } from "../objects/blobs.ts";
import { decodeObjectValue, encodeObjectValue, objectValueOf } from "../objects/object-record.ts";
import { readListed, writeListed } from "./listed.ts";
import type { ObjectRead } from "./protocol.ts";
import { type Found, NOTHING_FOUND, sliceOf } from "./slice.ts";
import type { StepStream } from "./step-stream.ts";

/** What a list puts into one record: well below a frame. */
const LISTED_MAX_BYTES = 256 * 1024;
/** One object, with the longest key there is. */
const LISTED_ONE_MAX_BYTES = 4 * 1024;
/** So often a value may be replaced, and its bytes collected, between the look at it and the step. */
const TRIES_MAX = 8;

/**
 * The newest write of an object, which must not be in versions if its place is its cell.
 * @throws TRIMMED  the transaction of `at` is over
 */
export async function latest(steps: StepStream, key: string, place: Place, at: SeqNum): Promise<Found> {
  const { record, home } = await steps.book.readCell(key, steps.readsFrom, at);
  if (home === "versions" && place === "cell") {
    throw mismatch(key, "versions");
  }
  if (record === null) {
    return NOTHING_FOUND;
  }
  steps.consulted(record.seqnum);
  return { version: record.seqnum, timeMs: record.timeMs, value: decodeObjectValue(record) };
}

/**
 * A read that goes on where the one before has stopped is of the same value: large objects are read slice by slice. Not after
 * anything else that the instance did, as its own writes are seen at once.
 * @param find  asked unless the read goes on
 */
export async function readSlice(
  steps: StepStream,
  blobs: BlobStore,
  key: string,
  offset: number,
  maxBytes: number,
  find: () => Promise<Found>,
): Promise<ObjectRead> {
  const last = steps.reading;
  const goesOn = last !== null && last.key === key && last.end === offset;
  steps.reading = null;
  const found = goesOn ? last.found : await find();
  const read = await sliceOf(found, blobs, offset, maxBytes);
  if (read.kind === "found" && read.bytes.byteLength > 0) {
    steps.reading = { key, end: offset + read.bytes.byteLength, found };
  }
  return read;
}

export class LoggedReads {
  readonly #steps: StepStream;
  readonly #blobs: BlobStore;

  constructor(steps: StepStream, blobs: BlobStore) {
    this.#steps = steps;
    this.#blobs = blobs;
  }

  read(key: string, offset: number, maxBytes: number, place: Place, at = MAX_SEQNUM): Promise<ObjectRead> {
    return readSlice(this.#steps, this.#blobs, key, offset, maxBytes, () => this.#step(key, place, at));
  }

  async #step(key: string, place: Place, at: SeqNum): Promise<Found> {
    for (let tries = 1; ; tries += 1) {
      const found = this.#steps.replaying ? NOTHING_FOUND : await latest(this.#steps, key, place, at);
      const { value } = found;
      try {
        const { theirs } = await this.#steps.step({
          kind: RecordKind.read,
          fingerprint: fingerprint(key, 0),
          payload: encodeFound(found),
          ...(value?.kind === "blob" && { blobs: [value.ref] }),
        });
        return theirs === null ? found : decodeFound(decodeStep(theirs.data).payload);
      } catch (error) {
        if (!hasCode(error, "BLOB_MISSING") || tries === TRIES_MAX) {
          throw error;
        }
      }
    }
  }
}

/** The objects there are when the step is logged, or were at `at`, wherever they are; fewer than `limit` when they are too many for one record. */
export async function loggedList(
  steps: StepStream,
  prefix: string,
  after: string,
  limit: number,
  at = MAX_SEQNUM,
): Promise<readonly ListedObject[]> {
  const found = steps.replaying ? [] : await listAt(steps, prefix, after, limit, at);
  const { theirs } = await steps.step({
    kind: RecordKind.listed,
    fingerprint: fingerprint(`${limit} ${prefix}`, Buffer.from(after)),
    payload: encodeListed(found),
  });
  return theirs === null ? found : decodeListed(decodeStep(theirs.data).payload);
}

async function listAt(
  steps: StepStream,
  prefix: string,
  after: string,
  limit: number,
  at: SeqNum,
): Promise<readonly ListedObject[]> {
  const { objects, tail } = await steps.book.listObjects(prefix, after, MAX_SEQNUM, limit, at);
  steps.consulted(tail);
  let sizeBytes = 0;
  const fitting = objects.findIndex((object) => {
    sizeBytes += listedBytes(object);
    return sizeBytes > LISTED_MAX_BYTES;
  });
  return fitting < 0 ? objects : objects.slice(0, fitting);
}

/** Up to which key a logged list may tell of what there is: null when it was not cut short. */
export function lastOfPage(objects: readonly ListedObject[]): string | null {
  const sizeBytes = objects.reduce((sum, object) => sum + listedBytes(object), 0);
  return sizeBytes + LISTED_ONE_MAX_BYTES > LISTED_MAX_BYTES ? (objects.at(-1)?.key ?? null) : null;
}

function listedBytes({ key }: ListedObject): number {
  return key.length * 3 + 24;
}

function encodeFound({ version, timeMs, value }: Found): Uint8Array {
  const w = new ByteWriter(64).f64(version).f64(timeMs);
  return (value === null ? w.u8(0) : w.u8(1).raw(encodeObjectValue(value))).take();
}

function decodeFound(payload: Uint8Array): Found {
  const r = new ByteReader(payload);
  const version = r.f64() as SeqNum;
  const timeMs = r.f64();
  const exists = r.u8() === 1;
  return { version, timeMs, value: exists ? objectValueOf(r.raw(r.remaining)) : null };
}

function encodeListed(objects: readonly ListedObject[]): Uint8Array {
  const w = new ByteWriter(256);
  writeListed(w, objects);
  return w.take();
}

function decodeListed(payload: Uint8Array): readonly ListedObject[] {
  return readListed(new ByteReader(payload), "cell");
}
