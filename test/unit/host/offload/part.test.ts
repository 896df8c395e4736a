import fc from "fast-check";
import { expect, it } from "vitest";
import type { ModuleHash } from "../../../../host/modules/artefact.ts";
import {
  decodePartReply,
  decodePartRequest,
  encodePartReply,
  encodePartRequest,
  type PartReply,
  type PartRequest,
} from "../../../../host/offload/index.ts";
import type { InstanceId, SeqNum } from "../../../../state/ids.ts";
import { logBookId } from "../../../../state/ids.ts";

const seqnum = fc.maxSafeNat() as fc.Arbitrary<SeqNum>;
const bytes = (sizeBytes: number) => fc.uint8Array({ minLength: sizeBytes, maxLength: sizeBytes });
const state = fc.record({ delta: fc.uint8Array(), hostState: fc.uint8Array() });
const steps = fc.record({
  origin: fc.constantFrom("unlogged" as const, "initialised" as const, "pinned" as const),
  pins: fc.record({ initialCursor: seqnum, timeMs: fc.maxSafeNat(), seed: bytes(16), nonce: bytes(8) }),
  position: fc.nat(),
  cursor: seqnum,
  dependency: seqnum,
  touched: fc.boolean(),
  isChild: fc.boolean(),
  base: seqnum,
  writes: fc.nat(),
  readsFrom: seqnum,
});
const request: fc.Arbitrary<PartRequest> = fc.record({
  tenant: fc.constant(logBookId("ndp")),
  instance: fc.string({ minLength: 1 }) as unknown as fc.Arbitrary<InstanceId>,
  offer: fc.nat(),
  module: fc.string() as unknown as fc.Arbitrary<ModuleHash>,
  init: fc.uint8Array(),
  steps,
  writtenBytes: fc.nat(),
  part: fc.record({ snapshotHash: fc.string(), tableIndex: fc.nat(), state }),
});
const reply: fc.Arbitrary<PartReply> = fc.oneof(
  fc.record({ kind: fc.constant("done" as const), value: fc.integer(), steps, writtenBytes: fc.nat(), state, cpuMs: fc.nat() }),
  fc.record({ kind: fc.constant("trapped" as const), message: fc.string(), steps, writtenBytes: fc.nat(), cpuMs: fc.nat() }),
  fc.record({ kind: fc.constant("refused" as const), reason: fc.string() }),
  fc.record({ kind: fc.constant("lost" as const), reason: fc.string() }),
);

it("a part request arrives as it was sent", () => {
  fc.assert(
    fc.property(request, (sent) => {
      expect(decodePartRequest(new Uint8Array(encodePartRequest(sent)))).toEqual(sent);
    }),
  );
});

it("a part reply arrives as it was sent", () => {
  fc.assert(
    fc.property(reply, (sent) => {
      expect(decodePartReply(new Uint8Array(encodePartReply(sent)))).toEqual(sent);
    }),
  );
});

it("bytes that are no request are refused with an error, whatever they are", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (garbage) => {
      try {
        decodePartRequest(garbage);
      } catch (error) {
        expect(["RangeError", "TypeError", "NeapError"]).toContain((error as Error).name);
      }
    }),
  );
});
