import { expect, test } from "vitest";
import type { Journal, JournalPosition } from "../../../../state/journal/index.ts";
import { Checkpointer } from "../../../../state/logbook/checkpoint/checkpointer.ts";
import type { Checkpoint, Checkpoints } from "../../../../state/logbook/checkpoint/index.ts";
import { MemoryCheckpoints } from "../../../support/memory-checkpoints.ts";

const EVERY_BYTES = 100;

/** A journal that grows as told, and checkpoints that are made when the test says so. */
function setUp(everyBytes = EVERY_BYTES) {
  let address = 0;
  const began: number[] = [];
  let finish = (_made: boolean): void => {};
  const journal = {
    get durable(): JournalPosition {
      return { frame: 1, address };
    },
    release() {},
  } as unknown as Journal;
  const checkpoints: Checkpoints = {
    store: new MemoryCheckpoints(),
    failed() {},
    cancel() {},
    take(to) {
      began.push(to.address);
      return new Promise((resolve, reject) => {
        finish = (made) => (made ? resolve({ releasable: 0 } as Checkpoint) : reject(new Error("no room")));
      });
    },
  };
  const checkpointer = new Checkpointer(journal, checkpoints, { savedUpTo() {} }, everyBytes, undefined);
  return {
    began,
    grow(to: number) {
      address = to;
      checkpointer.consider();
    },
    async end(made = true) {
      finish(made);
      await new Promise(setImmediate);
    },
  };
}

test("a checkpoint begins when the journal has grown by so many bytes, one at a time", async () => {
  const { began, grow, end } = setUp();
  grow(99);
  expect(began).toEqual([]);
  grow(100);
  grow(110);
  expect(began).toEqual([100]);
  await end();
  grow(199);
  expect(began).toEqual([100]);
  grow(200);
  expect(began).toEqual([100, 200]);
});

test("with one byte each frame brings one, when the one before is done", async () => {
  const { began, grow, end } = setUp(1);
  for (const address of [10, 20, 21]) {
    grow(address);
    await end();
  }
  expect(began).toEqual([10, 20, 21]);
});

test("K4: after one that took long, twice what came meanwhile must come first; after a quick one, as before", async () => {
  const { began, grow, end } = setUp();
  grow(100);
  grow(1_000);
  await end();
  grow(1_899);
  expect(began).toEqual([100]);
  grow(1_900);
  expect(began).toEqual([100, 1_900]);
  await end();
  grow(2_000);
  expect(began).toEqual([100, 1_900, 2_000]);
});

test("K3, K4: one that fails is tried again when as much has come", async () => {
  const { began, grow, end } = setUp();
  grow(100);
  await end(false);
  grow(199);
  expect(began).toEqual([100]);
  grow(200);
  expect(began).toEqual([100, 200]);
});
