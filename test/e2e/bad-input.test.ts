import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { text as textOf } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { buildFunctions } from "../../functions/build.ts";
import { moduleOf, section, wat } from "../support/guest-modules.ts";
import { type RunningHost, removeFolder, sampleModule, startHost, temporaryFolder, upload } from "../support/host-process.ts";

const MODULE_MAX_BYTES = 100_000;
const INPUT_MAX_BYTES = 4096;
/** The body of POST /f/ is JSON around the input, whose characters may need escapes. */
const BODY_MAX_BYTES = 2 * INPUT_MAX_BYTES + 64 * 1024;
const OBJECT_MAX_BYTES = 200_000;

let folder: string;
let host: RunningHost;
let before: unknown;

async function json(path: string): Promise<unknown> {
  const response = await fetch(`${host.url}${path}`);
  expect(response.status).toBe(200);
  return response.json();
}

/** What a refused request must not change. */
const world = async () => [
  await json("/v1/tenants/demo/functions"),
  await json("/v1/tenants/demo/objects"),
  await json("/v1/tenants/demo/instances"),
];

beforeAll(async () => {
  await buildFunctions({ force: false });
  folder = temporaryFolder("bad-input");
  const limits = {
    "module-max-bytes": MODULE_MAX_BYTES,
    "input-max-bytes": INPUT_MAX_BYTES,
    "object-max-bytes": OBJECT_MAX_BYTES,
  };
  host = await startHost({
    dataDirectory: folder,
    flags: Object.entries(limits).flatMap(([name, value]) => [`--${name}`, String(value)]),
  });
  await upload(host.url, "demo", "hello", sampleModule("hello"));
  await upload(host.url, "demo", "counter", sampleModule("counter"));
  const response = await fetch(`${host.url}/v1/tenants/demo/objects/kept`, { method: "PUT", body: "some text" });
  expect(response.status).toBe(200);
  before = await world();
});

afterEach(async () => {
  expect(await world()).toEqual(before);
});

afterAll(async () => {
  await host?.kill();
  removeFolder(folder);
});

interface Refusal {
  readonly status: number;
  readonly code: string | null;
  readonly text: string;
}

async function send(
  method: string,
  path: string,
  body?: string | Uint8Array,
  headers: Record<string, string> = {},
): Promise<Refusal> {
  const sent = typeof body === "object" ? body.slice() : body;
  const response = await fetch(`${host.url}${path}`, { method, headers, ...(sent !== undefined && { body: sent }) });
  return { status: response.status, code: response.headers.get("neap-error"), text: await response.text() };
}

const post = (body: string | object, headers: Record<string, string> = {}) =>
  send("POST", "/f/", typeof body === "string" ? body : JSON.stringify(body), { "content-type": "application/json", ...headers });

const refused = (status: number, code: string, text: string | RegExp): object => ({
  status,
  code,
  text: typeof text === "string" ? expect.stringContaining(text) : expect.stringMatching(text),
});

describe("modules that are refused", () => {
  const main = `(func (export "main"))`;
  const hello = sampleModule("hello");
  const cases: [string, () => Uint8Array, number, string, string | RegExp][] = [
    ["nothing", () => new Uint8Array(0), 400, "MODULE_INVALID", "the upload is empty"],
    [
      "text",
      () => Buffer.from("#!/bin/sh\n"),
      400,
      "MODULE_INVALID",
      "not WebAssembly: the upload begins with the bytes 23 21 2f 62",
    ],
    [
      "a module cut off in the middle",
      () => hello.subarray(0, hello.length / 2),
      400,
      "MODULE_INVALID",
      /truncated: code section at offset \d+ says \d+ bytes, \d+ are left/,
    ],
    [
      "a module cut off in its header",
      () => hello.subarray(0, 6),
      400,
      "MODULE_INVALID",
      "truncated: the module's header has 8 bytes, the upload 6",
    ],
    [
      "an import that is not offered",
      () => wat(`(module (import "env" "getpid" (func (result i32))) (memory 1) ${main})`),
      400,
      "MODULE_IMPORT_UNKNOWN",
      `"env.getpid" () -> (i32) is not offered by this host`,
    ],
    [
      "an import of another type",
      () => wat(`(module (import "neap" "input_size" (func (param i64))) (memory 1) ${main})`),
      400,
      "MODULE_IMPORT_UNKNOWN",
      `"neap.input_size" has type (i64) -> (), this host offers () -> (i32)`,
    ],
    [
      "more bytes than allowed",
      () => moduleOf(section(0, 1, 0x78, ...new Array<number>(MODULE_MAX_BYTES).fill(0))),
      413,
      "MODULE_TOO_LARGE",
      `the limit of ${MODULE_MAX_BYTES} bytes`,
    ],
    [
      "more memory than allowed",
      () => wat(`(module (memory 5000) ${main})`),
      400,
      "MODULE_LIMIT",
      /memory section at offset \d+: the memory begins with 5000 pages of 64 KiB, at most 4096 are allowed/,
    ],
    [
      "a shared memory beside one of its own",
      () => wat(`(module (import "env" "memory" (memory 1 2 shared)) (memory 1) ${main})`),
      400,
      "MODULE_IMPORT_UNKNOWN",
      /import section at offset \d+: "env.memory" is a memory/,
    ],
    ["no memory", () => wat(`(module ${main})`), 400, "MODULE_LIMIT", "has no memory"],
    [
      "two memories",
      () => moduleOf(section(5, 2, 0, 1, 0, 1)),
      400,
      "MODULE_LIMIT",
      "memory section at offset 10: 2 memories, at most 1 are allowed",
    ],
    ["no entry", () => wat("(module (memory 1))"), 400, "MODULE_NO_ENTRY", "must export main"],
    [
      "a start function that traps",
      () => wat(`(module (memory 1) ${main} (func $s unreachable) (start $s))`),
      400,
      "MODULE_START_FAILED",
      "start function: unreachable",
    ],
  ];

  it.each(cases)("%s", async (_what, module, status, code, text) => {
    for (const name of ["new", "hello"]) {
      expect(await send("PUT", `/f/demo/${name}`, module())).toEqual(refused(status, code, text));
    }
    expect(await post({ user: "demo", function: "hello" })).toMatchObject({ status: 200, text: "Hello, world!" });
  });
});

describe("calls that are refused", () => {
  const ok = { user: "demo", function: "counter", input_data: "count" };
  const cases: [string, string | object, number, string, string | RegExp][] = [
    ["an empty body", "", 400, "BAD_REQUEST", "Empty request"],
    ["half a JSON object", '{"user": "demo", "function"', 400, "MALFORMED_JSON", /ends too early, at position 27/],
    ["no JSON", "{user: demo}", 400, "MALFORMED_JSON", 'unexpected "u" at position 1 (line 1, column 2)'],
    ["an array", [ok], 400, "BAD_REQUEST", "must be a JSON object, is an array"],
    ["null", "null", 400, "BAD_REQUEST", "must be a JSON object, is null"],
    ["a number for user", { ...ok, user: 1 }, 400, "BAD_REQUEST", "user must be a string, is a number"],
    ["an object for input_data", { ...ok, input_data: {} }, 400, "BAD_REQUEST", "input_data must be a string, is an object"],
    ["text for async", { ...ok, async: "true" }, 400, "BAD_REQUEST", "async must be a boolean, is a string"],
    ["a fraction for id", { ...ok, id: 1.5 }, 400, "BAD_REQUEST", "id must be a whole number, is 1.5"],
    ["an id out of range", { ...ok, id: 2 ** 31 }, 400, "BAD_REQUEST", "id must be a whole number from 1 to 2147483647"],
    ["no user", { function: "counter" }, 400, "BAD_REQUEST", "Empty user"],
    ["no function", { user: "demo" }, 400, "BAD_REQUEST", "Empty function"],
    ["an unknown function", { ...ok, function: "nothing" }, 404, "UNKNOWN_FUNCTION", 'demo has no function "nothing"'],
    ["an unknown tenant", { ...ok, user: "nobody" }, 404, "UNKNOWN_FUNCTION", 'nobody has no function "counter"'],
    [
      "an input that is too large",
      { ...ok, input_data: "x".repeat(INPUT_MAX_BYTES + 1) },
      413,
      "BODY_TOO_LARGE",
      /input_data is 4097 bytes/,
    ],
    ["a body that is too large", " ".repeat(BODY_MAX_BYTES + 1), 413, "BODY_TOO_LARGE", `the limit of ${BODY_MAX_BYTES} bytes`],
    ["an unknown id to poll", { id: 12345, status: true }, 404, "UNKNOWN_CALL", "no call has the id 12345"],
    ["an unknown id for a graph", { id: 12345, exec_graph: true }, 404, "UNKNOWN_CALL", "no call has the id 12345"],
    ["a poll without an id", { status: true }, 400, "BAD_REQUEST", "id must be"],
    ["an unknown type", { ...ok, type: 9 }, 400, "BAD_REQUEST", "Invalid message type"],
  ];

  it.each(cases)("%s", async (_what, body, status, code, text) => {
    expect(await post(body)).toEqual(refused(status, code, text));
  });

  it.each([
    ["an empty Idempotency-Key", { "idempotency-key": " " }],
    ["an Idempotency-Key of 256 characters", { "idempotency-key": "x".repeat(256) }],
  ])("%s", async (_what, headers) => {
    expect(await post(ok, headers)).toEqual(refused(400, "BAD_REQUEST", "Idempotency-Key must be"));
  });

  it("an unknown instance", async () => {
    expect(await send("GET", "/v1/tenants/demo/calls/1-abcdef")).toEqual(refused(404, "UNKNOWN_INSTANCE", "1-abcdef"));
    expect(await send("POST", "/v1/tenants/demo/instances/1-abcdef/resume")).toEqual(
      refused(404, "UNKNOWN_INSTANCE", "1-abcdef"),
    );
  });
});

describe("names that are refused", () => {
  const names: [string, string][] = [
    ["two dots", ".."],
    ["two dots inside", "a..b"],
    ["two slashes", "a/b/c"],
    ["a slash at its end", "a/"],
    ["a way out", "../../etc/passwd"],
    ["a control character", "a\u0007b"],
    ["a line break", "a\nb"],
    ["a NUL", "a\u0000"],
    ["300 characters", "x".repeat(300)],
  ];

  it.each(names)("%s", async (_what, name) => {
    const field = (named: string) => `${named} is ${JSON.stringify(name).slice(0, 20)}`;
    expect(await post({ user: "demo", function: name })).toEqual(refused(400, "BAD_NAME", field("function")));
    expect(await post({ user: name, function: "counter" })).toEqual(refused(400, "BAD_NAME", field("user")));
    const encoded = encodeURIComponent(name);
    expect(await putAsIs(`/f/demo/${encoded}`)).toEqual(refused(400, "BAD_NAME", field("function")));
    expect(await putAsIs(`/f/${encoded}/hello`)).toEqual(refused(400, "BAD_NAME", field("user")));
    for (const path of [`/v1/tenants/${encoded}/functions/hello`, `/v1/tenants/demo/functions/${encoded}`]) {
      expect(await putAsIs(path)).toEqual(refused(400, "BAD_NAME", "must be 1 to 128 characters"));
    }
  });
});

/** Uploads a good module. The path is sent as it is: fetch would resolve dots. */
async function putAsIs(path: string): Promise<Refusal> {
  const sent = request(host.url, { method: "PUT", path });
  sent.end(sampleModule("hello"));
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  const code = response.headers["neap-error"];
  return { status: response.statusCode ?? 0, code: typeof code === "string" ? code : null, text: await textOf(response) };
}

describe("objects that are refused", () => {
  it("a key that does not exist", async () => {
    for (const method of ["GET", "DELETE"]) {
      expect(await send(method, "/v1/tenants/demo/objects/nothing")).toEqual(
        refused(404, "UNKNOWN_OBJECT", 'no object \\"nothing\\"'),
      );
    }
  });

  it.each([
    ["with a control character", "a%07b", "BAD_KEY", "must be 1 to 1024 bytes"],
    ["that is empty", "", "BAD_KEY", "must be 1 to 1024 bytes"],
    ["of more than 1024 bytes", "x".repeat(1025), "BAD_KEY", "must be 1 to 1024 bytes"],
    ["that is no UTF-8", "%ff", "BAD_REQUEST", "/v1/tenants/demo/objects/%ff"],
  ])("a key %s", async (_what, key, code, text) => {
    expect(await send("PUT", `/v1/tenants/demo/objects/${key}`, "value")).toEqual(refused(400, code, text));
  });

  it("more bytes than allowed", async () => {
    const answer = await send("PUT", "/v1/tenants/demo/objects/kept", new Uint8Array(OBJECT_MAX_BYTES + 1));
    expect(answer).toEqual(refused(413, "OBJECT_TOO_LARGE", `${OBJECT_MAX_BYTES} bytes`));
    expect((await send("GET", "/v1/tenants/demo/objects/kept")).text).toBe("some text");
  });
});

describe("web pages that are refused", () => {
  const body = JSON.stringify({ user: "demo", function: "counter", input_data: "count" });
  it.each([
    ["a foreign origin", { origin: "https://evil.example" }, "evil.example"],
    ["a sandboxed page", { origin: "null" }, "null"],
    ["a cross-site request", { "sec-fetch-site": "cross-site" }, "cross-site"],
  ])("%s, on every route and with every content type", async (_what, headers, text) => {
    const requests: [string, string, string | Uint8Array | undefined][] = [
      ["POST", "/f/", body],
      ["PUT", "/f/demo/hello", sampleModule("counter")],
      ["PUT", "/v1/tenants/demo/objects/kept", "another text"],
      ["DELETE", "/v1/tenants/demo/objects/kept", undefined],
      ["GET", "/v1/tenants/demo/objects/kept", undefined],
    ];
    for (const [method, path, sent] of requests) {
      const answer = await send(method, path, sent, { "content-type": "text/plain", ...headers });
      expect(answer).toEqual(refused(403, "FOREIGN_ORIGIN", text));
    }
  });
});
