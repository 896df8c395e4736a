import { request as httpRequest, type IncomingMessage } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CallResult, StoredBytes } from "../../../../host/invocation/index.ts";
import { HttpFixture } from "../../../support/http-fixture.ts";

const MIB = 1024 * 1024;

/** A blob of letters that tells how much of it was asked for, and when it was let go of. */
class Watched {
  taken = 0;
  readonly #released = Promise.withResolvers<void>();
  readonly released = this.#released.promise;
  readonly #count: number;

  constructor(count: number) {
    this.#count = count;
  }

  get bytes(): StoredBytes {
    return { sizeBytes: this.#count * MIB, pieces: this.#pieces() };
  }

  async *#pieces(): AsyncGenerator<Uint8Array> {
    try {
      for (; this.taken < this.#count; ) {
        this.taken += 1;
        yield Buffer.alloc(MIB, "x");
      }
    } finally {
      this.#released.resolve();
    }
  }
}

let http: HttpFixture;
let output: CallResult["output"] = Buffer.alloc(0);

beforeAll(async () => {
  http = await HttpFixture.start();
  http.invocations.functions.set("long", () => ({ output }));
  http.invocations.functions.set("fails", () => ({ returnValue: 3, output }));
});
afterAll(() => http.close());

interface Route {
  readonly name: string;
  readonly ask: () => Promise<{ method: string; path: string; body?: string }>;
  /** Of the answer's text. */
  readonly outputOf: (text: string) => string;
}

const v1 = (name: string) => `/v1/tenants/demo/functions/${name}/calls`;

/** A call that has ended, by its location. */
async function ended(): Promise<{ location: string; id: number }> {
  const accepted = await http.send("POST", v1("long"), { headers: { Prefer: "respond-async" } });
  return { location: `${accepted.headers.location}`, id: JSON.parse(accepted.text).id };
}

const ROUTES: readonly Route[] = [
  {
    name: "a Faasm call",
    ask: async () => ({ method: "POST", path: "/f/", body: JSON.stringify({ user: "demo", function: "long" }) }),
    outputOf: (text) => text,
  },
  { name: "a native call", ask: async () => ({ method: "POST", path: v1("long") }), outputOf: (text) => text },
  {
    name: "a native call that fails",
    ask: async () => ({ method: "POST", path: v1("fails") }),
    outputOf: (text) => Buffer.from(JSON.parse(text).outputBase64, "base64").toString(),
  },
  {
    name: "a native status",
    ask: async () => ({ method: "GET", path: (await ended()).location }),
    outputOf: (text) => Buffer.from(JSON.parse(text).outputBase64, "base64").toString(),
  },
  {
    name: "a Faasm status",
    ask: async () => ({
      method: "POST",
      path: "/f/",
      body: JSON.stringify({ user: "demo", status: true, id: (await ended()).id }),
    }),
    outputOf: (text) => JSON.parse(text).output_data,
  },
];

describe.for(ROUTES)("H27: the output that is the answer of $name", ({ ask, outputOf }) => {
  test("is streamed from its blob, which is let go of at the end", async () => {
    const blob = new Watched(3);
    output = blob.bytes;
    const { method, path, body = "" } = await ask();
    const answer = await http.send(method, path, { body });
    expect(outputOf(answer.text) === "x".repeat(3 * MIB)).toBe(true);
    await blob.released;
  });

  test("is let go of when the client goes away, having been read no faster than the client did", async () => {
    const blob = new Watched(256);
    output = blob.bytes;
    const { method, path, body = "" } = await ask();
    const asked = httpRequest(`${http.url}${path}`, { method });
    const answer = new Promise<IncomingMessage>((resolve) => asked.once("response", resolve));
    asked.end(body);
    (await answer).destroy();
    await blob.released;
    expect(blob.taken).toBeLessThan(128);
  });
});

test("H27: an output in memory is written in pieces, with its length", async () => {
  output = Buffer.alloc(5 * MIB, "x");
  for (const { ask } of ROUTES.slice(0, 2)) {
    const { method, path, body = "" } = await ask();
    const answer = await http.send(method, path, { body });
    expect(answer.headers["content-length"]).toBe(`${5 * MIB}`);
    expect(answer.text === "x".repeat(5 * MIB)).toBe(true);
  }
});

test("what cannot be read ends the connection in the middle of the answer", async () => {
  output = {
    sizeBytes: 2 * MIB,
    pieces: (async function* () {
      yield Buffer.alloc(MIB, "x");
      throw new Error("the disk is gone");
    })(),
  };
  for (const { ask } of ROUTES.slice(0, 2)) {
    const { method, path, body = "" } = await ask();
    await expect(http.send(method, path, { body })).rejects.toThrow();
  }
});
