import { expect, it } from "vitest";
import type { SeqNum } from "../../../../state/ids.ts";
import { ReadLog } from "../../../../state/protocols/read-log.ts";

const at = (seqnum: number): SeqNum => seqnum as SeqNum;
const read = (key: string) => ({ kind: "version", key }) as const;

it("F25: of one and the same read any number can be pinned, of different ones 10,000 and some", () => {
  const log = new ReadLog();
  for (let i = 0; i < 100_000; i += 1) {
    log.add(read(`x${i % 10}`), at(7), 1);
  }
  expect(new Set(log.made?.map(({ query }) => JSON.stringify(query))).size).toBe(10);
  for (let i = 0; i < 25_000; i += 1) {
    log.add(read(`y${i}`), at(7), 1);
  }
  expect(log.made).toBeNull();
});

it("F37: a read in a transaction belongs to every PIN behind it, and none can be made while it is open", () => {
  const log = new ReadLog();
  log.isOpen = true;
  log.add(read("x"), at(7), 3);
  expect(log.made).toBeNull();
  log.isOpen = false;
  log.add(read("y"), at(7), 3);
  expect(log.made?.map(({ position }) => position)).toEqual([0, 3]);
});
