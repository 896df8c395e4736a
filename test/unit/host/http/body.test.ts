import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BODY_BLOCK_BYTES, type Body, discardRest, readBody } from "../../../../host/http/body.ts";
import { BodyRoom } from "../../../../host/http/body-room.ts";
import { hasCode } from "../../../../state/errors.ts";
import { logBookId } from "../../../../state/ids.ts";
import { eventually } from "../../../support/eventually.ts";
import { send } from "../../../support/http-fixture.ts";

const WHOLE_MAX_BYTES = 32 * 1024;
const LIMIT = { maxBytes: 8 * 1024 * 1024, code: "BODY_TOO_LARGE", what: "the body" } as const;
const room = new BodyRoom(8 * BODY_BLOCK_BYTES);
const reading = { clock: { now: () => 0, monotonic: () => 0 }, idleMs: 1000, bodies: room };

let read: Body | undefined;
/** The next answers wait for it. A request says whose it is `before` its body is read, or `after`. */
let held: Promise<void> | undefined;
const server = createServer(async (request, response) => {
  try {
    const { before, after } = request.headers;
    if (typeof before === "string") {
      room.giveTo(logBookId(before), response);
    }
    read = await readBody({ request, response }, LIMIT, reading, WHOLE_MAX_BYTES);
    if (typeof after === "string") {
      room.giveTo(logBookId(after), response);
    }
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

const block = (count: number) => Buffer.alloc(count * BODY_BLOCK_BYTES);
const post = (body: Uint8Array, headers: Record<string, string> = {}) =>
  send((server.address() as AddressInfo).port, "POST", "/", { body, headers });

/** Sends bodies that keep their room while `during` runs. */
async function holding(bodies: readonly Parameters<typeof post>[], during: () => Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  held = promise;
  const answers: Promise<{ status: number }>[] = [];
  let sizeBytes = 0;
  for (const [body, headers] of bodies) {
    answers.push(post(body, headers));
    sizeBytes += body.byteLength;
    await eventually("it is read", () => room.usedBytes === sizeBytes);
  }
  held = undefined;
  await during();
  resolve();
  expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(bodies.map(() => 200));
  await eventually("its room is free", () => room.usedBytes === 0);
}

test("bodies that are read together have so much memory at most, until they are answered; small ones are always let in", async () => {
  await holding([[block(3)]], async () => {
    expect((await post(block(3))).status).toBe(503);
    await eventually("what was read of it is free", () => room.usedBytes === block(3).byteLength);
    expect((await post(Buffer.alloc(50_000))).status).toBe(200);
  });
  expect((await post(block(3))).status).toBe(200);
});

test("no tenant, and no address whose tenants are not known, has more room than is free: others have some", async () => {
  const a = { before: "a" };
  await holding([[block(3), a]], async () => {
    expect((await post(block(2), a)).status).toBe(503);
    expect((await post(block(2), { before: "b" })).status).toBe(200);
    expect((await post(block(2))).status).toBe(200);
  });
  await holding([[block(3)]], async () => {
    expect((await post(block(2))).status).toBe(503);
    expect((await post(block(2), { before: "b" })).status).toBe(200);
  });
  const many = [[block(4), a] as const, [block(2), { before: "b" }] as const, [block(1), { before: "c" }] as const];
  await holding(
    many.map(([body, headers]) => [body, headers]),
    async () => expect((await post(block(0.5), { before: "d" })).status).toBe(200),
  );
});

test("the room of a body is its tenant's from when that is known, and no more its address's", async () => {
  await holding([[block(3), { after: "a" }]], async () => {
    expect((await post(block(2), { before: "a" })).status).toBe(503);
    expect((await post(block(2), { after: "a" })).status).toBe(503);
    expect((await post(block(2), { after: "b" })).status).toBe(200);
  });
});
