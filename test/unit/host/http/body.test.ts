import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BODY_BLOCK_BYTES, type Body, readBody } from "../../../../host/http/body.ts";
import { send } from "../../../support/http-fixture.ts";

const WHOLE_MAX_BYTES = 32 * 1024;
const LIMIT = { maxBytes: 8 * 1024 * 1024, code: "BODY_TOO_LARGE", what: "the body" } as const;
const pace = { clock: { now: () => 0, monotonic: () => 0 }, idleMs: 1000 };

let read: Body | undefined;
const server = createServer(async (request, response) => {
  read = await readBody({ request, response }, LIMIT, pace, WHOLE_MAX_BYTES);
  response.end();
});
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(() => server.close());

test("H27: a body is one piece up to the limit, and beyond it blocks that may be handed over, with the same bytes", async () => {
  const nearBlocks = fc
    .tuple(fc.nat(3), fc.integer({ min: -3, max: 3 }))
    .map(([blocks, more]) => blocks * BODY_BLOCK_BYTES + more);
  const sizes = fc.oneof(
    fc.nat(3 * WHOLE_MAX_BYTES),
    fc.integer({ min: -1, max: 1 }).map((more) => WHOLE_MAX_BYTES + more),
    nearBlocks,
  );
  await fc.assert(
    fc.asyncProperty(
      sizes.filter((size) => size >= 0),
      fc.boolean(),
      async (sizeBytes, chunked) => {
        const body = Buffer.from(Uint8Array.from({ length: sizeBytes }, (_, i) => (i * 2654435761) >>> 13));
        await send((server.address() as AddressInfo).port, "POST", "/", { body, chunked });
        expect(read?.kind).toBe(sizeBytes <= WHOLE_MAX_BYTES ? "whole" : "blocks");
        if (read?.kind === "whole") {
          expect(read.bytes.equals(body)).toBe(true);
        } else {
          const blocks = read?.blocks ?? [];
          expect(Buffer.concat(blocks).equals(body)).toBe(true);
          expect(new Set(blocks.map((block) => block.buffer)).size).toBe(Math.ceil(sizeBytes / BODY_BLOCK_BYTES));
          expect(blocks.every((block) => block.byteOffset === 0 && block.buffer.byteLength === BODY_BLOCK_BYTES)).toBe(true);
        }
      },
    ),
    { numRuns: 60 },
  );
});
