/**
 * The log-free reads of one instance: those that this attempt made, and the answers that PIN records hold of earlier ones (F25).
 *
 * A replay repeats its reads at cursors that may be months old. As long as the instance pins the watermark the versions are there;
 * once it waits for long it does not, and PIN holds the answers themselves: versions, absences and lists alike.
 *
 * L1. What a PIN answers is never looked up again, so that it may have been collected.
 * L2. `made` is complete, or says that it is not: then no PIN can be made of it.
 */
import { ByteReader, ByteWriter } from "../bytes.ts";
import { type SeqNum, seqNum } from "../ids.ts";
import type { ListedObject } from "../logbook/logbook.ts";
import { type GuestLook, type GuestSight, readLook, readSight, writeLook, writeSight } from "./guest-look.ts";
import { readListed, writeListed } from "./listed.ts";
import { type Found, readFound, writeFound } from "./slice.ts";

/** What was asked, at a cursor. Together they name the answer, which is the same in every replay. */
export type ReadQuery =
  | { readonly kind: "version"; readonly key: string }
  | { readonly kind: "list"; readonly prefix: string; readonly after: string; readonly limit: number }
  /** A function that was not there; one that was stays for ever. */
  | { readonly kind: "noFunction"; readonly name: string }
  | { readonly kind: "look"; readonly look: GuestLook };

/** A read as a PIN holds it. */
export type PinnedRead =
  | { readonly kind: "version"; readonly cursor: SeqNum; readonly key: string; readonly version: Found }
  | {
      readonly kind: "list";
      readonly cursor: SeqNum;
      readonly prefix: string;
      readonly after: string;
      readonly limit: number;
      readonly objects: readonly ListedObject[];
    }
  | { readonly kind: "noFunction"; readonly cursor: SeqNum; readonly name: string }
  | { readonly kind: "look"; readonly cursor: SeqNum; readonly look: GuestLook; readonly sight: GuestSight };

/** A read as an attempt made it. */
export interface MadeRead {
  readonly query: ReadQuery;
  readonly cursor: SeqNum;
  /** Steps and INIT before it; 0 for a read in a transaction, which is repeated at the same cursor wherever the instance goes on. */
  readonly position: number;
  /** Of a record of the log that was the answer. */
  readonly seenBytes: number;
}

/** An attempt that reads more, one and the same not counted twice, keeps its hold on the watermark when it waits. */
const READS_MAX = 10_000;
/** So does one that reads more than this of the tenant's log, as a PIN holds the records. */
const SEEN_MAX_BYTES = 4 * 1024 * 1024;
/** A part that has read more often leaves its caller without a list of what it has read. */
const CARRIED_MAX = 2_000;
const NOT_CARRIED = 0xffff_ffff;

export class ReadLog {
  readonly #pinned = new Map<string, PinnedRead>();
  #made: MadeRead[] = [];
  #seenBytes = 0;
  #isComplete = true;
  #isOpen = false;

  /** Reads of this attempt that no PIN answered, oldest first; null when some are not known here, or yet to come. */
  get made(): readonly MadeRead[] | null {
    return this.#isComplete && !this.#isOpen ? this.#made : null;
  }

  /** A transaction is open: its moment may be read until it ends, so no PIN can hold what it will read. */
  set isOpen(isOpen: boolean) {
    this.#isOpen = isOpen;
  }

  /** Takes in what a PIN record holds. */
  pin(reads: readonly PinnedRead[]): void {
    for (const read of reads) {
      this.#pinned.set(nameOf(read, read.cursor), read);
    }
  }

  version(key: string, cursor: SeqNum): Found | undefined {
    const read = this.#find({ kind: "version", key }, cursor);
    return read?.kind === "version" ? read.version : undefined;
  }

  list(prefix: string, after: string, limit: number, cursor: SeqNum): readonly ListedObject[] | undefined {
    const read = this.#find({ kind: "list", prefix, after, limit }, cursor);
    return read?.kind === "list" ? read.objects : undefined;
  }

  isNoFunction(name: string, cursor: SeqNum): boolean {
    return this.#find({ kind: "noFunction", name }, cursor) !== undefined;
  }

  sight(look: GuestLook, cursor: SeqNum): GuestSight | undefined {
    const read = this.#find({ kind: "look", look }, cursor);
    return read?.kind === "look" ? read.sight : undefined;
  }

  add(query: ReadQuery, cursor: SeqNum, position: number, seenBytes = 0): void {
    this.#seenBytes += seenBytes;
    this.#isComplete &&= this.#seenBytes <= SEEN_MAX_BYTES;
    if (this.#made.length >= 2 * READS_MAX) {
      this.#made = distinct(this.#made);
      this.#isComplete &&= this.#made.length < READS_MAX;
    }
    if (this.#isComplete) {
      this.#made.push({ query, cursor, position: this.#isOpen ? 0 : position, seenBytes });
    }
  }

  /** Reads were made elsewhere that are not known here. */
  incomplete(): void {
    this.#isComplete = false;
  }

  /** Reads that the instance has made elsewhere. @param made  null: they are not all known */
  adopt(made: readonly MadeRead[] | null): void {
    this.#isComplete &&= made !== null;
    for (const { query, cursor, position, seenBytes } of made ?? []) {
      this.add(query, cursor, position, seenBytes);
    }
  }

  #find(query: ReadQuery, cursor: SeqNum): PinnedRead | undefined {
    return this.#pinned.size === 0 ? undefined : this.#pinned.get(nameOf(query, cursor));
  }
}

/** The first of those that ask the same. */
export function distinct(reads: readonly MadeRead[]): MadeRead[] {
  const byName = new Map<string, MadeRead>();
  for (const read of reads) {
    const name = nameOf(read.query, read.cursor);
    const before = byName.get(name);
    if (before === undefined || read.position < before.position) {
      byName.set(name, read);
    }
  }
  return [...byName.values()];
}

/** Keys and tags hold no control characters, so that the parts cannot run into each other. */
function nameOf(query: ReadQuery, cursor: SeqNum): string {
  switch (query.kind) {
    case "version":
      return `v\n${cursor}\n${query.key}`;
    case "list":
      return `l\n${cursor}\n${query.limit}\n${query.prefix}\n${query.after}`;
    case "noFunction":
      return `f\n${cursor}\n${query.name}`;
    case "look":
      return `${query.look.what}\n${cursor}\n${query.look.bound}\n${query.look.tag}`;
  }
}

const VERSION = 1;
const LIST = 2;
const NO_FUNCTION = 3;
const LOOK = 4;

export function encodeReads(reads: readonly PinnedRead[]): Uint8Array {
  const w = new ByteWriter(1024);
  for (const read of reads) {
    writeQuery(w, read, read.cursor);
    switch (read.kind) {
      case "version":
        writeFound(w, read.version);
        break;
      case "list":
        writeListed(w, read.objects);
        break;
      case "look":
        writeSight(w, read.sight);
        break;
      case "noFunction":
        break;
    }
  }
  return w.take();
}

export function decodeReads(bytes: Uint8Array): PinnedRead[] {
  const r = new ByteReader(bytes);
  const reads: PinnedRead[] = [];
  while (r.remaining > 0) {
    const { query, cursor } = readQuery(r);
    switch (query.kind) {
      case "version":
        reads.push({ ...query, cursor, version: readFound(r) });
        break;
      case "list":
        // A log-free list that met a cell has failed.
        reads.push({ ...query, cursor, objects: readListed(r, "versions") });
        break;
      case "look":
        reads.push({ ...query, cursor, sight: readSight(r) });
        break;
      case "noFunction":
        reads.push({ ...query, cursor });
        break;
    }
  }
  return reads;
}

/** Reads that a part has made, for who has sent it; null when they are more than is carried. */
export function writeMade(w: ByteWriter, made: readonly MadeRead[] | null): ByteWriter {
  const carried = made !== null && made.length <= CARRIED_MAX ? made : null;
  w.u32(carried === null ? NOT_CARRIED : carried.length);
  for (const { query, cursor, position, seenBytes } of carried ?? []) {
    writeQuery(w, query, cursor);
    w.u32(position).u32(seenBytes);
  }
  return w;
}

/** @throws RangeError  what `writeMade` never writes */
export function readMade(r: ByteReader): readonly MadeRead[] | null {
  const count = r.u32();
  if (count === NOT_CARRIED) {
    return null;
  }
  if (count > CARRIED_MAX) {
    throw new RangeError(`${count} reads`);
  }
  return Array.from({ length: count }, () => ({ ...readQuery(r), position: r.u32(), seenBytes: r.u32() }));
}

function writeQuery(w: ByteWriter, query: ReadQuery, cursor: SeqNum): void {
  switch (query.kind) {
    case "version":
      w.u8(VERSION).f64(cursor).text(query.key);
      break;
    case "list":
      w.u8(LIST).f64(cursor).text(query.prefix).text(query.after).u32(query.limit);
      break;
    case "noFunction":
      w.u8(NO_FUNCTION).f64(cursor).text(query.name);
      break;
    case "look":
      writeLook(w.u8(LOOK).f64(cursor), query.look);
      break;
  }
}

function readQuery(r: ByteReader): { query: ReadQuery; cursor: SeqNum } {
  const kind = r.u8();
  const cursor = seqNum(r.f64());
  switch (kind) {
    case VERSION:
      return { query: { kind: "version", key: r.text() }, cursor };
    case LIST:
      return { query: { kind: "list", prefix: r.text(), after: r.text(), limit: r.u32() }, cursor };
    case NO_FUNCTION:
      return { query: { kind: "noFunction", name: r.text() }, cursor };
    case LOOK:
      return { query: { kind: "look", look: readLook(r) }, cursor };
    default:
      throw new RangeError(`a read of kind ${kind}`);
  }
}
