import type { InstanceId, SeqNum, Tag } from "../../../ids.ts";
import type { Hold } from "../../locks.ts";
import { VarintWriter } from "../varint.ts";
import type { BookPart } from "./book-part.ts";

const writer = new VarintWriter();

/** By the lock's stream; without a root when nobody holds it. */
export const locks: BookPart = {
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
