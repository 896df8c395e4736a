import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BODY_BLOCK_BYTES, type Body, discardRest, readBody } from "../../../../host/http/body.ts";
import { BodyRoom } from "../../../../host/http/body-room.ts";
import { hasCode } from "../../../../state/errors.ts";
import { eventually } from "../../../support/eventually.ts";
import { send } from "../../../support/http-fixture.ts";

const WHOLE_MAX_BYTES = 32 * 1024;
const LIMIT = { maxBytes: 8 * 1024 * 1024, code: "BODY_TOO_LARGE", what: "the body" } as const;
const room = new BodyRoom(5 * BODY_BLOCK_BYTES);
const reading = { clock: { now: () => 0, monotonic: () => 0 }, idleMs: 1000, bodies: room };

let read: Body | undefined;
/** The next answers wait for it. */
let held: Promise<void> | undefined;
const server = createServer(async (request, response) => {
  try {
    read = await readBody({ request, response }, LIMIT, reading, WHOLE_MAX_BYTES);
    await held;
  } catch (error) {
    response.statusCode = hasCode(error, "OVERLOADED") ? 503 : 500;
    discardRest(request);
  }
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

test("bodies that are read together have so much memory at most, until they are answered; small ones are always let in", async () => {
  const { port } = server.address() as AddressInfo;
  const body = Buffer.alloc(3 * BODY_BLOCK_BYTES);
  const hold = Promise.withResolvers<void>();
  held = hold.promise;
  const first = send(port, "POST", "/", { body });
  await eventually("the first one is read", () => room.usedBytes === body.byteLength);
  expect((await send(port, "POST", "/", { body })).status).toBe(503);
  expect(room.usedBytes).toBe(body.byteLength);
  held = undefined;
  expect((await send(port, "POST", "/", { body: Buffer.alloc(50_000) })).status).toBe(200);
  hold.resolve();
  expect((await first).status).toBe(200);
  await eventually("its room is free", () => room.usedBytes === 0);
  expect((await send(port, "POST", "/", { body })).status).toBe(200);
});
