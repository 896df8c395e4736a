import { expect, test } from "vitest";
import { NeapError } from "../../../../state/errors.ts";
import type { SeqNum } from "../../../../state/ids.ts";
import { DurableWaits } from "../../../../state/remote/durable-waits.ts";

const at = (value: number): SeqNum => value as SeqNum;

/** Waits whose questions the test answers. */
function asked() {
  const questions: { readonly seqnum: SeqNum; readonly answer: () => void; readonly refuse: (error: Error) => void }[] = [];
  const waits = new DurableWaits((seqnum) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    questions.push({ seqnum, answer: resolve, refuse: reject });
    return promise;
  });
  return { waits, questions };
}

const settled = async (promise: Promise<unknown>): Promise<boolean> => {
  const pending = Symbol();
  await new Promise(setImmediate);
  return (await Promise.race([promise.catch(() => {}), Promise.resolve(pending)])) !== pending;
};

test("a thousand waits of one moment are one question for the highest seqnum", async () => {
  const { waits, questions } = asked();
  const all = Array.from({ length: 1_000 }, (_, i) => waits.wait(at(((i * 7) % 1_000) + 1)));
  await settled(Promise.resolve());
  expect(questions.map(({ seqnum }) => seqnum)).toEqual([1_000]);
  questions[0]?.answer();
  await Promise.all(all);
});

test("a wait for less than is being asked rides along; one for more asks again", async () => {
  const { waits, questions } = asked();
  const ten = waits.wait(at(10));
  await settled(ten);
  const five = waits.wait(at(5));
  const twenty = waits.wait(at(20));
  await settled(twenty);
  expect(questions.map(({ seqnum }) => seqnum)).toEqual([10, 20]);
  questions[0]?.answer();
  await Promise.all([five, ten]);
  expect(await settled(twenty)).toBe(false);
  questions[1]?.answer();
  await twenty;
});

test("what is known to be durable is not asked again", async () => {
  const { waits, questions } = asked();
  const ten = waits.wait(at(10));
  await settled(ten);
  questions[0]?.answer();
  await ten;
  await waits.wait(at(10));
  await waits.wait(at(0));
  expect(questions).toHaveLength(1);
});

test("a refused question rejects its own waits only, and may be asked again", async () => {
  const { waits, questions } = asked();
  const ten = waits.wait(at(10));
  await settled(ten);
  questions[0]?.refuse(new NeapError("EPOCH_CHANGED", "of another epoch"));
  await expect(ten).rejects.toMatchObject({ code: "EPOCH_CHANGED" });
  const again = waits.wait(at(10));
  await settled(again);
  questions[1]?.answer();
  await again;
  expect(questions).toHaveLength(2);
});
