import { expect, test } from "vitest";
import { BookState } from "../../../../state/logbook/book-state.ts";
import { RecordKind } from "../../../../state/logbook/index.ts";
import type { ReadResult } from "../../../../state/logbook/logbook.ts";
import { Waits } from "../../../../state/logbook/waits.ts";
import type { Timers } from "../../../../state/ports.ts";
import { at, BOOK, none, tagOf } from "../../../support/open-shard.ts";

/** Timers that run when the test says so. */
class CountedTimers implements Timers {
  readonly running = new Set<() => void>();

  after(_delayMs: number, action: () => void): () => void {
    this.running.add(action);
    return () => this.running.delete(action);
  }
}

test("[8] W1: whatever ends a wait, no timer, no listener and no entry of it is left", async () => {
  const timers = new CountedTimers();
  const waits = new Waits(timers);
  const book = new BookState(BOOK, { kindOf: () => RecordKind.append, drop() {}, hold() {} });
  const tag = tagOf("u/a");
  const owner = {};
  let found: ReadResult = { record: null, tail: at(1), modes: at(0) };
  const { signal } = new AbortController();
  const begin = (given = signal) =>
    waits
      .wait({ book, tag, owner, timeoutMs: 10, signal: given, look: () => found, isEnough: ({ record }) => record !== null })
      .catch((error: { code?: string }) => error.code);
  const applied = () => waits.applied(book, [{ kind: RecordKind.append, tags: [tag], data: none }]);

  const byTime = begin();
  applied();
  expect([waits.size, timers.running.size]).toEqual([1, 1]);
  for (const action of [...timers.running]) {
    action();
  }
  expect([await byTime, waits.size, timers.running.size]).toEqual([found, 0, 0]);

  const bySession = begin();
  waits.leaveAll({});
  expect(waits.size).toBe(1);
  waits.leaveAll(owner);
  expect([await bySession, waits.size, timers.running.size]).toEqual(["OWNER_UNAVAILABLE", 0, 0]);

  const giver = new AbortController();
  const byCaller = begin(giver.signal);
  giver.abort({ code: "GIVEN_UP" });
  expect([await byCaller, waits.size, timers.running.size]).toEqual(["GIVEN_UP", 0, 0]);

  const byRecord = begin();
  found = { record: { seqnum: at(2), kind: RecordKind.append, tags: [tag], timeMs: 0, data: none }, tail: at(2), modes: at(0) };
  applied();
  expect([await byRecord, waits.size, timers.running.size]).toEqual([found, 0, 0]);
});
