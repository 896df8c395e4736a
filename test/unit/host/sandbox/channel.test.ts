import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createChannel, openWorkerEnd } from "../../../../host/sandbox/frames/channel.ts";
import { FrameType } from "../../../../host/sandbox/frames/protocol.ts";
import { createRing, RingReader, RingWriter } from "../../../../host/sandbox/frames/ring.ts";

describe("a ring", () => {
  test("hands over every frame once, in order and unbroken, whatever their sizes", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 500 }), { maxLength: 400 }),
        fc.infiniteStream(fc.boolean()),
        (sizes, turns) => {
          const ring = createRing(1024);
          const writer = new RingWriter(ring);
          const reader = new RingReader(ring);
          let written = 0;
          let read = 0;
          const readOne = () => {
            const offset = reader.next();
            if (offset < 0) {
              return false;
            }
            const size = sizes[read] ?? 0;
            const expected = Buffer.alloc(size + 4, read & 0x7f);
            expected.writeInt32LE(size);
            expect(Buffer.compare(Buffer.from(reader.bytes.subarray(offset, offset + size + 4)), expected)).toBe(0);
            reader.release(size + 4);
            read += 1;
            return true;
          };
          while (written < sizes.length) {
            const size = sizes[written] ?? 0;
            const offset = turns.next().value ? writer.reserve(size + 4) : -1;
            if (offset >= 0) {
              writer.bytes.fill(written & 0x7f, offset, offset + size + 4);
              writer.words[offset >> 2] = size;
              writer.publish();
              written += 1;
            } else {
              readOne();
            }
          }
          while (readOne()) {}
          expect(read).toBe(sizes.length);
        },
      ),
    );
  });

  test("shows nothing before it is published", () => {
    const ring = createRing(1024);
    const writer = new RingWriter(ring);
    const reader = new RingReader(ring);
    writer.reserve(8);
    expect(reader.next()).toBe(-1);
    writer.publish();
    expect(reader.next()).toBe(0);
  });
});

describe("a channel", () => {
  test("keeps the order of small and large messages, and keeps what a full ring does not take", async () => {
    const { main, workerEnd } = createChannel();
    const other = openWorkerEnd(workerEnd);
    const sizes = Array.from({ length: 400 }, (_, at) => (at % 7 === 0 ? 200_000 : (at * 97) % 30_000));
    for (const [at, size] of sizes.entries()) {
      main.send({ type: FrameType.log, call: at, body: Buffer.alloc(size, at), tail: Buffer.from("end") });
    }
    for (let at = 0; at < sizes.length; ) {
      const frame = other.receive();
      if (frame === undefined) {
        await new Promise((resolve) => setImmediate(resolve));
        continue;
      }
      const expected = Buffer.concat([Buffer.alloc(sizes[at] ?? 0, at), Buffer.from("end")]);
      expect([frame.call, Buffer.compare(expected, frame.body)]).toEqual([at, 0]);
      at += 1;
    }
    main.close();
  });

  test("H27: hands a large body in shared memory over without a copy", async () => {
    const { main, workerEnd } = createChannel();
    const other = openWorkerEnd(workerEnd);
    const body = new Uint8Array(new SharedArrayBuffer(300_000));
    main.send({ type: FrameType.log, body });
    const received = other.receive()?.body;
    body[299_999] = 7;
    expect(received?.[299_999]).toBe(7);
    main.close();
  });

  test("wakes a sleeping thread for every message, in both directions", async () => {
    const { main, workerEnd } = createChannel();
    const url = (path: string) => JSON.stringify(new URL(`../../../../host/sandbox/${path}`, import.meta.url).href);
    const echo = `
      import { workerData } from "node:worker_threads";
      const { openWorkerEnd } = await import(${url("frames/channel.ts")});
      const channel = openWorkerEnd(workerData);
      for (let looksFirst = false; ; looksFirst = !looksFirst) {
        const frame = channel.receive();
        if (frame === undefined) channel.sleep(looksFirst);
        else channel.send({ type: frame.type, call: frame.call, body: frame.body });
      }`;
    const thread = new Worker(new URL(`data:text/javascript,${encodeURIComponent(echo)}`), {
      workerData: workerEnd,
      transferList: [workerEnd.port],
    });
    for (let round = 0; round < 2_000; round++) {
      main.send({ type: FrameType.log, call: round, body: Buffer.from("x") });
      let frame = main.receive();
      while (frame === undefined) {
        await new Promise<void>((resolve) => {
          if (!main.sleepAsync(resolve)) {
            resolve();
          }
        });
        frame = main.receive();
      }
      expect(frame.call).toBe(round);
    }
    main.close();
    await thread.terminate();
  });
});

test("a channel that is closed gives nothing more, also of what has arrived: its attachments are gone", () => {
  const { main, workerEnd } = createChannel();
  const worker = openWorkerEnd(workerEnd);
  worker.sendAttached({ type: FrameType.thread }, new Uint8Array(10));
  worker.send({ type: FrameType.thread });
  main.close();
  expect(main.receive()).toBeUndefined();
  worker.close();
});
