import { expect, it } from "vitest";
import { boundedPool, type PartReply, type PartRequest, type StoragePool } from "../../../../host/offload/index.ts";
import { ManualTime } from "../../../support/manual-time.ts";

const REQUEST = { offer: 1 } as PartRequest;

function poolAnswering(reply: Promise<PartReply>): StoragePool & { readonly cancelled: PartRequest[] } {
  const cancelled: PartRequest[] = [];
  return { name: "there", cancelled, run: () => reply, cancel: (request) => cancelled.push(request) };
}

it("F21: a part without an answer in time is cancelled over there, and lost as soon as nothing of it is under way", async () => {
  const time = new ManualTime();
  const late = Promise.withResolvers<PartReply>();
  const pool = poolAnswering(late.promise);
  const reply = boundedPool(pool, time, 500).run(REQUEST);
  time.advance(499);
  expect(pool.cancelled).toEqual([]);
  time.advance(1);
  expect(pool.cancelled).toEqual([REQUEST]);
  late.resolve({ kind: "lost", reason: "the caller no longer waits for the part", mayGoOn: false });
  expect(await reply).toEqual({ kind: "lost", reason: "no answer within 500 ms", mayGoOn: false });
  expect(pool.cancelled).toEqual([REQUEST]);
});

it("F21: a part that was finished when its cancellation arrived is done: its steps and its memory are as good as any", async () => {
  const time = new ManualTime();
  const late = Promise.withResolvers<PartReply>();
  const reply = boundedPool(poolAnswering(late.promise), time, 500).run(REQUEST);
  time.advance(500);
  late.resolve({ kind: "refused", reason: "no slot" });
  expect(await reply).toEqual({ kind: "refused", reason: "no slot" });
});

it("an answer in time is passed on, and nothing is cancelled afterwards", async () => {
  const time = new ManualTime();
  const pool = poolAnswering(Promise.resolve({ kind: "refused", reason: "no slot" }));
  expect(await boundedPool(pool, time, 500).run(REQUEST)).toEqual({ kind: "refused", reason: "no slot" });
  time.advance(1000);
  expect(pool.cancelled).toEqual([]);
});
