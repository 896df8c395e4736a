import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type InstanceId, seqNum } from "../../../../state/ids.ts";
import { FAKE_TRACE } from "../../../support/fake-invocations.ts";
import { HttpFixture } from "../../../support/http-fixture.ts";

let http: HttpFixture;
beforeAll(async () => {
  http = await HttpFixture.start({ limits: { inputMaxBytes: 5000 } });
  const { functions } = http.invocations;
  functions.set("echo", ({ input }) => ({ output: input }));
  functions.set("three", () => ({ returnValue: 3, output: Buffer.from("partial") }));
  functions.set("trap", () => ({ returnValue: 1, trap: "unreachable executed" }));
  functions.set("parked", (_, instance) => ({
    kind: "pending",
    instance,
    cpuMs: 12.5,
    parked: true,
    reason: "no more attempts",
  }));
  functions.set("slow", (_, instance) => ({ kind: "failed", instance, cpuMs: 7, code: "TIME_LIMIT", message: "ran 31 s" }));
});
afterAll(() => http.close());

const calls = (name: string) => `/v1/tenants/demo/functions/${name}/calls`;

describe("calls", () => {
  test("the body is the input and the output is the body", async () => {
    const bytes = Buffer.from(Uint8Array.from({ length: 256 }, (_, i) => i));
    const answer = await http.send("POST", calls("echo"), { body: bytes, headers: { "Content-Type": "application/json" } });
    expect([answer.status, answer.headers["content-type"]]).toEqual([200, "application/octet-stream"]);
    expect(answer.bytes.equals(bytes)).toBe(true);
    expect(answer.headers).toMatchObject({
      "neap-executed-at": "node-1",
      "neap-moved-bytes": "0",
      "neap-cpu-ms": "0.25",
      "neap-return-value": "0",
      "neap-instance": expect.stringMatching(/^1-/),
    });
  });
  test("a call without a body has an empty input", async () => {
    expect(await http.send("POST", calls("echo"))).toMatchObject({ status: 200, text: "" });
  });
  test("a return value other than 0 is a problem with value and output", async () => {
    const answer = await http.send("POST", calls("three"));
    expect([answer.status, answer.headers["content-type"]]).toEqual([500, "application/problem+json"]);
    expect(JSON.parse(answer.text)).toEqual({
      type: "urn:neap:error:CALL_FAILED",
      title: expect.any(String),
      status: 500,
      code: "CALL_FAILED",
      detail: "the function returned 3",
      instance: expect.stringMatching(/^1-/),
      returnValue: 3,
      outputBase64: Buffer.from("partial").toString("base64"),
    });
  });
  test("a trap is a problem with its text", async () => {
    expect(JSON.parse((await http.send("POST", calls("trap"))).text)).toMatchObject({
      code: "CALL_FAILED",
      detail: "the function trapped: unreachable executed",
      trap: "unreachable executed",
    });
  });
  test("Prefer: respond-async answers 202 with the id, and its Location tells the state", async () => {
    const answer = await http.send("POST", calls("echo"), { body: "in", headers: { Prefer: "wait=5, respond-async" } });
    expect([answer.status, answer.headers["preference-applied"]]).toEqual([202, "respond-async"]);
    const { id, instance } = JSON.parse(answer.text);
    expect(answer.headers.location).toBe(`/v1/tenants/demo/calls/${instance}`);
    const status = await http.send("GET", `${answer.headers.location}`);
    expect(JSON.parse(status.text)).toEqual({
      instance,
      id,
      tenant: "demo",
      function: "echo",
      state: "completed",
      startedMs: 1_700_000_000_000,
      notBeforeMs: null,
      finishedMs: 1_700_000_000_005,
      cpuMs: 0.25,
      returnValue: 0,
      outputBase64: Buffer.from("in").toString("base64"),
    });
  });
  test("a parked call answers 504 with its Location, where it is shown as parked", async () => {
    const answer = await http.send("POST", calls("parked"));
    expect(answer.status).toBe(504);
    expect(JSON.parse(answer.text)).toMatchObject({ code: "OUTCOME_PENDING", parked: true });
    expect(answer.headers["neap-cpu-ms"]).toBe("12.5");
    const status = await http.send("GET", `${answer.headers.location}`);
    expect(JSON.parse(status.text)).toMatchObject({ state: "parked", reason: "no more attempts" });
  });
  test("an attempt that the host ended answers its code", async () => {
    const answer = await http.send("POST", calls("slow"));
    expect([answer.status, JSON.parse(answer.text).code, answer.headers["neap-cpu-ms"]]).toEqual([504, "TIME_LIMIT", "7"]);
  });
  test("Idempotency-Key and Neap-Push-Down reach the call", async () => {
    await http.send("POST", calls("echo"), { headers: { "Idempotency-Key": "k-1", "Neap-Push-Down": "never" } });
    expect(http.invocations.calls.at(-1)).toMatchObject({ key: { kind: "idempotency", value: "k-1" }, forbidPushDown: true });
  });
  test("Neap-Trace asks for the times of operations, which are a structured field list of at most 64", async () => {
    const operations = Array.from({ length: 65 }, () => ({ kind: "objectRead", durationMs: 0.0125 }));
    http.invocations.functions.set("traced", ({ traceOperations }, instance) => ({
      kind: "completed",
      instance,
      result: { returnValue: 0, output: new Uint8Array(0) },
      trace: { ...FAKE_TRACE, ...(traceOperations === true && { operations }) },
    }));
    const plain = await http.send("POST", calls("traced"));
    expect(plain.headers).not.toHaveProperty("neap-operations");
    const traced = await http.send("POST", calls("traced"), { headers: { "Neap-Trace": "operations" } });
    expect(traced.headers["neap-operations"]).toBe(`${"objectRead;us=13, ".repeat(64)}"..."`);
    const body = JSON.stringify({ user: "demo", function: "traced", async: false });
    const faasm = await http.send("POST", "/f/", { headers: { "Neap-Trace": "operations" }, body });
    expect(faasm.headers["neap-operations"]).toBe(traced.headers["neap-operations"]);
  });
  test.each([
    [calls("absent"), {}, 404, "UNKNOWN_FUNCTION"],
    [calls("a%2Fb"), {}, 400, "BAD_NAME"],
    ["/v1/tenants/..%2Fx/functions/echo/calls", {}, 400, "BAD_NAME"],
    [`/v1/tenants/demo/functions/${"f".repeat(300)}/calls`, {}, 400, "BAD_NAME"],
    [calls("echo"), { "Neap-Push-Down": "always" }, 400, "BAD_REQUEST"],
    [calls("echo"), { "Neap-Trace": "everything" }, 400, "BAD_REQUEST"],
    [calls("echo"), { "Idempotency-Key": "a b" }, 400, "BAD_REQUEST"],
  ] as [string, Record<string, string>, number, string][])("POST %s %j answers %i %s", async (path, headers, status, code) => {
    const answer = await http.send("POST", path, { headers });
    expect([answer.status, JSON.parse(answer.text).code, answer.headers["neap-error"]]).toEqual([status, code, code]);
    expect(answer.headers["content-type"]).toBe("application/problem+json");
  });
  test.each(["1-absent", "..", "a%2Fb", "x".repeat(300)])("an unknown instance %s answers 404", async (instance) => {
    for (const path of [`/v1/tenants/demo/calls/${instance}`, `/v1/tenants/demo/calls/${instance}/steps`]) {
      const answer = await http.send("GET", path);
      expect([answer.status, JSON.parse(answer.text).code]).toEqual([404, "UNKNOWN_INSTANCE"]);
    }
  });
  test("the steps of a call are listed", async () => {
    const { instance } = JSON.parse((await http.send("POST", calls("echo"), { headers: { Prefer: "respond-async" } })).text);
    const answer = await http.send("GET", `/v1/tenants/demo/calls/${instance}/steps`);
    const step = { position: 0, kind: "init", seqnum: 1, timeMs: 1_700_000_000_000, tags: [] };
    expect([answer.status, JSON.parse(answer.text)]).toEqual([200, { instance, steps: [step] }]);
  });
});

describe("delayed and cancelled calls", () => {
  test("Neap-Delay-Ms answers 202 at once, and the state says when the call begins", async () => {
    const answer = await http.send("POST", calls("echo"), { body: "in", headers: { "Neap-Delay-Ms": "60000" } });
    expect(answer.status).toBe(202);
    expect(http.invocations.calls.at(-1)).toMatchObject({ answer: "accepted", delayMs: 60_000 });
    const status = JSON.parse((await http.send("GET", `${answer.headers.location}`)).text);
    expect(status).toMatchObject({ notBeforeMs: 1_700_000_060_000 });
  });
  test("a delay that is no whole number of up to 366 days is refused with field and value", async () => {
    for (const value of ["-1", "1.5", "soon", "31622400001"]) {
      const answer = await http.send("POST", calls("echo"), { body: "in", headers: { "Neap-Delay-Ms": value } });
      expect([answer.status, JSON.parse(answer.text).detail]).toEqual([
        400,
        `Neap-Delay-Ms is ${JSON.stringify(value)}, must be a whole number from 0 to 31622400000`,
      ]);
    }
  });
  test("DELETE cancels a call, the same however often, and leaves one that has ended as it is", async () => {
    const parked = await http.send("POST", calls("parked"));
    const path = `${parked.headers.location}`;
    for (let i = 0; i < 2; i += 1) {
      const answer = await http.send("DELETE", path);
      expect([answer.status, JSON.parse(answer.text)]).toMatchObject([200, { state: "cancelled", trap: "cancelled" }]);
    }
    expect(JSON.parse((await http.send("GET", path)).text)).toMatchObject({ state: "cancelled", returnValue: 1 });
    const done = await http.send("POST", calls("echo"), { body: "in" });
    const answer = await http.send("DELETE", `/v1/tenants/demo/calls/${done.headers["neap-instance"]}`);
    const told = { state: "completed", returnValue: 0, outputBase64: Buffer.from("in").toString("base64") };
    expect([answer.status, JSON.parse(answer.text)]).toMatchObject([200, told]);
    expect((await http.send("DELETE", "/v1/tenants/demo/calls/1-nobody")).status).toBe(404);
  });
});

describe("options of a function", () => {
  const path = "/v1/tenants/demo/functions/hello/options";
  const policy = { attemptsMax: 5, backoffMs: 200, backoffMaxMs: 60_000, causes: ["timeLimit"] };
  const put = (body: unknown) => http.send("PUT", path, { body: typeof body === "string" ? body : JSON.stringify(body) });

  test("PUT sets the retry policy and takes it away again", async () => {
    await http.send("PUT", "/v1/tenants/demo/functions/hello", { body: Buffer.from("\0asm\x01\0\0\0") });
    const answer = await put({ retry: policy });
    expect([answer.status, JSON.parse(answer.text)]).toMatchObject([200, { name: "hello", retry: policy }]);
    const { causes, ...short } = policy;
    expect(JSON.parse((await put({ retry: short })).text).retry.causes).toEqual([
      "timeLimit",
      "stackOverflow",
      "workerLost",
      "failure",
      "cpuLimit",
    ]);
    expect(JSON.parse((await put({ retry: null })).text).retry).toBeNull();
    expect(causes).toHaveLength(1);
  });

  test("PUT sets limits beside the retry policy, each for itself", async () => {
    await http.send("PUT", "/v1/tenants/demo/functions/hello", { body: Buffer.from("\0asm\x01\0\0\0") });
    const limits = { wallTimeMs: 1000, memoryMaxPages: 16 };
    const answer = await put({ limits });
    expect([answer.status, JSON.parse(answer.text)]).toMatchObject([200, { name: "hello", limits }]);
    expect(http.functions.options.get("demo/hello")).toEqual({ limits });
    await put({ limits: {}, retry: null });
    expect(http.functions.options.get("demo/hello")).toEqual({ limits: null, retry: null });
  });

  test("PUT sets the environment, of which names alone are shown", async () => {
    await http.send("PUT", "/v1/tenants/demo/functions/hello", { body: Buffer.from("\0asm\x01\0\0\0") });
    const environment = Object.fromEntries([
      ["TOKEN", "a secret"],
      ["EMPTY", ""],
      ["__proto__", "x"],
    ]);
    const answer = await put({ environment });
    expect([answer.status, JSON.parse(answer.text).environment]).toEqual([200, ["TOKEN", "EMPTY", "__proto__"]]);
    expect(http.functions.options.get("demo/hello")).toEqual({ environment });
    const list = await http.send("GET", "/v1/tenants/demo/functions");
    expect(answer.text + list.text).not.toContain("a secret");
    await put({ environment: {} });
    expect(http.functions.options.get("demo/hello")).toEqual({ environment: null });
  });

  test("what it does not understand is refused with field and value, and changes nothing", async () => {
    await http.send("PUT", "/v1/tenants/demo/functions/hello", { body: Buffer.from("\0asm\x01\0\0\0") });
    await put({ retry: policy });
    const bad: [unknown, string][] = [
      ["{", "the body is not JSON: it ends too early, at position 1"],
      [{}, "the body has neither retry nor limits nor environment"],
      [{ retry: policy, more: 1 }, 'the body has the field "more", which there is not'],
      [{ retry: { ...policy, tries: 1 } }, 'retry has the field "tries", which there is not'],
      [{ retry: { ...policy, attemptsMax: 0 } }, 'retry.attemptsMax is "0", must be a whole number from 1 to 1000'],
      [{ retry: { ...policy, backoffMs: "1" } }, 'retry.backoffMs is "\\"1\\"", must be a whole number from 0 to 86400000'],
      [{ retry: { ...policy, backoffMaxMs: 199 } }, 'retry.backoffMaxMs is "199", must be a whole number from 200 to 86400000'],
      [{ retry: { ...policy, causes: ["luck"] } }, "retry.causes is"],
      [{ retry: 5 }, 'retry is "5", must be an object'],
      [{ limits: 5 }, 'limits is "5", must be an object'],
      [{ limits: { tenantMaxCalls: 5 } }, 'limits has the field "tenantMaxCalls", which is none of moduleMaxBytes, '],
      [{ limits: { wallTimeMs: 0 } }, 'limits.wallTimeMs is "0", must be a whole number from 1 to 86400000'],
      [{ environment: ["a secret"] }, "environment must be an object"],
      [{ environment: { A: 5 } }, "environment.A must be a text without NUL"],
      [{ environment: { A: "a secret\0" } }, "environment.A must be a text without NUL"],
      [{ environment: { A: "\ud800 a secret" } }, "environment.A must be a text without NUL"],
      [
        { environment: { "A=B": "a secret" } },
        'environment has the variable "A=B": its name must be 1 to 128 letters, digits and _',
      ],
      [{ environment: { "1A": "" } }, 'environment has the variable "1A"'],
      [{ environment: { A: "x".repeat(8191) } }, "environment has 8193 bytes, at most 8192 are allowed"],
      [{ limits: { cpuTimeMs: null } }, 'limits.cpuTimeMs is "null", must be a whole number from 1 to 86400000'],
    ];
    for (const [body, detail] of bad) {
      const answer = await put(body);
      expect([answer.status, JSON.parse(answer.text).detail]).toEqual([400, expect.stringContaining(detail)]);
      expect(answer.text).not.toContain("a secret");
    }
    expect(http.functions.options.get("demo/hello")).toEqual({ retry: policy });
    expect((await http.send("PUT", path.replace("hello", "nobody"), { body: JSON.stringify({ retry: null }) })).status).toBe(404);
  });
});

describe("functions", () => {
  test("PUT names the version, GET gives the module, the list shows it", async () => {
    const module = Buffer.from("\0asm\x01\0\0\0");
    const put = await http.send("PUT", "/v1/tenants/demo/functions/hello", { body: module });
    const version = {
      name: "hello",
      hash: "0".repeat(64),
      sizeBytes: 8,
      uploadedMs: 1_700_000_000_000,
      retry: null,
      environment: [],
      limits: null,
      protocol: null,
      preemptible: false,
      migratable: false,
      aliasState: false,
    };
    expect([put.status, JSON.parse(put.text)]).toEqual([200, version]);
    expect((await http.send("GET", "/v1/tenants/demo/functions/hello")).bytes.equals(module)).toBe(true);
    expect(JSON.parse((await http.send("GET", "/v1/tenants/demo/functions")).text)).toEqual({ functions: [version] });
  });
});

describe("objects", () => {
  const path = (key: string) => `/v1/tenants/demo/objects/${key}`;
  test("PUT, GET and DELETE of an object whose key has slashes and other characters", async () => {
    const value = Buffer.alloc(300_000, "v");
    for (const [encoded, key] of [
      ["a/b/c", "a/b/c"],
      ["%C3%A9%20x%2Fy%25", "é x/y%"],
    ] as const) {
      const put = await http.send("PUT", path(encoded), { body: value });
      expect([put.status, JSON.parse(put.text)]).toEqual([200, { key, sizeBytes: 300_000, seqnum: expect.any(Number) }]);
      const get = await http.send("GET", path(encoded));
      expect([get.status, get.headers["content-length"]]).toEqual([200, "300000"]);
      expect(get.bytes.equals(value)).toBe(true);
      expect((await http.send("DELETE", path(encoded))).status).toBe(204);
      expect((await http.send("DELETE", path(encoded))).status).toBe(404);
      const gone = await http.send("GET", path(encoded));
      expect([gone.status, JSON.parse(gone.text).code]).toEqual([404, "UNKNOWN_OBJECT"]);
    }
  });
  test("an empty object is an object", async () => {
    expect((await http.send("PUT", path("empty"))).status).toBe(200);
    expect(await http.send("GET", path("empty"))).toMatchObject({ status: 200, text: "" });
    await http.send("DELETE", path("empty"));
  });
  test("the list goes on after `next`, within a prefix", async () => {
    for (const key of ["p/1", "p/2", "p/3", "q/1"]) {
      await http.send("PUT", path(key), { body: key });
    }
    const list = async (query: string) => JSON.parse((await http.send("GET", `/v1/tenants/demo/objects?${query}`)).text);
    const first = await list("prefix=p/&limit=2");
    expect(first).toMatchObject({ objects: [{ key: "p/1", sizeBytes: 3 }, { key: "p/2" }], next: "p/2" });
    expect(await list(`prefix=p/&limit=2&after=${first.next}`)).toMatchObject({ objects: [{ key: "p/3" }], next: null });
    expect((await list("")).objects).toHaveLength(4);
  });
  test.each([
    "limit=0",
    "limit=1001",
    "limit=x",
    "limit=1&limit=2",
    "prefix=a&prefix=b",
    "after=%00",
    `prefix=${"x".repeat(1025)}`,
  ])("a list with %s answers 400", async (query) => {
    const answer = await http.send("GET", `/v1/tenants/demo/objects?${query}`);
    expect([answer.status, JSON.parse(answer.text).code]).toEqual([400, "BAD_REQUEST"]);
  });
  test.each(["", "a%00b", "a%0Ab", "x".repeat(1025)])("the key %j answers 400", async (key) => {
    const answer = await http.send("PUT", path(key), { body: "x" });
    expect([answer.status, JSON.parse(answer.text).code]).toEqual([400, "BAD_KEY"]);
  });
});

describe("instances and the node", () => {
  test("unfinished instances are listed, and a parked one can be resumed once", async () => {
    http.invocations.parked.add("1-p" as InstanceId);
    const list = await http.send("GET", "/v1/tenants/demo/instances?state=unfinished");
    expect(JSON.parse(list.text)).toEqual({ instances: [{ instance: "1-p", attempts: 3, parked: true }] });
    const resume = await http.send("POST", "/v1/tenants/demo/instances/1-p/resume");
    expect([resume.status, JSON.parse(resume.text)]).toEqual([202, { instance: "1-p" }]);
    const again = await http.send("POST", "/v1/tenants/demo/instances/1-p/resume");
    expect([again.status, JSON.parse(again.text).code]).toEqual([409, "NOT_PARKED"]);
  });
  test("another state answers 400", async () => {
    expect((await http.send("GET", "/v1/tenants/demo/instances?state=done")).status).toBe(400);
  });
  test("held locks are listed, and each can be broken once; a name that is none answers 400", async () => {
    const root = "1-r" as InstanceId;
    const lock = { name: "a/b ü", holder: root, root, token: seqNum(5), sinceMs: 7, count: 2, parked: true };
    http.invocations.heldLocks.push(lock);
    expect(JSON.parse((await http.send("GET", "/v1/tenants/demo/locks")).text)).toEqual({ locks: [lock], broken: [] });
    const path = `/v1/tenants/demo/locks/${encodeURIComponent("a/b ü")}`;
    expect((await http.send("DELETE", path)).status).toBe(204);
    const { name, holder, token } = lock;
    const broken = [{ name, holder, root, token, by: "anyone", brokenMs: 9, seqnum: 10 }];
    expect(JSON.parse((await http.send("GET", "/v1/tenants/demo/locks")).text)).toEqual({ locks: [], broken });
    const again = await http.send("DELETE", path);
    expect([again.status, JSON.parse(again.text).code]).toEqual([404, "UNKNOWN_LOCK"]);
    expect((await http.send("DELETE", "/v1/tenants/demo/locks/%00")).status).toBe(400);
  });
  test("status, health and metrics", async () => {
    expect(JSON.parse((await http.send("GET", "/v1/status")).text)).toEqual({
      role: "all",
      nodeName: "node-1",
      epoch: 7,
      load: { workers: 1, active: 2, computing: 1, queued: 3, idle: 4 },
    });
    expect(await http.send("GET", "/healthz")).toMatchObject({ status: 200, text: "ok\n" });
    const metrics = await http.send("GET", "/metrics");
    expect(metrics.headers["content-type"]).toContain("version=0.0.4");
    expect(metrics.text).toMatch(/^neap_call_answers_total\{status="200"\} [1-9]/m);
    expect(metrics.text).toMatch(/^neap_http_in_flight 1$/m);
  });
  test("an unknown path below /v1 answers a problem", async () => {
    const answer = await http.send("GET", "/v1/nothing");
    expect([answer.status, JSON.parse(answer.text).code]).toEqual([404, "UNKNOWN_ROUTE"]);
  });
});
