import { afterEach, describe, expect, test } from "vitest";
import type { ModuleHash } from "../../../../host/modules/artefact.ts";
import {
  type PartReply,
  type PartRequest,
  remoteStoragePool,
  type StoragePool,
  serveParts,
} from "../../../../host/offload/index.ts";
import { STATE_PIECE_BYTES } from "../../../../host/offload/remote-state.ts";
import { isShared } from "../../../../host/sandbox/frames/shared-bytes.ts";
import type { GuestState } from "../../../../host/sandbox/sandbox.ts";
import { type InstanceId, logBookId, type SeqNum } from "../../../../state/ids.ts";
import { Cleanup } from "../../../support/cluster.ts";
import { peerPair } from "../../../support/peer-pair.ts";

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const steps = {
  origin: "pinned",
  pins: { initialCursor: 1 as SeqNum, timeMs: 1, seed: new Uint8Array(16), nonce: new Uint8Array(8) },
  position: 1,
  cursor: 1 as SeqNum,
  dependency: 1 as SeqNum,
  touched: true,
  isChild: false,
  base: 1 as SeqNum,
  writes: 0,
  readsFrom: 1 as SeqNum,
  reading: null,
} as const;

function stateOf(deltaBytes: number, hostBytes: number, fill: number): GuestState {
  return { delta: new Uint8Array(deltaBytes).fill(fill), hostState: new Uint8Array(hostBytes).fill(fill + 1) };
}

const requestWith = (state: GuestState): PartRequest => ({
  tenant: logBookId("ndp"),
  instance: "i" as InstanceId,
  offer: 1,
  module: "m" as ModuleHash,
  init: new Uint8Array(3),
  steps,
  writtenBytes: 5,
  part: { snapshotHash: "s", tableIndex: 2, state },
});

/** Two nodes, of which the far one runs parts; no message between them may be longer than a piece and what is around it. */
async function nodes(run: (request: PartRequest) => Promise<PartReply>) {
  const cancelled: PartRequest[] = [];
  const limits = { messageMaxBytes: STATE_PIECE_BYTES + 1_024 };
  const { near, far } = await peerPair(cleanup, { limits });
  const pool: StoragePool = { name: "far", run, cancel: (request) => cancelled.push(request) };
  serveParts(far, pool);
  return { pool: remoteStoragePool(near), near, cancelled };
}

const same = (a: GuestState, b: GuestState): boolean =>
  Buffer.compare(a.delta, b.delta) === 0 && Buffer.compare(a.hostState, b.hostState) === 0;

describe("a part on another node", () => {
  test.for([
    [0, 0],
    [10, 3],
    [100_000, 50_000],
    [3_000_000, 700_000],
    [0, 1_000_000],
  ] as const)(
    "H27: gets a state of %i and %i bytes, and gives one back, in messages that are short",
    async ([deltaBytes, hostBytes]) => {
      const [there, back] = [stateOf(deltaBytes, hostBytes, 1), stateOf(hostBytes, deltaBytes, 5)];
      let got: GuestState | null = null;
      const { pool } = await nodes(async ({ part }) => {
        got = part.state;
        return { kind: "done", value: 7, steps, reads: [], writtenBytes: 6, state: back, cpuMs: 1 };
      });
      const reply = await pool.run(requestWith(there));
      expect(reply).toMatchObject({ kind: "done", value: 7 });
      expect(got !== null && same(got, there)).toBe(true);
      expect(reply.kind === "done" && same(reply.state, back)).toBe(true);
      const isLarge = deltaBytes + hostBytes > STATE_PIECE_BYTES;
      expect(reply.kind === "done" && isShared(reply.state.delta)).toBe(isLarge);
    },
  );

  test("goes on again and again: nothing of a run is kept after it", async () => {
    const large = stateOf(30 * 1024 * 1024, 0, 1);
    const { pool } = await nodes(async () => ({
      kind: "done",
      value: 7,
      steps,
      reads: [],
      writtenBytes: 6,
      state: large,
      cpuMs: 1,
    }));
    for (let runs = 0; runs < 5; runs += 1) {
      expect((await pool.run(requestWith(large))).kind).toBe("done");
    }
  });

  test("that is cancelled while its state is on the way does not run", async () => {
    let started = 0;
    const { pool, cancelled } = await nodes(async () => {
      started += 1;
      return { kind: "refused", reason: "not expected" };
    });
    const request = requestWith(stateOf(1_000_000, 0, 1));
    const running = pool.run(request);
    pool.cancel(request);
    expect(await running).toMatchObject({ kind: "lost", mayGoOn: false });
    expect([started, cancelled.length]).toEqual([0, 1]);
  });

  test("F17: whose node is lost in the middle is lost, and may go on", async () => {
    const { pool, near } = await nodes(async () => {
      near.close();
      return { kind: "refused", reason: "not heard" };
    });
    expect(await pool.run(requestWith(stateOf(1_000_000, 0, 1)))).toMatchObject({ kind: "lost", mayGoOn: true });
  });
});
