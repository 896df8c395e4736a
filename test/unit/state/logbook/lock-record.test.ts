import { expect, test } from "vitest";
import { type InstanceId, NO_SEQNUM, type SeqNum } from "../../../../state/ids.ts";
import { encodeLock, lockOf } from "../../../../state/logbook/lock-record.ts";
import { encodeStep, NO_FINGERPRINT } from "../../../../state/logbook/step-record.ts";

test("a lock record says for which transaction it is, if for one; those of before did not, and are read all the same", () => {
  const header = { fingerprint: NO_FINGERPRINT, pins: null };
  const taking = { instance: "i" as InstanceId, inTransaction: true, root: "r" as InstanceId, token: NO_SEQNUM };
  const of = (snapshot: SeqNum | null) => encodeStep(header, encodeLock({ ...taking, snapshot }));
  for (const snapshot of [7 as SeqNum, null]) {
    expect(lockOf(of(snapshot))).toEqual({ ...taking, snapshot });
  }
  expect(lockOf(of(7 as SeqNum).subarray(0, -8))).toEqual({ ...taking, snapshot: null });
});
