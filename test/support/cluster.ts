/** An owner that other nodes reach over real sockets, and such nodes. */
import { randomBytes } from "node:crypto";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";
import type { Shard } from "../../state/logbook/index.ts";
import type { Random, Timers } from "../../state/ports.ts";
import { ClusterServer, connectToOwner, type Log, type OwnerConnection, type PeerLimits } from "../../state/remote/index.ts";
import { openTestShard, type TestShard } from "./open-shard.ts";
import { systemTimers } from "./system-timers.ts";

export const KEY = "the key of the test's cluster";

export const systemRandom: Random = { bytes: (sizeBytes) => randomBytes(sizeBytes) };

export { systemTimers };

/** Keeps what is logged, and lets a test wait for it. */
export class RecordedLog implements Log {
  readonly lines: string[] = [];
  readonly #waiters: { readonly part: string; readonly resolve: () => void }[] = [];

  info(message: string): void {
    this.#add(`info ${message}`);
  }
  warn(message: string, fields: { code?: string } = {}): void {
    this.#add(`warn ${message} ${fields.code ?? ""}`);
  }
  error(message: string, fields: { code?: string } = {}): void {
    this.#add(`error ${message} ${fields.code ?? ""}`);
  }

  /** Resolves when a line holds `part`. */
  seen(part: string): Promise<void> {
    if (this.lines.some((line) => line.includes(part))) {
      return Promise.resolve();
    }
    return new Promise((resolve) => this.#waiters.push({ part, resolve }));
  }

  #add(line: string): void {
    this.lines.push(line);
    for (const { part, resolve } of this.#waiters) {
      if (line.includes(part)) {
        resolve();
      }
    }
  }
}

export interface TestOwner {
  readonly test: TestShard;
  readonly server: ClusterServer;
  readonly url: string;
  readonly log: RecordedLog;
  stop(): Promise<void>;
}

export interface ClusterParts {
  readonly key?: string;
  readonly timers?: Timers;
  readonly limits?: PeerLimits;
  readonly journalId?: string;
  readonly random?: Random;
  /** Stands between the connections and their sessions. */
  readonly session?: (session: Shard) => Shard;
}

/** A cluster server on a free port, in front of a shard over a journal in memory. */
export async function startOwner(test: TestShard, parts: ClusterParts & { port?: number } = {}): Promise<TestOwner> {
  const log = new RecordedLog();
  const {
    key = KEY,
    timers = systemTimers,
    limits,
    journalId = test.journal.id,
    port = 0,
    random = systemRandom,
    session,
  } = parts;
  const openSession = (): Shard => (session ?? ((own) => own))(test.shard.openSession());
  const server = await ClusterServer.start({
    listenHost: "127.0.0.1",
    listenPort: port,
    key,
    nodeName: "owner",
    shard: { journalId, epoch: test.shard.epoch, openSession },
    random,
    timers,
    log,
    ...(limits !== undefined && { limits }),
  });
  const stop = async (): Promise<void> => {
    await server.close();
    await test.shard.close();
  };
  return { test, server, url: `ws://127.0.0.1:${server.port}`, log, stop };
}

export interface TestNode {
  readonly connection: OwnerConnection;
  readonly log: RecordedLog;
}

export function connectNode(url: string, parts: ClusterParts & { nodeName?: string } = {}): TestNode {
  const log = new RecordedLog();
  const { key = KEY, timers = systemTimers, limits, nodeName = "compute", random = systemRandom } = parts;
  const options = { url, key, nodeName, random, timers, log };
  return { connection: connectToOwner(limits === undefined ? options : { ...options, limits }), log };
}

/** Stops what it was given at the end of a test, the last first. */
export class Cleanup {
  readonly #actions: (() => Promise<unknown>)[] = [];

  async run(): Promise<void> {
    for (const action of this.#actions.splice(0).reverse()) {
      await action();
    }
  }

  add(action: () => Promise<unknown>): void {
    this.#actions.push(action);
  }
}

/** A ws server that does what the test tells it, and its address. */
export async function listeningSockets(cleanup: Cleanup): Promise<{ sockets: WebSocketServer; url: string }> {
  const sockets = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
  await new Promise((resolve) => sockets.once("listening", resolve));
  cleanup.add(() => {
    for (const socket of sockets.clients) {
      socket.terminate();
    }
    return new Promise((resolve) => sockets.close(resolve));
  });
  return { sockets, url: `ws://127.0.0.1:${(sockets.address() as AddressInfo).port}` };
}

/** An owner with a fresh shard; `cleanup` stops it. */
export async function freshOwner(cleanup: Cleanup, parts: ClusterParts = {}): Promise<TestOwner> {
  const owner = await startOwner(await openTestShard(), parts);
  cleanup.add(() => owner.stop());
  return owner;
}

/** A node connected to `url`; `cleanup` closes it. */
export function freshNode(cleanup: Cleanup, url: string, parts: ClusterParts & { nodeName?: string } = {}): TestNode {
  const node = connectNode(url, parts);
  cleanup.add(() => node.connection.close());
  return node;
}
