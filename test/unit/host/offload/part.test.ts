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
import type { BlobName, InstanceId, SeqNum, Tag } from "../../../../state/ids.ts";
import { logBookId } from "../../../../state/ids.ts";
import type { ReadQuery } from "../../../../state/protocols/index.ts";

const seqnum = fc.maxSafeNat() as fc.Arbitrary<SeqNum>;
const bytes = (sizeBytes: number) => fc.uint8Array({ minLength: sizeBytes, maxLength: sizeBytes });
const state = fc.record({ delta: fc.uint8Array(), hostState: fc.uint8Array() });
const value = fc.oneof(
  fc.record({ kind: fc.constant("inline" as const), bytes: fc.uint8Array() }),
  fc.record({
    kind: fc.constant("blob" as const),
    ref: fc.record({ name: fc.string() as unknown as fc.Arbitrary<BlobName>, sizeBytes: fc.nat() }),
  }),
);
const found = fc.record({ version: seqnum, timeMs: fc.nat(), value: fc.option(value) });
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
  reading: fc.option(fc.record({ key: fc.string(), end: fc.nat(), found })),
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
const look = fc.record({
  what: fc.constantFrom("prev" as const, "next" as const, "tail" as const),
  tag: fc.string({ minLength: 1, maxLength: 9, unit: "grapheme-ascii" }) as unknown as fc.Arbitrary<Tag>,
  bound: seqnum,
});
const query: fc.Arbitrary<ReadQuery> = fc.oneof(
  fc.record({ kind: fc.constant("version" as const), key: fc.string() }),
  fc.record({ kind: fc.constant("list" as const), prefix: fc.string(), after: fc.string(), limit: fc.nat() }),
  fc.record({ kind: fc.constant("noFunction" as const), name: fc.string() }),
  fc.record({ kind: fc.constant("look" as const), look }),
);
const reads = fc.option(fc.array(fc.record({ query, cursor: seqnum, position: fc.nat(), seenBytes: fc.nat() })));
const left = { steps, reads, writtenBytes: fc.nat(), cpuMs: fc.nat() };
const reply: fc.Arbitrary<PartReply> = fc.oneof(
  fc.record({ kind: fc.constant("done" as const), value: fc.integer(), state, ...left }),
  fc.record({ kind: fc.constant("trapped" as const), message: fc.string(), ...left }),
  fc.record({ kind: fc.constant("refused" as const), reason: fc.string() }),
  fc.record({ kind: fc.constant("lost" as const), reason: fc.string(), mayGoOn: fc.boolean() }),
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
