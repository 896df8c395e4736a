import { connect } from "node:net";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { NeapError, STATE_ERRORS } from "../../../../state/errors.ts";
import type { InstanceId } from "../../../../state/ids.ts";
import { MODES, RecordKind, type Shard } from "../../../../state/logbook/index.ts";
import { pack } from "../../../../state/remote/frames.ts";
import type { Method } from "../../../../state/remote/index.ts";
import * as methods from "../../../../state/remote/shard-methods.ts";
import { Anything } from "../../../../state/shape.ts";
import { stepTag } from "../../../../state/tags.ts";
import { Cleanup, freshNode, freshOwner, listeningSockets, systemRandom } from "../../../support/cluster.ts";
import { ManualTime } from "../../../support/manual-time.ts";
import { BOOK, bytes } from "../../../support/open-shard.ts";

const TIMEOUT_MS = 10_000;
const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const closed = (socket: WebSocket): Promise<number> => new Promise((resolve) => socket.once("close", resolve));
const message = (socket: WebSocket): Promise<unknown> => new Promise((resolve) => socket.once("message", resolve));

/** A connection that has got the owner's challenge and can answer as it likes. */
async function stranger(url: string): Promise<WebSocket> {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  socket.on("error", () => {});
  await message(socket);
  return socket;
}

describe("the cluster server", () => {
  test("refuses a node with another key, says so, and serves the others", async () => {
    const owner = await freshOwner(cleanup);
    const wrong = freshNode(cleanup, owner.url, { key: "another key" });
    await expect(wrong.connection.available(TIMEOUT_MS)).rejects.toMatchObject({ code: "CLUSTER_KEY_REFUSED" });
    await expect(wrong.connection.available(TIMEOUT_MS)).rejects.toMatchObject({ code: "CLUSTER_KEY_REFUSED" });
    expect(wrong.log.lines.some((line) => line.startsWith("error") && line.includes("CLUSTER_KEY_REFUSED"))).toBe(true);
    await owner.log.seen("refused CLUSTER_KEY_REFUSED");
    const right = freshNode(cleanup, owner.url);
    const shard = await right.connection.available(TIMEOUT_MS);
    expect(await shard.book(BOOK).tail()).toBe(await owner.test.shard.book(BOOK).tail());
  });

  test("closes with 4401 when the proof is wrong, and with 4400 when it is none", async () => {
    const owner = await freshOwner(cleanup);
    const forger = await stranger(owner.url);
    forger.send(pack([Buffer.alloc(32), Buffer.alloc(32), "compute", Buffer.alloc(16)]));
    expect(await closed(forger)).toBe(4401);
    for (const nonsense of [
      Buffer.from([0xc1]),
      pack("hello"),
      pack([1, 2, 3]),
      pack([Buffer.alloc(32), Buffer.alloc(5), 7, null]),
    ]) {
      const socket = await stranger(owner.url);
      socket.send(nonsense);
      expect(await closed(socket)).toBe(4400);
    }
    expect(owner.server.peers).toEqual([]);
  });

  test("a proof that was good once is worth nothing on another connection", async () => {
    const owner = await freshOwner(cleanup);
    const { sockets: eavesdropper, url } = await listeningSockets(cleanup);
    const heard = new Promise<Buffer>((resolve) => {
      eavesdropper.on("connection", (near) => {
        const far = new WebSocket(owner.url);
        far.on("message", (data) => near.send(data));
        far.on("close", () => near.close());
        near.on("message", (data) => {
          resolve(data as Buffer);
          far.send(data);
        });
        near.on("close", () => far.close());
      });
    });
    await freshNode(cleanup, url).connection.available(TIMEOUT_MS);
    const replaying = await stranger(owner.url);
    replaying.send(await heard);
    expect(await closed(replaying)).toBe(4401);
    expect(owner.server.peers).toHaveLength(1);
  });

  test("drops a connection that never authenticates, whether it speaks HTTP or not", async () => {
    const timers = new ManualTime();
    const owner = await freshOwner(cleanup, { timers });
    const mute = connect(owner.server.port, "127.0.0.1");
    mute.on("error", () => {});
    const muteClosed = new Promise((resolve) => mute.once("close", resolve));
    const idle = await stranger(owner.url);
    const idleClosed = closed(idle);
    timers.advance(5_000);
    await Promise.all([muteClosed, idleClosed]);
    expect(owner.log.lines.filter((line) => line.includes("did not authenticate"))).toHaveLength(2);
  });

  test("drops a connection that sends much before it authenticates", async () => {
    const owner = await freshOwner(cleanup);
    const talker = await stranger(owner.url);
    talker.send(Buffer.alloc(1024 * 1024));
    await closed(talker);
    await owner.log.seen("sent too much");
  });

  test("answers plain HTTP with 426", async () => {
    const owner = await freshOwner(cleanup);
    const answer = await fetch(owner.url.replace("ws:", "http:"));
    expect(answer.status).toBe(426);
  });

  test("two nodes hold their instances apart, and what one held is free when its connection ends", async () => {
    const owner = await freshOwner(cleanup);
    const first = freshNode(cleanup, owner.url, { nodeName: "first" });
    const second = freshNode(cleanup, owner.url, { nodeName: "second" });
    const one = await first.connection.available(TIMEOUT_MS);
    const two = await second.connection.available(TIMEOUT_MS);
    const instance = "i-1" as InstanceId;
    await one.book(BOOK).append({ records: [{ kind: RecordKind.init, tags: [stepTag(instance)], data: bytes("input") }] });
    expect(await two.claim(10)).toEqual([]);
    expect(await two.unfinished(BOOK)).toMatchObject([{ book: BOOK, instance, parked: false }]);
    await two.release(BOOK, instance);
    expect(await two.claim(10)).toEqual([]);
    await first.connection.close();
    await owner.log.seen("a node has disconnected");
    expect(await two.claim(10)).toMatchObject([{ book: BOOK, instance }]);
    expect(owner.server.peers.map(({ name }) => name)).toEqual(["second"]);
  });

  test("the next connection of a node process ends the one before", async () => {
    const owner = await freshOwner(cleanup);
    const random = { bytes: (sizeBytes: number) => (sizeBytes === 16 ? new Uint8Array(16) : systemRandom.bytes(sizeBytes)) };
    const before = await freshNode(cleanup, owner.url, { random, timers: new ManualTime() }).connection.available(TIMEOUT_MS);
    const after = await freshNode(cleanup, owner.url, { random }).connection.available(TIMEOUT_MS);
    await before.ended;
    expect(await after.claim(1)).toEqual([]);
    expect(owner.server.peers).toHaveLength(1);
  });

  test("a turn that a lost node was waiting for or had goes to the next", async () => {
    const owner = await freshOwner(cleanup);
    const first = freshNode(cleanup, owner.url);
    const one = await first.connection.available(TIMEOUT_MS);
    const tag = stepTag("x" as InstanceId);
    await one.book(BOOK).turn(tag);
    const next = owner.test.shard.book(BOOK).turn(tag);
    await first.connection.close();
    expect((await next).tail).toBe(await owner.test.shard.book(BOOK).tail());
  });

  test("waits of many callers for durability reach the owner as one", async () => {
    const asked: number[] = [];
    const counted = (session: Shard): Shard => {
      const whenDurable = session.whenDurable.bind(session);
      return Object.assign(session, {
        whenDurable: (seqnum: Parameters<Shard["whenDurable"]>[0]) => {
          asked.push(seqnum);
          return whenDurable(seqnum);
        },
      });
    };
    const owner = await freshOwner(cleanup, { session: counted });
    const shard = await freshNode(cleanup, owner.url).connection.available(TIMEOUT_MS);
    const record = { kind: RecordKind.write, tags: [], data: bytes("x") };
    const results = await Promise.all(Array.from({ length: 100 }, () => shard.book(BOOK).append({ records: [record] })));
    const seqnums = results
      .map((result) => (result.kind === "appended" ? result.seqnum : undefined))
      .filter((one) => one !== undefined);
    expect(seqnums).toHaveLength(100);
    await Promise.all(seqnums.map((seqnum) => shard.whenDurable(seqnum)));
    expect(asked).toEqual([Math.max(...seqnums)]);
  });
});

/** Whatever msgpack can say. */
const anything = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom(null, true, false, 0, -1, 1.5, 2 ** 53, Number.NaN, "", "alice", "i/x", "../../etc"),
    fc.integer(),
    fc.string({ maxLength: 20 }),
    fc.uint8Array({ maxLength: 20 }).map((array) => Buffer.from(array)),
    fc.array(tie("value"), { maxLength: 5 }),
    fc.dictionary(fc.string({ maxLength: 5 }), tie("value"), { maxKeys: 3 }),
  ),
})).value;

/** Bodies of the right shape, with any content. */
const text = fc.oneof(fc.constantFrom("alice", "i/x", "o/k", "", "../x"), fc.string({ maxLength: 20 }));
const count = fc.oneof(fc.nat(20), fc.maxSafeNat());
const data = fc.uint8Array({ maxLength: 64 }).map((array) => Buffer.from(array));
const newRecord = fc.tuple(
  fc.constantFrom(...Object.values(RecordKind)),
  fc.array(text, { maxLength: 3 }),
  data,
  fc.option(fc.double()),
  fc.array(fc.tuple(text, fc.double()), { maxLength: 2 }),
  fc.option(text),
  fc.option(text),
);
const condition = fc.tuple(text, fc.constantFrom(0, 1, 2), fc.double());
const cellWrite = fc.tuple(
  text,
  fc.tuple(count, fc.constantFrom(0, 1), count),
  fc.constantFrom(RecordKind.write, RecordKind.delete),
  data,
  fc.array(fc.tuple(text, fc.double()), { maxLength: 2 }),
  count,
  text,
);
const mode = fc.constantFrom(...MODES);
const shaped: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  append: fc.tuple(text, fc.array(newRecord, { maxLength: 3 }), fc.array(condition, { maxLength: 3 })),
  readPrev: fc.tuple(text, text, count, count),
  readNext: fc.tuple(text, text, count, count),
  awaitNext: fc.tuple(text, text, count, fc.double(), count),
  endAwait: count,
  tailOf: fc.tuple(text, text, count),
  setAux: fc.tuple(text, text, count, fc.uint8Array({ maxLength: 20 })),
  readStream: fc.tuple(text, text, count),
  readCell: fc.tuple(text, text, count, count),
  writeCell: fc.tuple(text, cellWrite),
  modeAt: fc.tuple(text, text, count),
  scopes: fc.tuple(text, text, fc.boolean()),
  switchMode: fc.tuple(text, text, mode, fc.boolean()),
  chooseDefault: fc.tuple(text, mode),
  listObjects: fc.tuple(text, text, text, count, count, count),
  tail: fc.tuple(text),
  turn: fc.tuple(text, text, count),
  endTurn: count,
  lock: fc.tuple(text, text),
  lockTurn: fc.tuple(text, text, text, count),
  locks: fc.tuple(text, text),
  books: fc.tuple(count),
  whenDurable: count,
  claim: count,
  release: fc.tuple(text, text),
  hold: fc.tuple(text, text),
  unfinished: fc.tuple(text, count),
  "blob.create": fc.tuple(fc.nat(3), text),
  "blob.write": fc.tuple(fc.nat(3), data),
  "blob.commit": fc.nat(3),
  "blob.abort": fc.nat(3),
  "blob.discard": fc.array(text, { maxLength: 3 }),
  "blob.size": text,
  "blob.open": fc.tuple(fc.nat(3), text),
  "blob.readOpen": fc.tuple(fc.nat(3), count, count),
  "blob.close": fc.nat(3),
  "blob.read": fc.tuple(text, count, count),
};

describe("whatever an authenticated node asks", () => {
  test("has every method of the shard in its generator", () => {
    const names = Object.values(methods).flatMap((one) => (typeof one === "object" && "answer" in one ? [one.name] : []));
    expect(Object.keys(shaped).sort()).toEqual(names.sort());
  });

  test("is answered, or refused with a code of the table, and the owner lives on", async () => {
    const owner = await freshOwner(cleanup);
    const { connection } = freshNode(cleanup, owner.url);
    await connection.available(TIMEOUT_MS);
    const peer = connection.peer();
    const request = (method: Method<unknown, unknown>, body: unknown): Promise<unknown> =>
      peer === undefined ? Promise.reject(new Error("not connected")) : peer.request(method, body);
    const outcomes: Promise<unknown>[] = [];
    const requests = fc
      .constantFrom(...Object.keys(shaped), "unknown")
      .chain((name) => fc.tuple(fc.constant(name), fc.oneof(anything, shaped[name] ?? anything)));
    fc.assert(
      fc.property(fc.array(requests, { minLength: 1, maxLength: 20 }), (asked) => {
        for (const [name, body] of asked) {
          const method: Method<unknown, unknown> = { name, body: Anything, answer: Anything };
          outcomes.push(request(method, body).catch((error: unknown) => error));
        }
      }),
      { numRuns: 500 },
    );
    // Turns are given away one after the other; the requests that wait for one are refused with the connection's end.
    expect(await (await connection.available(TIMEOUT_MS)).book(BOOK).tail()).toBeGreaterThan(0);
    await connection.close();
    const refusals = (await Promise.all(outcomes)).flatMap((one) => (one instanceof NeapError ? [one.code] : []));
    expect(refusals.filter((code) => !(code in STATE_ERRORS))).toEqual([]);
    expect(refusals).toContain("BAD_MESSAGE");
    expect(refusals.length).toBeLessThan(outcomes.length * 0.9);
    expect(owner.log.lines.filter((line) => line.includes("failed unexpectedly"))).toEqual([]);
    const again = freshNode(cleanup, owner.url);
    expect((await again.connection.available(TIMEOUT_MS)).epoch).toBe(owner.test.shard.epoch);
  });
});
