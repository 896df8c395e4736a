/** Objects that are not only streams: their cells, and the scopes that decide which. */
import type { InstanceId, SeqNum } from "../../../ids.ts";
import { objectTag } from "../../../tags.ts";
import type { CellVersion, EarlierEntry } from "../../cells.ts";
import { modeCode, modeFromCode } from "../../modes.ts";
import { Scope } from "../../scopes.ts";
import { type VarintReader, VarintWriter } from "../varint.ts";
import { type BookPart, LIST_ENTRY_NAMES } from "./book-part.ts";

const writer = new VarintWriter();

/** By the object's key. */
export const cells: BookPart = {
  number: 9,
  save({ cells: { byKey, ending } }, put) {
    for (const [key, { version, entry, since, earlier = [] }] of byKey) {
      writer.number(version.seqnum).number(version.role).number(version.counter);
      writer
        .number(entry)
        .number(since)
        .number(ending.has(key) ? 1 : 0);
      for (const one of earlier) {
        writer.number(one.version.seqnum).number(one.version.role).number(one.version.counter).number(one.entry);
      }
      put(key, 0, writer);
    }
  },
  load(book, key, _ordinal, value) {
    const version = readVersion(value);
    const [entry, since] = [value.number() as SeqNum, value.number() as SeqNum];
    if (value.number() === 1) {
      book.cells.ending.add(key);
    }
    const earlier: EarlierEntry[] = [];
    while (value.hasMore) {
      earlier.push({ version: readVersion(value), entry: value.number() as SeqNum });
    }
    book.cells.byKey.set(key, earlier.length === 0 ? { version, entry, since } : { version, entry, since, earlier });
    if (!book.streams.has(objectTag(key))) {
      book.names.add(key);
    }
  },
};

function readVersion(value: VarintReader): CellVersion {
  return { seqnum: value.number() as SeqNum, role: value.number() === 1 ? 1 : 0, counter: value.number() };
}

/** By their moments. */
export const snapshots: BookPart = {
  number: 12,
  save({ cells }, put) {
    for (const [instance, at] of cells.snapshots.byInstance) {
      put("", at, writer.text(instance));
    }
  },
  load({ cells }, _name, at, value) {
    cells.snapshots.begin(value.text() as InstanceId, at as SeqNum);
  },
};

/** By the first records of their instances. */
export const unlogged: BookPart = {
  number: 13,
  save(book, put) {
    for (const [first, { length, version }] of book.unlogged) {
      put("", first, writer.number(length).number(version.seqnum).number(version.role).number(version.counter));
    }
  },
  load(book, _name, first, value) {
    book.unlogged.set(first as SeqNum, { length: value.number(), version: readVersion(value) });
  },
};

export const scopes: BookPart = {
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
export const unsettled: BookPart = {
  number: 11,
  save(book, put) {
    for (const [name, scope] of book.scopes.byName) {
      const keys = [...scope.unsettled];
      for (let from = 0; from < keys.length; from += LIST_ENTRY_NAMES) {
        for (const key of keys.slice(from, from + LIST_ENTRY_NAMES)) {
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
