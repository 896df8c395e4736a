import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { NeapError } from "../../../../state/errors.ts";
import { FrameKind, joinFrames, pack, packFrame } from "../../../../state/remote/frames.ts";
import { fields, method } from "../../../../state/remote/method.ts";
import { HIGH_WATER_BYTES } from "../../../../state/remote/send-queue.ts";
import { Bytes, Count, Nothing, Text, tuple } from "../../../../state/shape.ts";
import { Cleanup } from "../../../support/cluster.ts";
import { ManualTime } from "../../../support/manual-time.ts";
import { EPOCH, peerPair } from "../../../support/peer-pair.ts";

const echo = method("echo", tuple(Text, Bytes), tuple(Text, Bytes));
const store = method("store", Bytes, Count);
const told = method("told", Text, Nothing);
const MIB = 1024 * 1024;

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

describe("a peer", () => {
  test("answers requests in both directions, many at a time, each with its own answer", async () => {
    const { near, far } = await peerPair(cleanup);
    near.handle(echo, async ([text, bytes]) => fields(`near ${text}`, bytes));
    far.handle(echo, async ([text, bytes]) => fields(`far ${text}`, bytes));
    const asked = Array.from({ length: 200 }, (_, i) => i);
    const answers = await Promise.all([
      ...asked.map((i) => near.request(echo, [`${i}`, Buffer.from([i])])),
      ...asked.map((i) => far.request(echo, [`${i}`, Buffer.from([i])])),
    ]);
    expect(answers.map(([text]) => text)).toEqual([...asked.map((i) => `far ${i}`), ...asked.map((i) => `near ${i}`)]);
    expect(answers.map(([, bytes]) => bytes[0])).toEqual([...asked, ...asked]);
  });

  test("gives handlers bytes of their own, which can be viewed as wider numbers", async () => {
    const { near, far } = await peerPair(cleanup);
    const numbers = Uint32Array.of(1, 2 ** 31, 2 ** 32 - 1);
    far.handle(store, async (bytes) => {
      expect(bytes.byteOffset % 4).toBe(0);
      return new Uint32Array(bytes.buffer, bytes.byteOffset, 3)[2] ?? 0;
    });
    expect(await near.request(store, Buffer.from(numbers.buffer))).toBe(2 ** 32 - 1);
  });

  test("many bytes arrive as they were sent, in order with the frames around them, with a buffer of their own", async () => {
    const { near, far } = await peerPair(cleanup);
    const seen: string[] = [];
    far.handle(told, async (text) => {
      seen.push(text);
      return null;
    });
    far.handle(echo, async ([text, bytes]) => {
      seen.push(text);
      expect(bytes.buffer.byteLength).toBe(bytes.byteLength);
      return fields(text, bytes);
    });
    const wholeBody = method("whole", Bytes, Bytes);
    far.handle(wholeBody, async (bytes) => bytes);
    const sizes = [1, 32 * 1024 - 1, 32 * 1024, 65_535, 65_536, 128 * 1024, 3 * MIB];
    const sent = sizes.map((size) => Buffer.from(new SharedArrayBuffer(size)).map((_, at) => (at * 31) >> 3));
    const echoed = sent.map((bytes) => {
      near.notify(told, `before ${bytes.length}`);
      return near.request(echo, [`${bytes.length}`, bytes]);
    });
    for (const [at, answer] of (await Promise.all(echoed)).entries()) {
      expect(Buffer.compare(answer[1], sent[at] ?? Buffer.alloc(0))).toBe(0);
    }
    expect(seen).toEqual(sizes.flatMap((size) => [`before ${size}`, `${size}`]));
    for (const bytes of sent) {
      expect(Buffer.compare(await near.request(wholeBody, bytes), bytes)).toBe(0);
    }
  });

  test("a message with bytes behind its frame means the same however the network has cut it", async () => {
    const { near, far, socket } = await peerPair(cleanup);
    const got: Uint8Array[] = [];
    far.handle(told, async () => null);
    far.handle(method("keep", Bytes, Nothing), async (bytes) => {
      got.push(bytes);
      return null;
    });
    const bytes = Buffer.alloc(100_000, "abc");
    const { head, tail } = packFrame([FrameKind.notice, EPOCH, 0, "keep", bytes]);
    const message = Buffer.concat([head, tail ?? Buffer.alloc(0)]);
    for (const cut of [0, 1, 5, head.length - 1, head.length, head.length + 1]) {
      socket.send(message.subarray(0, cut), { binary: true, fin: false });
      socket.send(message.subarray(cut), { binary: true, fin: true });
    }
    expect(await near.request(told, "x")).toBeNull();
    expect(got.map((one) => Buffer.compare(one, bytes))).toEqual([0, 0, 0, 0, 0, 0]);
  });

  test("delivers notices in order with requests, and drops them after the end", async () => {
    const { near, far } = await peerPair(cleanup);
    const seen: string[] = [];
    far.handle(told, async (text) => {
      seen.push(text);
      return null;
    });
    far.handle(store, async (bytes) => bytes.byteLength + seen.length);
    near.notify(told, "a");
    near.notify(told, "b");
    expect(await near.request(store, Buffer.alloc(0))).toBe(2);
    near.close();
    near.notify(told, "c");
    expect(seen).toEqual(["a", "b"]);
  });

  test("an error of the handler crosses with its code; an unexpected one becomes REMOTE_FAILED and is logged", async () => {
    const { near, far, farLog } = await peerPair(cleanup);
    far.handle(store, async () => {
      throw new NeapError("DISK_FULL", "no room");
    });
    far.handle(told, async () => {
      throw new TypeError("secret detail");
    });
    await expect(near.request(store, Buffer.alloc(1))).rejects.toMatchObject({ code: "DISK_FULL", message: "no room" });
    const unexpected = await near.request(told, "x").catch((error: unknown) => error as NeapError);
    expect(unexpected).toMatchObject({ code: "REMOTE_FAILED" });
    expect(`${unexpected?.message}`).not.toContain("secret");
    await farLog.seen("failed unexpectedly");
  });

  test("an unknown method, a body and an answer of the wrong shape are BAD_MESSAGE, and the connection lives on", async () => {
    const { near, far } = await peerPair(cleanup);
    far.handle(told, async () => null);
    const unknown = method("unknown", Text, Text);
    const wrongBody = method("told", Count, Nothing);
    const wrongAnswer = method("told", Text, Text);
    await expect(near.request(unknown, "x")).rejects.toMatchObject({ code: "BAD_MESSAGE" });
    await expect(near.request(wrongBody, 1)).rejects.toMatchObject({ code: "BAD_MESSAGE" });
    await expect(near.request(wrongAnswer, "x")).rejects.toMatchObject({ code: "BAD_MESSAGE" });
    expect(await near.request(told, "x")).toBeNull();
  });

  test("a message above the limit is not sent, and the connection lives on", async () => {
    const { near, far } = await peerPair(cleanup, { limits: { messageMaxBytes: MIB } });
    far.handle(store, async (bytes) => bytes.byteLength);
    await expect(near.request(store, Buffer.alloc(MIB))).rejects.toMatchObject({ code: "MESSAGE_TOO_LARGE" });
    expect(await near.request(store, Buffer.alloc(MIB - 100))).toBe(MIB - 100);
  });

  test("a message above the limit that comes in ends the connection and nothing else", async () => {
    const { near, far } = await peerPair(cleanup, { farLimits: { messageMaxBytes: MIB } });
    far.handle(store, async (bytes) => bytes.byteLength);
    await expect(near.request(store, Buffer.alloc(2 * MIB))).rejects.toMatchObject({ code: "OWNER_UNAVAILABLE" });
    expect((await far.ended).code).toBe("OWNER_UNAVAILABLE");
  });

  test("an answer above the limit is MESSAGE_TOO_LARGE at the caller", async () => {
    const { near, far } = await peerPair(cleanup, { farLimits: { messageMaxBytes: MIB } });
    far.handle(echo, async ([text]) => fields(text, Buffer.alloc(2 * MIB)));
    await expect(near.request(echo, ["x", Buffer.alloc(0)])).rejects.toMatchObject({ code: "MESSAGE_TOO_LARGE" });
  });

  test("any bytes that are no message end the connection without an error in the host", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), async (garbage) => {
        const own = new Cleanup();
        const { far, socket } = await peerPair(own);
        socket.send(garbage);
        socket.close();
        expect(["BAD_MESSAGE", "EPOCH_CHANGED", "OWNER_UNAVAILABLE"]).toContain((await far.ended).code);
        await own.run();
      }),
      {
        numRuns: 30,
        examples: [
          [Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff)],
          [new Uint8Array(60).fill(0x91)],
          [Uint8Array.of(0xc1)],
          [Uint8Array.of(0xc1, 1, 0xff, 0xff, 0xff, 0xff, 0x90)],
          [Uint8Array.of(0xc1, 1, 0, 0, 0, 1, 0x90, 7)],
          [Uint8Array.of(0xc1, 2, 0, 0, 0, 2, 0x91, 1, 7)],
          [Uint8Array.of(0xc1, 3, 0, 0, 0, 2, 0x91, 0x91, 1, 7)],
        ],
      },
    );
  });

  test("an answer to a request that nobody asked ends the connection", async () => {
    const { far, socket } = await peerPair(cleanup);
    socket.send(joinFrames([pack([FrameKind.answer, EPOCH, 1, null])]));
    expect((await far.ended).code).toBe("BAD_MESSAGE");
  });

  test("F1: a request of another epoch is answered EPOCH_CHANGED and not carried out; another frame of it ends the connection", async () => {
    const { near, far, socket } = await peerPair(cleanup);
    let calls = 0;
    far.handle(store, async () => ++calls);
    socket.removeAllListeners("message");
    const answer = new Promise<Buffer>((resolve) => socket.once("message", resolve));
    socket.send(joinFrames([pack([FrameKind.request, EPOCH - 1, 1, "store", Buffer.alloc(0)])]));
    expect((await answer).toString("latin1")).toContain("EPOCH_CHANGED");
    socket.send(joinFrames([pack([FrameKind.notice, EPOCH - 1, 0, "store", Buffer.alloc(0)])]));
    expect((await far.ended).code).toBe("EPOCH_CHANGED");
    expect(calls).toBe(0);
    await near.ended;
  });

  test("everything outstanding is rejected when the connection is lost, and so is everything later", async () => {
    const { near, far, proxy } = await peerPair(cleanup);
    const begun = Promise.withResolvers<void>();
    far.handle(store, () => {
      begun.resolve();
      return new Promise(() => {});
    });
    const outstanding = [near.request(store, Buffer.alloc(1)), near.request(store, Buffer.alloc(1))];
    await begun.promise;
    proxy.drop();
    for (const one of outstanding) {
      await expect(one).rejects.toMatchObject({ code: "OWNER_UNAVAILABLE" });
    }
    await expect(near.request(store, Buffer.alloc(1))).rejects.toMatchObject({ code: "OWNER_UNAVAILABLE" });
    expect(near.failure?.code).toBe("OWNER_UNAVAILABLE");
  });

  test("a half-closed connection ends at both sides", async () => {
    const { near, far, proxy } = await peerPair(cleanup);
    proxy.halfClose("upstream");
    expect((await far.ended).code).toBe("OWNER_UNAVAILABLE");
    expect((await near.ended).code).toBe("OWNER_UNAVAILABLE");
  });

  test("a node that falls silent is noticed after three heartbeats, though nothing is closed", async () => {
    const timers = new ManualTime();
    const { near, proxy } = await peerPair(cleanup, { timers, limits: { heartbeatMs: 1_000 } });
    proxy.stall("downstream", "upstream");
    timers.advance(1_000);
    timers.advance(1_000);
    timers.advance(1_000);
    timers.advance(1_000);
    expect(near.failure).toMatchObject({ code: "OWNER_UNAVAILABLE" });
    expect(near.failure?.message).toContain("silent");
  });

  test("a node that says nothing but is alive stays connected", async () => {
    const timers = new ManualTime();
    const { near, far, socket } = await peerPair(cleanup, { timers, limits: { heartbeatMs: 1_000 } });
    for (let beats = 0; beats < 10; beats++) {
      const pong = new Promise((resolve) => socket.once("pong", resolve));
      timers.advance(1_000);
      await pong;
    }
    expect([near.failure, far.failure]).toEqual([undefined, undefined]);
  });

  test("requests wait while too much is unsent, and go on in their order", async () => {
    const { near, far, proxy, socket } = await peerPair(cleanup);
    const seen: number[] = [];
    far.handle(store, async (bytes) => {
      seen.push(bytes[0] ?? 0);
      return 0;
    });
    proxy.stall("upstream");
    const requests = Array.from({ length: 20 }, (_, i) => near.request(store, Buffer.alloc(MIB, i)));
    expect(socket.bufferedAmount).toBeLessThanOrEqual(HIGH_WATER_BYTES + 2 * MIB);
    proxy.resume();
    await Promise.all(requests);
    expect(seen).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });
});
