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
import { readValue, writeValue } from "../objects/object-record.ts";
import { readListed, writeListed } from "./listed.ts";
import type { Found } from "./slice.ts";

/** What was asked, at a cursor. Together they name the answer, which is the same in every replay. */
export type ReadQuery =
  | { readonly kind: "version"; readonly key: string }
  | { readonly kind: "list"; readonly prefix: string; readonly after: string; readonly limit: number }
  /** A function that was not there; one that was stays for ever. */
  | { readonly kind: "noFunction"; readonly name: string };

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
  | { readonly kind: "noFunction"; readonly cursor: SeqNum; readonly name: string };

/** A read as an attempt made it. */
export interface MadeRead {
  readonly query: ReadQuery;
  readonly cursor: SeqNum;
  /** Steps and INIT before it; 0 for a read in a transaction, which is repeated at the same cursor wherever the instance goes on. */
  readonly position: number;
}

/** An attempt that reads more, one and the same not counted twice, keeps its hold on the watermark when it waits. */
const READS_MAX = 10_000;

export class ReadLog {
  readonly #pinned = new Map<string, PinnedRead>();
  #made: MadeRead[] = [];
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

  add(query: ReadQuery, cursor: SeqNum, position: number): void {
    if (this.#made.length >= 2 * READS_MAX) {
      this.#made = distinct(this.#made);
      this.#isComplete &&= this.#made.length < READS_MAX;
    }
    if (this.#isComplete) {
      this.#made.push({ query, cursor, position: this.#isOpen ? 0 : position });
    }
  }

  /** Reads were made that no PIN can hold: by a storage part elsewhere, or of the tenant's log. */
  incomplete(): void {
    this.#isComplete = false;
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

/** Keys hold no control characters, so that the parts cannot run into each other. */
function nameOf(query: ReadQuery, cursor: SeqNum): string {
  switch (query.kind) {
    case "version":
      return `v\n${cursor}\n${query.key}`;
    case "list":
      return `l\n${cursor}\n${query.limit}\n${query.prefix}\n${query.after}`;
    case "noFunction":
      return `f\n${cursor}\n${query.name}`;
  }
}

const VERSION = 1;
const LIST = 2;
const NO_FUNCTION = 3;

export function encodeReads(reads: readonly PinnedRead[]): Uint8Array {
  const w = new ByteWriter(1024);
  for (const read of reads) {
    switch (read.kind) {
      case "version": {
        const { version, timeMs, value } = read.version;
        w.u8(VERSION).f64(read.cursor).text(read.key).f64(version).f64(timeMs);
        writeValue(w, value);
        break;
      }
      case "list":
        w.u8(LIST).f64(read.cursor).text(read.prefix).text(read.after).u32(read.limit);
        writeListed(w, read.objects);
        break;
      case "noFunction":
        w.u8(NO_FUNCTION).f64(read.cursor).text(read.name);
    }
  }
  return w.take();
}

export function decodeReads(bytes: Uint8Array): PinnedRead[] {
  const r = new ByteReader(bytes);
  const reads: PinnedRead[] = [];
  while (r.remaining > 0) {
    const kind = r.u8();
    const cursor = seqNum(r.f64());
    switch (kind) {
      case VERSION: {
        const key = r.text();
        reads.push({ kind: "version", cursor, key, version: { version: seqNum(r.f64()), timeMs: r.f64(), value: readValue(r) } });
        break;
      }
      case LIST: {
        const [prefix, after, limit] = [r.text(), r.text(), r.u32()];
        // A log-free list that met a cell has failed.
        reads.push({ kind: "list", cursor, prefix, after, limit, objects: readListed(r, "versions") });
        break;
      }
      case NO_FUNCTION:
        reads.push({ kind: "noFunction", cursor, name: r.text() });
        break;
      default:
        throw new RangeError(`a pinned read of kind ${kind}`);
    }
  }
  return reads;
}
