/**
 * The index as entries of a checkpoint.
 *
 * Owns: what of the index is saved, and how. Does not own: where the entries lie (store), when (checkpointer).
 *
 * E1. An entry is a function of what it describes, so that what has not changed has the same bytes and is not written again.
 * E2. An entry is small whatever the index is: what may grow is cut into entries of fixed places.
 * E3. Loading visits entries in the order of their keys: part, LogBook, name, ordinal.
 *
 * One more piece of BookState is one more part in `bookParts`. The numbers of parts are stored: never reuse one.
 */
import type { BlobName, InstanceId, LogBookId, SeqNum, Tag } from "../../ids.ts";
import { objectTag } from "../../tags.ts";
import type { BookState } from "../book-state.ts";
import { Instance } from "../instances.ts";
import type { Hold } from "../locks.ts";
import { DEFAULT_MODE, modeCode, modeFromCode } from "../modes.ts";
import { Scope } from "../scopes.ts";
import type { ShardIndex } from "../shard-index.ts";
import { TrimPoint } from "../trims.ts";
import { VarintReader, VarintWriter } from "./varint.ts";

/** Positions of a stream in one entry. */
const STREAM_ENTRY_RECORDS = 512;
/** Names of streams in one entry. */
const NAMES_ENTRY_TAGS = 64;
const CLOSED = 1;
const SUPERSEDED = 2;
const AWAITS_RESUME = 4;
const PARKED = 1;
const RETAINED = 2;
const READS_FROM_FIRST = 4;
const Place = { none: 0, unfinished: 1, ended: 2, retained: 3 } as const;

/** One piece of a LogBook's index. */
interface BookPart {
  readonly number: number;
  /** Puts its entries: each under a name and an ordinal, which together are given once. */
  save(book: BookState, put: (name: string, ordinal: number, value: VarintWriter) => void): void;
  load(book: BookState, name: string, ordinal: number, value: VarintReader): void;
  /** After the last entry of all parts. */
  finish?(book: BookState): void;
}

/** Parts hold what they need while an index is saved or loaded: made anew each time. */
function bookParts(): readonly BookPart[] {
  return [scalars, streams, instances(), expiring, trims, guestTags, waitingTrims, locks, cells, scopes, unsettled];
}

const writer = new VarintWriter();

const scalars: BookPart = {
  number: 1,
  save(book, put) {
    put("", 0, writer.number(book.floor).number(book.garbage).number(modeCode(book.scopes.defaultMode)));
  },
  load(book, _name, _ordinal, value) {
    book.floor = value.number() as SeqNum;
    book.garbage = value.number();
    book.scopes.defaultMode = modeFromCode(value.number()) ?? DEFAULT_MODE;
  },
};

/** Entry n has positions from n × STREAM_ENTRY_RECORDS on; the flags are in the last one. */
const streams: BookPart = {
  number: 2,
  save(book, put) {
    for (const [tag, stream] of book.streams) {
      const flags =
        (stream.closed ? CLOSED : 0) |
        (book.superseded.has(tag) ? SUPERSEDED : 0) |
        (book.awaitingResume.has(tag) ? AWAITS_RESUME : 0);
      const last = Math.floor(Math.max(0, stream.length - 1) / STREAM_ENTRY_RECORDS);
      const first = Math.min(last, Math.floor(stream.base / STREAM_ENTRY_RECORDS));
      for (let entry = first; entry <= last; entry++) {
        const from = Math.max(stream.base, entry * STREAM_ENTRY_RECORDS);
        const end = Math.min(stream.length, (entry + 1) * STREAM_ENTRY_RECORDS);
        writer.number(entry === last ? flags : 0).number(from);
        for (let position = from, before = 0; position < end; position++) {
          const seqnum = stream.at(position);
          writer.number(seqnum - before);
          before = seqnum;
        }
        put(tag, entry, writer);
      }
    }
  },
  load(book, name, _ordinal, value) {
    const tag = name as Tag;
    const flags = value.number();
    const from = value.number();
    const stream = book.streams.get(tag) ?? book.addStream(tag, from);
    for (let seqnum = 0; value.hasMore; ) {
      seqnum += value.number();
      stream.push(seqnum as SeqNum);
    }
    stream.closed = (flags & CLOSED) !== 0;
    if ((flags & SUPERSEDED) !== 0) {
      book.superseded.add(tag);
    }
    if ((flags & AWAITS_RESUME) !== 0) {
      book.awaitingResume.add(tag);
    }
  },
};

/** By their first records: a caller comes before its children, who come in the order in which it called them. */
function instances(): BookPart {
  const byFirst = new Map<BookState, Map<number, Instance>>();
  return {
    number: 3,
    save(book, put) {
      const { unfinished, ended, retained } = book.instances;
      const places = new Map<Instance, number>();
      const note = (instance: Instance, place: number): void => {
        if (!places.has(instance) || place !== Place.none) {
          places.set(instance, place);
          for (const child of instance.children) {
            note(child, Place.none);
          }
        }
      };
      for (const instance of unfinished.values()) {
        note(instance, Place.unfinished);
      }
      for (const instance of ended) {
        note(instance, Place.ended);
      }
      for (const instance of retained) {
        note(instance, Place.retained);
      }
      for (const [one, place] of places) {
        writer
          .number(place)
          .text(one.id)
          .number(one.caller?.first ?? 0)
          .number(one.initialCursor);
        writer
          .number(one.attempts)
          .number((one.parked ? PARKED : 0) | (one.retained ? RETAINED : 0) | (one.readsFromFirst ? READS_FROM_FIRST : 0))
          .number(one.readsFrom === null ? 0 : one.readsFrom + 1)
          .number(one.notBeforeMs)
          .number(one.modeCursor)
          .number(one.done)
          .number(one.doneMs);
        for (const tag of one.resultTags) {
          writer.text(tag);
        }
        put("", one.first, writer);
      }
    },
    load(book, _name, first, value) {
      let known = byFirst.get(book);
      if (known === undefined) {
        known = new Map();
        byFirst.set(book, known);
      }
      const place = value.number();
      const id = value.text() as InstanceId;
      const caller = known.get(value.number());
      const initialCursor = value.number() as SeqNum;
      const [attempts, flags, readsFrom] = [value.number(), value.number(), value.number()];
      const [notBeforeMs, modeCursor, done, doneMs] = [value.number(), value.number(), value.number(), value.number()];
      const resultTags: Tag[] = [];
      while (value.hasMore) {
        resultTags.push(value.text() as Tag);
      }
      const instance = new Instance(id, first as SeqNum, {
        caller,
        resultTags,
        notBeforeMs,
        retained: (flags & RETAINED) !== 0,
        readsFromFirst: (flags & READS_FROM_FIRST) !== 0,
        modeCursor: modeCursor as SeqNum,
      });
      instance.initialCursor = initialCursor;
      instance.readsFrom = readsFrom === 0 ? null : ((readsFrom - 1) as SeqNum);
      instance.attempts = attempts;
      instance.parked = (flags & PARKED) !== 0;
      instance.done = done as SeqNum;
      instance.doneMs = doneMs;
      caller?.children.push(instance);
      known.set(first, instance);
      if (place === Place.unfinished) {
        book.instances.unfinished.set(id, instance);
      } else if (place !== Place.none) {
        (place === Place.ended ? book.instances.ended : book.instances.retained).push(instance);
      }
    },
    finish(book) {
      book.instances.ended.sort((a, b) => a.done - b.done);
      book.instances.retained.sort((a, b) => a.done - b.done);
    },
  };
}

const expiring: BookPart = {
  number: 4,
  save(book, put) {
    for (const { tags, done, doneMs } of book.expiring) {
      writer.number(doneMs);
      for (const tag of tags) {
        writer.text(tag);
      }
      put("", done, writer);
    }
  },
  load(book, _name, done, value) {
    const doneMs = value.number();
    const tags: Tag[] = [];
    while (value.hasMore) {
      tags.push(value.text() as Tag);
    }
    book.expiring.push({ tags, done: done as SeqNum, doneMs });
  },
};

/** By stream; that of all streams under no name. */
const trims: BookPart = {
  number: 5,
  save({ trims: { all, byTag } }, put) {
    for (const [tag, point] of [["", all] as const, ...byTag]) {
      writer.number(point.settled).number(point.last);
      for (const { seqnum, upTo } of point.pending) {
        writer.number(seqnum).number(upTo);
      }
      put(tag, 0, writer);
    }
  },
  load(book, name, _ordinal, value) {
    const point = name === "" ? book.trims.all : new TrimPoint();
    point.settled = value.number() as SeqNum;
    point.last = value.number() as SeqNum;
    while (value.hasMore) {
      point.pending.push({ seqnum: value.number() as SeqNum, upTo: value.number() as SeqNum });
    }
    if (name !== "") {
      book.trims.byTag.set(name as Tag, point);
    }
  },
};

/** The streams of guests in the order in which they began, and how far a trim of all has got in it. */
const guestTags: BookPart = {
  number: 6,
  save({ trims: { tags, sweepFrom, sweepTo } }, put) {
    for (let from = 0; from < tags.length; from += NAMES_ENTRY_TAGS) {
      const end = Math.min(tags.length, from + NAMES_ENTRY_TAGS);
      // The sweep is in the last entry, so that most entries never change.
      writer.number(end === tags.length ? sweepFrom : 0).number(end === tags.length ? sweepTo : 0);
      for (const tag of tags.slice(from, end)) {
        writer.text(tag);
      }
      put("", from, writer);
    }
  },
  load({ trims }, _name, from, value) {
    if (from === 0) {
      // The streams came in the order of their names.
      trims.tags.length = 0;
    }
    trims.sweepFrom = value.number();
    trims.sweepTo = value.number();
    while (value.hasMore) {
      trims.tags.push(value.text() as Tag);
    }
  },
};

const waitingTrims: BookPart = {
  number: 7,
  save({ trims }, put) {
    for (const { seqnum, tag } of trims.waiting) {
      put("", seqnum, writer.text(tag ?? ""));
    }
  },
  load({ trims }, _name, seqnum, value) {
    const tag = value.text();
    trims.waiting.push({ seqnum: seqnum as SeqNum, tag: tag === "" ? null : (tag as Tag) });
  },
};

/** By the lock's stream; without a root when nobody holds it. */
const locks: BookPart = {
  number: 8,
  save({ locks: { streams: known, held } }, put) {
    for (const tag of known) {
      const hold = held.get(tag);
      if (hold !== undefined) {
        writer.text(hold.root).number(hold.token).number(hold.sinceMs);
        for (const { instance, inTransaction, count } of hold.shares) {
          writer
            .text(instance)
            .number(inTransaction ? 1 : 0)
            .number(count);
        }
      }
      put(tag, 0, writer);
    }
  },
  load({ locks: into }, name, _ordinal, value) {
    const tag = name as Tag;
    into.streams.add(tag);
    if (value.hasMore) {
      const hold: Hold = {
        root: value.text() as InstanceId,
        token: value.number() as SeqNum,
        sinceMs: value.number(),
        shares: [],
      };
      while (value.hasMore) {
        hold.shares.push({ instance: value.text() as InstanceId, inTransaction: value.number() === 1, count: value.number() });
      }
      into.restore(tag, hold);
    }
  },
};

/** By the object's key. */
const cells: BookPart = {
  number: 9,
  save({ cells: { byKey, ending } }, put) {
    for (const [key, { version, entry, since }] of byKey) {
      writer.number(version.seqnum).number(version.role).number(version.counter);
      put(
        key,
        0,
        writer
          .number(entry)
          .number(since)
          .number(ending.has(key) ? 1 : 0),
      );
    }
  },
  load(book, key, _ordinal, value) {
    const seqnum = value.number() as SeqNum;
    const version = { seqnum, role: value.number() === 1 ? 1 : 0, counter: value.number() } as const;
    book.cells.byKey.set(key, { version, entry: value.number() as SeqNum, since: value.number() as SeqNum });
    if (value.number() === 1) {
      book.cells.ending.add(key);
    }
    if (!book.streams.has(objectTag(key))) {
      book.names.add(key);
    }
  },
};

const scopes: BookPart = {
  number: 10,
  save({ scopes: { byName } }, put) {
    for (const [name, scope] of byName) {
      writer
        .number(modeCode(scope.mode))
        .number(modeCode(scope.to))
        .number(scope.automatic ? 1 : 0);
      writer.number(scope.begin).number(scope.changedMs);
      if (scope.walkedTo !== null) {
        writer.text(scope.walkedTo);
      }
      put(name, 0, writer);
    }
  },
  load(book, name, _ordinal, value) {
    const scope = new Scope();
    scope.mode = modeFromCode(value.number());
    scope.to = modeFromCode(value.number());
    scope.automatic = value.number() === 1;
    scope.begin = value.number() as SeqNum;
    scope.changedMs = value.number();
    scope.walkedTo = value.hasMore ? value.text() : null;
    book.scopes.byName.set(name, scope);
  },
};

/** Objects of a scope in the order in which a switch takes them. */
const unsettled: BookPart = {
  number: 11,
  save(book, put) {
    for (const [name, scope] of book.scopes.byName) {
      const keys = [...scope.unsettled];
      for (let from = 0; from < keys.length; from += NAMES_ENTRY_TAGS) {
        for (const key of keys.slice(from, from + NAMES_ENTRY_TAGS)) {
          writer.text(key);
        }
        put(name, from, writer);
      }
    }
  },
  load(book, name, _ordinal, value) {
    while (value.hasMore) {
      book.scopes.byName.get(name)?.unsettled.add(value.text());
    }
  },
};

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
