/**
 * The index as entries of a checkpoint.
 *
 * Owns: what of the index is saved, and how. Does not own: where the entries lie (store), when (checkpointer).
 *
 * E1. An entry is a function of what it describes, so that what has not changed has the same bytes and is not written again.
 * E2. An entry is small whatever the index is: what may grow is cut into entries of fixed places.
 * E3. Loading visits entries in the order of their keys: part, LogBook, name, ordinal.
 *
 * One more piece of BookState is one more part in `parts/`.
 */
import type { BlobName, LogBookId, SeqNum } from "../../ids.ts";
import type { ShardIndex } from "../shard-index.ts";
import { bookParts } from "./parts/index.ts";
import { VarintReader, VarintWriter } from "./varint.ts";

const writer = new VarintWriter();

/** Of the shard: where the live records lie, by chunks of the record store. */
const PLACES = 128;
/** Of the shard: which blobs a record names. */
const BLOBS = 129;

/** Puts all entries of the index. */
export function saveIndex(index: ShardIndex, put: (key: Buffer, value: Buffer) => void): void {
  for (const part of bookParts()) {
    for (const book of index.books.values()) {
      part.save(book, (name, ordinal, value) => put(encodeKey(part.number, book.id, name, ordinal), value.take()));
    }
  }
  index.store.saveChunks((number, encode) => {
    encode(writer);
    put(encodeKey(PLACES, "", "", number), writer.take());
  });
  index.blobs.visit((seqnum, names) => {
    for (const name of names) {
      writer.text(name);
    }
    put(encodeKey(BLOBS, "", "", seqnum), writer.take());
  });
}

/**
 * Loads entries into an index that is empty.
 * @param entries  calls its argument for each of them, in the order of the keys
 * @throws RangeError  an entry is malformed, or of a part that is not known
 */
export function loadIndex(index: ShardIndex, entries: (visit: (key: Buffer, value: Buffer) => void) => void): void {
  const parts = new Map(bookParts().map((part) => [part.number, part]));
  entries((bytes, value) => {
    const key = decodeKey(bytes);
    const reader = new VarintReader(value);
    const part = parts.get(key.part);
    if (part !== undefined) {
      part.load(index.book(key.book as LogBookId), key.name, key.ordinal, reader);
    } else if (key.part === PLACES) {
      index.store.loadChunk(key.ordinal, reader);
    } else if (key.part === BLOBS) {
      const names: BlobName[] = [];
      while (reader.hasMore) {
        names.push(reader.text() as BlobName);
      }
      index.blobs.addNames(key.ordinal as SeqNum, names);
    } else {
      throw new RangeError(`part ${key.part} of the index is not known: saved by a newer version?`);
    }
  });
  for (const part of parts.values()) {
    for (const book of index.books.values()) {
      part.finish?.(book);
    }
  }
}

/** u8 part, u8 length and bytes of the LogBook's id, name in UTF-8, u64 ordinal, all big-endian. At most 1,339 bytes. */
function encodeKey(part: number, book: string, name: string, ordinal: number): Buffer {
  const nameStart = 2 + book.length;
  const key = Buffer.allocUnsafe(nameStart + Buffer.byteLength(name) + 8);
  key[0] = part;
  key[1] = book.length;
  key.write(book, 2, "latin1");
  const end = nameStart + key.write(name, nameStart, "utf8");
  key.writeUInt32BE(Math.floor(ordinal / 2 ** 32), end);
  key.writeUInt32BE(ordinal % 2 ** 32, end + 4);
  return key;
}

function decodeKey(key: Buffer): { part: number; book: string; name: string; ordinal: number } {
  const nameStart = 2 + key.readUInt8(1);
  const end = key.length - 8;
  return {
    part: key.readUInt8(0),
    book: key.toString("latin1", 2, nameStart),
    name: key.toString("utf8", nameStart, end),
    ordinal: key.readUInt32BE(end) * 2 ** 32 + key.readUInt32BE(end + 4),
  };
}
