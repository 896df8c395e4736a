import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { mutated } from "./apply.ts";
import { mutations } from "./mutations.ts";
import { runMutation } from "./run.ts";

/** Each is caught by another kind of test. `npm run mutate` runs all. */
const SAMPLE = ["F8: an answer leaves before it is durable", "F11: a first step below the floor is accepted"];

/**
 * Defects that were found in the published prototypes, or by thinking this design through, each with the mutation that has it here. Not
 * among them: an array that drops what is pushed at its limit, as there are no arrays, and a lease that is measured from the wrong end,
 * as on one machine the lock on the folder is the lease.
 */
const KNOWN_DEFECTS: Readonly<Record<string, string>> = {
  // Of Boki's and Halfmoon's artifacts
  "gap crashes engine": "[4] a gap is a failure of the owner",
  "loser goes on": "[18] an attempt goes on after it was fenced",
  "no winner on conflict": "[3] the loser of a race does not learn the winner's record",
  "lost consecutive write": "[31] consecutive log-free writes have one version: the second is lost",
  "cursor not advanced at join": "[37] the cursor does not move at a join",
  "completed call unreadable on replay": "[40] a call that was completed is run again instead of read",
  "lock replay leaves cursor behind": "[55] the replay of a lock leaves the cursor behind",
  "read-only locks never released": "[55] the locks of a transaction that only reads are never released",
  "in-place dependent writes": "F14: an update of a cell is conditional on nothing",
  "float64 versions": "[15] seqnums may be above 2^53, where they are not exact",
  "eventually consistent reads": "[33] a read of a cell may be an old one",
  "two orders of transitional writes": "[48] a transitional write has another order in each place",
  "transitional read of one store": "[48] a transitional read looks into one place",
  "base cell = latest cell": "[48a] an object that has no version is what its cell holds",
  "repeated switch loses updates": "[45] a switch ends before the places of its objects are brought together",
  "no recovery scanner": "[24] nobody scans for what a crash has left",
  "root output not stored": "[23] the output of a root is not stored",
  "no collection of versions": "[54] superseded versions are never collected",
  "no collection of streams": "[54] streams of finished instances are never collected",
  "parked reads do not advance": "[8] of those that wait for a record only the first is looked at",
  // Of the rules F1 to F40
  "old-epoch read accepted": "F1: a read of an old epoch is accepted",
  "durable notice of another epoch accepted": "F1: a durable notice of another epoch is accepted",
  "first step below the floor accepted": "F11: a first step below the floor is accepted",
  "conflict at position 0 adopted": "F13: a first step that was lost to another attempt is adopted",
  "failed object condition not logged": "F10: a failed object condition is not logged",
  "condition from current length": "F14: an update's condition is the version of now",
  "delete before the GC record is durable": "F4: what a collection lets go of is deleted before its record is durable",
  "blob name without nonce": "F7: a blob's name is the same in each epoch",
  "record framed before its blob is flushed": "F6: a blob gets its name before it is flushed",
  "record without its blob": "F6: the owner takes a record whose blob it does not hold",
  "answer waits for writes only": "F8: an answer waits for what the call has written only",
  "status shows undurable DONE": "F8: a status shows a DONE that is not durable",
  "recovered tail not flushed again": "F12: the recovered tail is not flushed again",
  "checkpoint of applied state": "F19: a checkpoint of what is applied and not durable",
  "Halfmoon-write without INIT": "F2: a log-free write is made before any record of its own",
  "cell write not journalled": "F3: a log-free write is in memory only",
  "late delta applied": "F21: a late reply of a part is applied",
  "frozen call performed twice": "F22: what a stopped call was answered is forgotten, and it asks again",
  "END with an un-INITed old-mode attempt": "F18: the end of a switch leaves the floor where it was",
  "spawn without dispatch": "F16: a spawned call is recorded and never dispatched",
  "child result without DONE": "F17: a child's result is used without its DONE",
  "folder of a live owner": "F9: a folder that another process has is opened",
};

test("[61] every known defect of such systems is a mutation", () => {
  const names = new Set(mutations.map(({ name }) => name));
  expect(Object.values(KNOWN_DEFECTS).filter((name) => !names.has(name))).toEqual([]);
});

test("[61] every mutation still applies: its text is in its file once, and the change is one", () => {
  for (const mutation of mutations) {
    expect(mutated(mutation), mutation.name).not.toBe(mutated({ ...mutation, replace: mutation.find }));
  }
  expect(new Set(mutations.map(({ name }) => name)).size).toBe(mutations.length);
});

test("[61] the tests that are to notice a mutation are there", () => {
  const missing = mutations.filter(({ caughtBy: [path] }) => !existsSync(new URL(`../../${path}`, import.meta.url)));
  expect(missing.map(({ name }) => name)).toEqual([]);
});

test("a mutation whose text is not there, or there twice, is refused", () => {
  const mutation = { name: "m", file: "f", find: "a", replace: "b", caughtBy: ["t"] as const };
  expect(mutated(mutation, "xay")).toBe("xby");
  expect(() => mutated(mutation, "xy")).toThrow("0 times");
  expect(() => mutated(mutation, "xaya")).toThrow("2 times");
});

test.each(SAMPLE)("[61] a test fails with the defect %s", { timeout: 300_000 }, async (name) => {
  const mutation = mutations.find((one) => one.name === name);
  const run = mutation && (await runMutation(mutation));
  expect(run?.caught, run?.output ?? `there is no mutation ${name}`).toBe(true);
});
