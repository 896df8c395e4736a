import { describe, expect, test } from "vitest";
import { ArenaRequests, ProcessArena } from "../../../../../host/sandbox/arenas/index.ts";
import type { OutgoingFrame } from "../../../../../host/sandbox/frames/carrier.ts";
import { blankFrame, type Frame, FrameType } from "../../../../../host/sandbox/frames/protocol.ts";

function opened() {
  const sent: OutgoingFrame[] = [];
  const requests = new ArenaRequests((frame) => sent.push(frame));
  const arena = new ProcessArena(7, 16, (frame) => sent.push(frame), requests);
  /** Answers what was asked last. */
  const answer = (said: Partial<Frame>) =>
    requests.answered({ ...blankFrame(), type: FrameType.arenaAnswer, call: sent.at(-1)?.call ?? 0, ...said });
  return { sent, requests, arena, answer };
}

describe("H24: a memory in a process that says what it likes", () => {
  test("is worth the bytes that it answers with, if they are as many as were asked for", async () => {
    const { arena, answer } = opened();
    const read = arena.read(100, 3);
    expect(answer({ body: Uint8Array.of(1, 2, 3) })).toBeUndefined();
    expect(await read).toEqual(Uint8Array.of(1, 2, 3));
    const loaded = arena.load(4);
    expect(answer({ a: -5 })).toBeUndefined();
    expect(await loaded).toBe(-5);
    for (const length of [0, 2, 4]) {
      const other = arena.read(100, 3);
      expect(answer({ body: new Uint8Array(length) })).toBe(`an answer of ${length} bytes in place of 3`);
      await expect(other).rejects.toMatchObject({ code: "OVERLOADED" });
    }
    const written = arena.write(0, Uint8Array.of(9));
    expect(answer({ body: Uint8Array.of(9) })).toBe("an answer of 1 bytes in place of 0");
    await expect(written).rejects.toMatchObject({ code: "OVERLOADED" });
  });

  test("answers each request once, and none that nobody has made", async () => {
    const { arena, answer } = opened();
    const loaded = arena.load(4);
    expect([answer({}), answer({}), answer({ call: 1_000 })]).toEqual([
      undefined,
      "an answer that nobody waits for",
      "an answer that nobody waits for",
    ]);
    expect(await loaded).toBe(0);
  });

  test("fails as one of the host's own does when there is no room, and passes by when the process ends", async () => {
    const { arena, answer, requests } = opened();
    const grown = arena.grow(2);
    answer({ code: 1 });
    await expect(grown).rejects.toBeInstanceOf(RangeError);
    const waiting = arena.clear(0, 8);
    requests.end();
    await expect(waiting).rejects.toMatchObject({ code: "OVERLOADED" });
    arena.processEnded();
    await expect(arena.load(0)).rejects.toMatchObject({ code: "OVERLOADED" });
  });

  test("is told of an entry of the handle table without an answer", () => {
    const { arena, sent } = opened();
    arena.enter(3, (5n << 32n) | 65536n);
    expect(sent.at(-1)).toMatchObject({ type: FrameType.arenaRequest, a: 7, x: 3 });
    expect(Buffer.from(sent.at(-1)?.body ?? []).readBigInt64LE()).toBe((5n << 32n) | 65536n);
  });
});
