/** The streams of a LogBook, and what trims have taken from those of guests. */
import type { SeqNum, Tag } from "../../../ids.ts";
import { TrimPoint } from "../../trims.ts";
import { VarintWriter } from "../varint.ts";
import { type BookPart, LIST_ENTRY_NAMES } from "./book-part.ts";

/** Positions of a stream in one entry. */
const STREAM_ENTRY_RECORDS = 512;
const CLOSED = 1;
const SUPERSEDED = 2;
const AWAITS_RESUME = 4;

const writer = new VarintWriter();

/** Entry n has positions from n × STREAM_ENTRY_RECORDS on; the flags are in the last one. */
export const streams: BookPart = {
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

/** By stream; that of all streams under no name. */
export const trims: BookPart = {
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
export const guestTags: BookPart = {
  number: 6,
  save({ trims: { tags, sweepFrom, sweepTo } }, put) {
    for (let from = 0; from < tags.length; from += LIST_ENTRY_NAMES) {
      const end = Math.min(tags.length, from + LIST_ENTRY_NAMES);
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

export const waitingTrims: BookPart = {
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
