import type { InstanceId, SeqNum, Tag } from "../../../ids.ts";
import type { BookState } from "../../book-state.ts";
import { Instance } from "../../instances.ts";
import { VarintWriter } from "../varint.ts";
import type { BookPart } from "./book-part.ts";

const PARKED = 1;
const RETAINED = 2;
const READS_FROM_FIRST = 4;
const Place = { none: 0, unfinished: 1, ended: 2, retained: 3 } as const;

const writer = new VarintWriter();

/** By their first records: a caller comes before its children, who come in the order in which it called them. */
export function instances(): BookPart {
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
      for (const instance of ended.values()) {
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
        book.instances.changed(instance);
      } else if (place === Place.ended) {
        book.instances.ended.set(id, instance);
      } else if (place === Place.retained) {
        book.instances.retained.push(instance);
      }
    },
    finish(book) {
      book.instances.retained.sort((a, b) => a.done - b.done);
    },
  };
}

export const expiring: BookPart = {
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
