import { expect, test } from "vitest";
import { createRing, RingReader, RingWriter } from "../../../../host/sandbox/frames/ring.ts";

const RING_BYTES = 1024;
/** The control word by which the reader says that it goes to sleep. */
const READER_NAP = 16;

function send(writer: RingWriter, value: number): void {
  const offset = writer.reserve(8);
  writer.words[offset >> 2] = 8;
  writer.words[(offset >> 2) + 1] = value;
  writer.publish();
  writer.wake();
}

test("a wake-up that comes between saying that one sleeps and sleeping does not stand for a later frame", async () => {
  const ring = createRing(RING_BYTES);
  const writer = new RingWriter(ring);
  const reader = new RingReader(ring);
  send(writer, 1);
  expect(reader.words[(reader.next() >> 2) + 1]).toBe(1);
  reader.release(8);
  expect(reader.next()).toBe(-1);
  // The reader has said so and does not wait yet: this wake-up reaches nobody.
  Atomics.store(new Int32Array(ring), READER_NAP, 1);
  writer.wake();
  const woken = reader.sleepAsync();
  expect(woken).toBeDefined();
  send(writer, 2);
  await woken;
  expect(reader.words[(reader.next() >> 2) + 1]).toBe(2);
});

test("a reader that has a frame does not sleep", () => {
  const ring = createRing(RING_BYTES);
  const writer = new RingWriter(ring);
  const reader = new RingReader(ring);
  expect(reader.next()).toBe(-1);
  send(writer, 1);
  expect(reader.sleepAsync()).toBeUndefined();
  reader.sleep(false);
  expect(reader.next()).toBe(0);
});
