import { afterEach, describe, expect, test } from "vitest";
import {
  HeldStates,
  type MovedCall,
  type MovedTrace,
  type MoveReply,
  remoteTaker,
  serveMoves,
} from "../../../../host/offload/index.ts";
import { encodeMovedCall } from "../../../../host/offload/moved-call.ts";
import { STATE_PIECE_BYTES } from "../../../../host/offload/remote-state.ts";
import { type InstanceId, logBookId, type SeqNum } from "../../../../state/ids.ts";
import { Cleanup } from "../../../support/cluster.ts";
import { peerPair } from "../../../support/peer-pair.ts";

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const callWith = (guest: Uint8Array): MovedCall => ({
  tenant: logBookId("demo"),
  instance: "i" as InstanceId,
  init: new Uint8Array([1, 2, 3]),
  steps: {
    origin: "initialised",
    pins: { initialCursor: 1 as SeqNum, timeMs: 2, seed: new Uint8Array(16).fill(3), nonce: new Uint8Array(8).fill(4) },
    position: 5,
    cursor: 6 as SeqNum,
    dependency: 7 as SeqNum,
    touched: true,
    isChild: false,
    base: 8 as SeqNum,
    writes: 9,
    readsFrom: 10 as SeqNum,
    reading: {
      key: "k",
      end: 4_096,
      found: { version: 11 as SeqNum, timeMs: 12, value: { kind: "inline", bytes: new Uint8Array([13]) } },
    },
  },
  children: [{ instance: "child" as InstanceId, bound: true }, { code: -4 }, { instance: "other" as InstanceId, bound: false }],
  guest,
  cause: "data",
  writtenBytes: 14,
  moves: 3,
  cpuMs: 12.5,
  runCpuMs: 20.5,
  answer: { code: -1, timeMs: 11, bytes: new Uint8Array([5, 6]) },
});

const FAR = 4;
const TRACE: MovedTrace = {
  executedAt: ["far", "farther"],
  moves: [{ from: "far", to: "farther", reason: "its node stops", sizeBytes: 12 }],
  movedBytes: 13,
  readBytes: 14,
  cpuMs: 15.5,
};

/** Two nodes, of which the far one takes calls; no message between them may be longer than a piece and what is around it. */
async function nodes(take: (call: MovedCall) => Promise<MoveReply>) {
  const { near, far } = await peerPair(cleanup, { limits: { messageMaxBytes: STATE_PIECE_BYTES + 1_024 } });
  serveMoves(far, (node) => (node === FAR ? { name: "far", take } : null), HeldStates.serve(far));
  return { taker: remoteTaker(near, FAR, "far"), near };
}

describe("a call that moves to another node", () => {
  test.for([0, 10, 200_000, 3_000_000])(
    "H27: arrives as it left, with a guest of %i bytes, in short messages",
    async (sizeBytes) => {
      const sent = callWith(new Uint8Array(sizeBytes).fill(7));
      const output = new Uint8Array(sizeBytes).fill(9);
      let got: MovedCall | null = null;
      const { taker } = await nodes(async (call) => {
        got = call;
        return { kind: "ended", returnValue: -3, trap: "oh", output, trace: TRACE };
      });
      const reply = await taker.take(sent);
      expect(reply).toMatchObject({ kind: "ended", returnValue: -3, trap: "oh", trace: TRACE });
      expect(reply.kind === "ended" && Buffer.compare(reply.output, output)).toBe(0);
      const arrived = got ?? callWith(new Uint8Array(1));
      expect(Buffer.compare(arrived.guest, sent.guest)).toBe(0);
      expect(encodeMovedCall(arrived)).toEqual(encodeMovedCall(sent));
      expect(arrived.children).toEqual(sent.children);
    },
  );

  test.each(["logged", "refused", "lost"] as const)("is told that it was %s", async (kind) => {
    const told: MoveReply = kind === "logged" ? { kind, trace: TRACE } : { kind, reason: "because" };
    const { taker } = await nodes(async () => told);
    expect(await taker.take(callWith(new Uint8Array(3)))).toEqual(told);
  });

  test("is lost when the connection ends meanwhile", async () => {
    const { taker, near } = await nodes(() => new Promise(() => {}));
    const reply = taker.take(callWith(new Uint8Array(3)));
    setImmediate(() => near.close());
    expect(await reply).toMatchObject({ kind: "lost" });
  });
});
