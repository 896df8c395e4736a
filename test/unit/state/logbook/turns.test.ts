import { expect, test } from "vitest";
import { RecordKind } from "../../../../state/logbook/index.ts";
import { BOOK, none, openTestShard, tagOf } from "../../../support/open-shard.ts";

const x = tagOf("o/x");

/** Lets everything that can go on without time passing go on. */
const settle = () => new Promise(setImmediate);

async function openQueue() {
  const opened = await openTestShard();
  const order: string[] = [];
  const take = async (name: string, session = opened.shard as ReturnType<typeof opened.shard.openSession>) => {
    const turn = await session.book(BOOK).turn(x);
    order.push(name);
    return turn;
  };
  return { ...opened, order, take };
}

test("a turn that is not used ends by itself after 100 ms", async () => {
  const { time, order, take } = await openQueue();
  await take("first");
  const second = take("second");
  time.advance(99);
  await settle();
  expect(order).toEqual(["first"]);
  time.advance(1);
  await second;
  expect(order).toEqual(["first", "second"]);
});

test("each turn has its 100 ms from when it begins", async () => {
  const { time, order, take } = await openQueue();
  const first = await take("first");
  void take("second");
  void take("third");
  time.advance(60);
  first.end();
  await settle();
  time.advance(60);
  await settle();
  expect(order).toEqual(["first", "second"]);
});

test("the turns of a session end with it, those it waits for too", async () => {
  const { shard, order, take } = await openQueue();
  const session = shard.openSession();
  await take("first", session);
  const waiting = take("second", session);
  const last = take("third");
  await session.close();
  await waiting;
  await last;
  expect(order.at(-1)).toBe("third");
});

test("nobody is kept from appending, and a turn that ended twice ends once", async () => {
  const { shard, order, take } = await openQueue();
  const first = await take("first");
  void take("second");
  void take("third");
  expect((await shard.book(BOOK).append({ records: [{ kind: RecordKind.write, tags: [x], data: none }] })).kind).toBe("appended");
  await settle();
  first.end();
  first.end();
  await settle();
  expect(order).toEqual(["first", "second"]);
});
