import { afterEach, describe, expect, test } from "vitest";
import type { LogBookId, SeqNum } from "../../../../state/ids.ts";
import { type AppendResult, type NewRecord, RecordKind, type Shard } from "../../../../state/logbook/index.ts";
import { pack } from "../../../../state/remote/frames.ts";
import { PROTOCOL_VERSION } from "../../../../state/remote/handshake.ts";
import { method } from "../../../../state/remote/method.ts";
import { Text } from "../../../../state/shape.ts";
import { Cleanup, freshNode, freshOwner, listeningSockets, startOwner, type TestOwner } from "../../../support/cluster.ts";
import { FlakyProxy } from "../../../support/flaky-proxy.ts";
import { ManualTime } from "../../../support/manual-time.ts";
import { BOOK, bytes, openTestShard, tagOf } from "../../../support/open-shard.ts";

const TIMEOUT_MS = 10_000;
const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const x = tagOf("t/x");
const write = (text: string): NewRecord => ({ kind: RecordKind.write, tags: [x], data: bytes(text) });
const seqnumOf = (result: AppendResult): SeqNum => {
  if (result.kind !== "appended") {
    throw new Error(`expected appended, got ${result.kind}`);
  }
  return result.seqnum;
};

/** A node that reaches the owner through a proxy. */
async function throughProxy(owner: TestOwner, timers?: ManualTime) {
  const proxy = await FlakyProxy.start(owner.server.port);
  cleanup.add(() => proxy.close());
  const node = freshNode(cleanup, `ws://127.0.0.1:${proxy.port}`, timers === undefined ? {} : { timers });
  return { ...node, proxy };
}

/** Resolves when the stream x of the owner holds `length` records. */
async function ordered(shard: Shard, length: number): Promise<void> {
  while ((await shard.book(BOOK).readStream(x, 0)).length < length) {
    await new Promise(setImmediate);
  }
}

describe("a node's connection to the owner", () => {
  test("has no session before it is connected, and gives everybody who waits the same one", async () => {
    const owner = await freshOwner(cleanup);
    const { connection } = freshNode(cleanup, owner.url);
    expect(connection.current()).toBeUndefined();
    const [one, two] = await Promise.all([connection.available(TIMEOUT_MS), connection.available(TIMEOUT_MS)]);
    expect(one).toBe(two);
    expect(connection.current()).toBe(one);
    expect(one.epoch).toBe(owner.test.shard.epoch);
  });

  test("an owner that is not there is OWNER_UNAVAILABLE after the time given, and found when it comes", async () => {
    const timers = new ManualTime();
    const gone = await startOwner(await openTestShard());
    await gone.stop();
    const { connection, log } = freshNode(cleanup, gone.url, { timers });
    const patient = connection.available(TIMEOUT_MS);
    const hasty = connection.available(100);
    await log.seen("cannot be reached");
    const owner = await startOwner(await openTestShard(), { port: gone.server.port });
    cleanup.add(() => owner.stop());
    timers.advance(100);
    await expect(hasty).rejects.toMatchObject({ code: "OWNER_UNAVAILABLE" });
    expect((await patient).epoch).toBe(1);
  });

  test("closing refuses those who wait and those who come later", async () => {
    const gone = await startOwner(await openTestShard());
    await gone.stop();
    const { connection } = freshNode(cleanup, gone.url);
    const waiting = connection.available(TIMEOUT_MS);
    await connection.close();
    await expect(waiting).rejects.toMatchObject({ code: "OWNER_UNAVAILABLE" });
    await expect(connection.available(TIMEOUT_MS)).rejects.toMatchObject({ code: "OWNER_UNAVAILABLE" });
  });

  test("that is closed, or given up before there is one, is no reason to warn anybody", async () => {
    const owner = await freshOwner(cleanup);
    const { connection, log } = freshNode(cleanup, owner.url);
    const session = await connection.available(TIMEOUT_MS);
    await connection.close();
    await session.ended;
    const { sockets: silent, url } = await listeningSockets(cleanup);
    const early = freshNode(cleanup, url);
    const ended = new Promise<void>((resolve) =>
      silent.on("connection", (socket) => {
        socket.on("close", () => resolve());
        void early.connection.close();
      }),
    );
    await ended;
    expect([...log.lines, ...early.log.lines].filter((line) => !line.startsWith("info"))).toEqual([]);
  });

  test("an owner that cannot show the key is refused", async () => {
    const { sockets: impostor, url } = await listeningSockets(cleanup);
    impostor.on("connection", (socket) => {
      socket.on("error", () => {});
      socket.send(pack(["neap cluster", PROTOCOL_VERSION, Buffer.alloc(32)]));
      socket.on("message", () => socket.send(pack([Buffer.alloc(32), "journal", 1, "owner"])));
    });
    const { connection, log } = freshNode(cleanup, url);
    await expect(connection.available(TIMEOUT_MS)).rejects.toMatchObject({ code: "CLUSTER_KEY_REFUSED" });
    expect(connection.current()).toBeUndefined();
    expect(log.lines.some((line) => line.startsWith("error"))).toBe(true);
  });

  test("bytes that are no handshake do no harm, and the node tries on", async () => {
    const { sockets: impostor, url } = await listeningSockets(cleanup);
    let connections = 0;
    const again = new Promise<void>((resolve) => {
      impostor.on("connection", (socket) => {
        socket.on("error", () => {});
        socket.send(Buffer.from([0xc1, 0xff, 0x00]));
        if (++connections === 2) {
          resolve();
        }
      });
    });
    const { connection } = freshNode(cleanup, url);
    await again;
    expect(connection.current()).toBeUndefined();
  });

  test("both ends can offer methods of the host before the first message", async () => {
    const greet = method("host.greet", Text, Text);
    const owner = await freshOwner(cleanup);
    const answered = new Promise<string>((resolve, reject) => {
      owner.server.onPeer((peer, session) => {
        peer.handle(greet, async (name) => `${name} in epoch ${session.epoch}`);
        peer.request(greet, "owner").then(resolve, reject);
      });
    });
    const { connection } = freshNode(cleanup, owner.url);
    connection.onPeer((peer) => peer.handle(greet, async (name) => `hello ${name}`));
    await connection.available(TIMEOUT_MS);
    expect(await connection.peer()?.request(greet, "node")).toBe("node in epoch 1");
    expect(await answered).toBe("hello owner");
  });

  test.each([
    { what: "another journal", journalId: "another" },
    { what: "an older epoch of the journal", journalId: "memory" },
  ])("$what under the same address is refused loudly", async ({ journalId }) => {
    const fresh = await openTestShard();
    const first = await startOwner(await fresh.crash(), { journalId: "memory" });
    const { connection, log } = freshNode(cleanup, first.url);
    const session = await connection.available(TIMEOUT_MS);
    expect(session.epoch).toBe(2);
    await first.stop();
    await session.ended;
    const second = await startOwner(await openTestShard(), { port: first.server.port, journalId });
    cleanup.add(() => second.stop());
    await log.seen("WRONG_JOURNAL");
    await expect(connection.available(TIMEOUT_MS)).rejects.toMatchObject({ code: "WRONG_JOURNAL" });
    expect(connection.current()).toBeUndefined();
  });
});

describe("a lost connection", () => {
  test("ends the session; what is asked of it later is refused, and the next session is another", async () => {
    const owner = await freshOwner(cleanup);
    const { connection, proxy } = await throughProxy(owner);
    const session = await connection.available(TIMEOUT_MS);
    proxy.drop();
    await session.ended;
    await expect(session.book(BOOK).tail()).rejects.toMatchObject({ code: "OWNER_UNAVAILABLE" });
    await expect(session.whenDurable(1 as SeqNum)).rejects.toMatchObject({ code: "OWNER_UNAVAILABLE" });
    const next = await connection.available(TIMEOUT_MS);
    expect(next).not.toBe(session);
    await expect(session.book(BOOK).append({ records: [write("late")] })).rejects.toMatchObject({ code: "OWNER_UNAVAILABLE" });
    expect((await next.book(BOOK).readStream(x, 0)).length).toBe(0);
  });

  test("in the middle of an append leaves the record in the log at most once: here once, as the answer was lost", async () => {
    const owner = await freshOwner(cleanup);
    const { connection, proxy } = await throughProxy(owner);
    const session = await connection.available(TIMEOUT_MS);
    proxy.stall("downstream");
    const append = session.book(BOOK).append({ records: [write("1")], when: [{ tag: x, length: 0 }] });
    await ordered(owner.test.shard, 1);
    proxy.drop();
    proxy.resume();
    await expect(append).rejects.toMatchObject({ code: "OWNER_UNAVAILABLE" });
    const next = await connection.available(TIMEOUT_MS);
    const again = await next.book(BOOK).append({ records: [write("1")], when: [{ tag: x, length: 0 }] });
    expect(again.kind).toBe("conflict");
    expect((await next.book(BOOK).readStream(x, 0)).length).toBe(1);
  });

  test("in the middle of an append leaves the record in the log at most once: here not at all, as the request was lost", async () => {
    const owner = await freshOwner(cleanup);
    const { connection, proxy } = await throughProxy(owner);
    const session = await connection.available(TIMEOUT_MS);
    proxy.stall("upstream");
    const append = session.book(BOOK).append({ records: [write("1")], when: [{ tag: x, length: 0 }] });
    proxy.drop();
    proxy.resume();
    await expect(append).rejects.toMatchObject({ code: "OWNER_UNAVAILABLE" });
    const next = await connection.available(TIMEOUT_MS);
    const again = await next.book(BOOK).append({ records: [write("1")], when: [{ tag: x, length: 0 }] });
    expect(again.kind).toBe("appended");
    expect((await next.book(BOOK).readStream(x, 0)).length).toBe(1);
  });

  test("is noticed when everything stalls and nothing is closed, and the node finds the owner again", async () => {
    const timers = new ManualTime();
    const owner = await freshOwner(cleanup);
    const { connection, proxy } = await throughProxy(owner, timers);
    const session = await connection.available(TIMEOUT_MS);
    proxy.stall("upstream", "downstream");
    const append = session.book(BOOK).append({ records: [write("1")] });
    for (let beats = 0; beats < 4; beats++) {
      timers.advance(1_000);
    }
    await expect(append).rejects.toMatchObject({ code: "OWNER_UNAVAILABLE" });
    await session.ended;
    proxy.drop();
    proxy.resume();
    await new Promise(setImmediate);
    timers.advance(50);
    expect(await connection.available(TIMEOUT_MS)).not.toBe(session);
  });
});

describe("F1: a restarted owner", () => {
  test("F1: a node that was told 'appended' and waits for durability never gets an answer from the next epoch", async () => {
    const first = await startOwner(await openTestShard());
    const { connection } = freshNode(cleanup, first.url);
    const session = await connection.available(TIMEOUT_MS);
    await session.whenDurable(seqnumOf(await session.book(BOOK).append({ records: [write("durable")] })));
    first.test.journal.automatic = false;
    const lost = seqnumOf(await session.book(BOOK).append({ records: [write("lost")] }));
    const durable = session.whenDurable(lost);
    const outcome = durable.then(
      () => "answered",
      (error: { code: string }) => error.code,
    );

    const second = await startOwner(await first.test.crash(), { journalId: first.test.journal.id });
    const others = second.test.shard.book("bob" as LogBookId);
    let theirs = seqnumOf(await others.append({ records: [write("theirs")] }));
    while (theirs <= lost) {
      theirs = seqnumOf(await others.append({ records: [write("theirs")] }));
    }
    await second.test.shard.whenDurable(theirs);
    await first.server.close();
    await second.stop();
    const third = await startOwner(await second.test.crash(), { port: first.server.port, journalId: first.test.journal.id });
    cleanup.add(() => third.stop());

    expect(await outcome).toBe("OWNER_UNAVAILABLE");
    const next = await connection.available(TIMEOUT_MS);
    expect(next.epoch).toBeGreaterThan(session.epoch);
    await next.whenDurable(lost);
    await expect(session.whenDurable(lost)).rejects.toMatchObject({ code: "EPOCH_CHANGED" });
    await expect(session.book(BOOK).tail()).rejects.toMatchObject({ code: "EPOCH_CHANGED" });
    await expect(session.book(BOOK).readPrev(x, lost)).rejects.toMatchObject({ code: "EPOCH_CHANGED" });
    const { records } = await next.book(BOOK).readStream(x, 0);
    expect(records.map(({ data }) => Buffer.from(data).toString())).toEqual(["durable"]);
  });

  test("[29] F29: an initial cursor asked for after another node was answered covers what that node wrote", async () => {
    const owner = await freshOwner(cleanup);
    const one = await freshNode(cleanup, owner.url).connection.available(TIMEOUT_MS);
    const two = await freshNode(cleanup, owner.url).connection.available(TIMEOUT_MS);
    await two.book(BOOK).tail();
    const seqnum = seqnumOf(await one.book(BOOK).append({ records: [write("mine")] }));
    expect(await two.book(BOOK).tail()).toBeGreaterThanOrEqual(seqnum);
  });
});
