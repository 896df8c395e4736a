import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { CallDescription, CallRequest } from "../../../../host/invocation/invocation.ts";
import { NeapError } from "../../../../state/errors.ts";
import { type InstanceId, logBookId } from "../../../../state/ids.ts";
import { HttpFixture } from "../../../support/http-fixture.ts";

let http: HttpFixture;
beforeAll(async () => {
  http = await HttpFixture.start({ limits: { inputMaxBytes: 100_000 } });
  const { functions } = http.invocations;
  functions.set("echo", ({ input }) => ({ output: input }));
  functions.set("bytes", () => ({ output: Uint8Array.from({ length: 256 }, (_, i) => i) }));
  functions.set("large", () => ({ output: new Uint8Array(300_000).fill(65) }));
  functions.set("three", () => ({ returnValue: 3, output: Buffer.from("lost") }));
  functions.set("trap", () => ({ returnValue: 1, trap: "unreachable executed" }));
  functions.set("pending", (_, instance) => ({
    kind: "pending",
    instance,
    cpuMs: null,
    parked: false,
    reason: "the worker was lost",
  }));
  functions.set("parked", (_, instance) => ({ kind: "pending", instance, cpuMs: 3, parked: true, reason: 'replay "differs"\n' }));
  functions.set("slow", (_, instance) => ({
    kind: "failed",
    instance,
    cpuMs: 21.0625,
    code: "TIME_LIMIT",
    message: "ran 30001 ms, limit 30000",
  }));
  functions.set("lost", (_, instance) => ({
    kind: "failed",
    instance,
    cpuMs: 7,
    code: "WORKER_LOST",
    message: "the worker was lost",
  }));
  functions.set("full", () => {
    throw new NeapError("OVERLOADED", "10000 calls wait, the limit is 10000");
  });
  functions.set("bug", () => {
    throw new Error("secret detail");
  });
  functions.set("never", () => new Promise(() => {}));
});
afterAll(() => http.close());
beforeEach(() => {
  http.invocations.calls.length = 0;
});

describe("synchronous calls", () => {
  test("a function that returns 0 answers 200 with its output as text/plain", async () => {
    const answer = await http.call({ user: "demo", function: "echo", input_data: "key välue" });
    expect(answer).toMatchObject({ status: 200, text: "key välue" });
    expect(answer.headers["content-type"]).toBe("text/plain");
  });
  test("the path works without its last slash and with a query", async () => {
    for (const path of ["/f", "/f/", "/f/?x=1", "/f?x=1"]) {
      const answer = await http.send("POST", path, { body: '{"user":"demo","function":"echo","input_data":"x"}' });
      expect([answer.status, answer.text]).toEqual([200, "x"]);
    }
  });
  test.each(["bytes", "large"])("the output of %s arrives byte for byte", async (name) => {
    const answer = await http.call({ user: "demo", function: name });
    const wanted = name === "bytes" ? Buffer.from(Uint8Array.from({ length: 256 }, (_, i) => i)) : Buffer.alloc(300_000, 65);
    expect(answer.bytes.equals(wanted)).toBe(true);
    expect(answer.headers["content-length"]).toBe(`${wanted.length}`);
  });
  test("what is left out has Faasm's defaults, unknown keys are ignored", async () => {
    const answer = await http.call({ user: "demo", function: "echo", sgx: 7, zygoteDelta: {} });
    expect([answer.status, answer.text]).toEqual([200, ""]);
    expect(http.invocations.calls[0]).toMatchObject({ answer: "result", forbidPushDown: false });
    expect(http.invocations.calls[0]?.key).toBeUndefined();
  });
  test("forbid_ndp forbids push-down", async () => {
    await http.call({ user: "demo", function: "echo", forbid_ndp: true });
    expect(http.invocations.calls[0]?.forbidPushDown).toBe(true);
  });
  test("a return value other than 0 answers 500 with Faasm's line instead of the output, which begins in a header", async () => {
    http.invocations.functions.set("wrong", () => ({ returnValue: 3, output: Buffer.from(`no "kéy"\n${"x".repeat(300)}`) }));
    for (const [name, said] of [
      ["wrong", `"no \\"k?y\\"?${"x".repeat(246)}"`],
      ["three", `"lost"`],
    ]) {
      const { status, text, headers } = await http.call({ user: "demo", function: name });
      expect([status, text, headers["neap-error"], headers["neap-output"]]).toEqual([
        500,
        "Call failed (return value=3)",
        "CALL_FAILED",
        said,
      ]);
    }
  });
  test("a trap answers 500 with Faasm's line and the trap on the next one", async () => {
    const answer = await http.call({ user: "demo", function: "trap" });
    expect([answer.status, answer.text]).toEqual([500, "Call failed (return value=1)\nunreachable executed"]);
  });
  test.each([
    ["pending", 504, "OUTCOME_PENDING", "not finished: the worker was lost"],
    ["parked", 504, "OUTCOME_PENDING", "parked"],
    ["slow", 504, "TIME_LIMIT", "ran 30001 ms, limit 30000"],
    ["lost", 503, "WORKER_LOST", "the worker was lost"],
    ["full", 503, "OVERLOADED", "10000 calls wait"],
    ["absent", 404, "UNKNOWN_FUNCTION", "absent"],
    ["bug", 500, "INTERNAL", "an unexpected error"],
  ])("%s answers %i %s with a sentence", async (name, status, code, text) => {
    const answer = await http.call({ user: "demo", function: name });
    expect([answer.status, answer.headers["neap-error"]]).toEqual([status, code]);
    expect(answer.text).toContain(text);
    expect(answer.text).not.toContain("secret");
  });
});

describe("headers of an answer", () => {
  test.each([
    ["slow", "21.063"],
    ["parked", "3"],
    ["pending", undefined],
  ])("of a call without a result they say what it has taken, where it is known: %s", async (name, cpuMs) => {
    const { headers } = await http.call({ user: "demo", function: name });
    expect(headers["neap-cpu-ms"]).toBe(cpuMs);
  });

  test("they say which instance it was, where it ran and what it moved", async () => {
    http.invocations.functions.set("parts", (_, instance) => ({
      kind: "completed",
      instance,
      result: { returnValue: 0, output: new Uint8Array(0) },
      trace: {
        executedAt: ["node-1", "storage-1"],
        parts: [
          { executedAt: "storage-1", reason: "marked by the function", deltaOutBytes: 1024, deltaBackBytes: 96 },
          { executedAt: "node-1", reason: 'refused: "no slot" é\r\nX: y', deltaOutBytes: 0, deltaBackBytes: 0 },
        ],
        moves: [{ from: "node-1", to: "storage-1", reason: "its node stops", sizeBytes: 70123 }],
        movedBytes: 1120,
        cpuMs: 1.23456,
      },
    }));
    const { headers } = await http.call({ user: "demo", function: "parts" });
    expect(headers["neap-instance"]).toMatch(/^1-instance/);
    expect(headers["neap-executed-at"]).toBe("node-1, storage-1");
    expect(headers["neap-moved-bytes"]).toBe("1120");
    expect(headers["neap-cpu-ms"]).toBe("1.235");
    expect(headers["neap-parts"]).toBe(
      '"storage-1";reason="marked by the function";out=1024;back=96, "node-1";reason="refused: \\"no slot\\" ???X: y";out=0;back=0',
    );
    expect(headers["neap-moves"]).toBe('"storage-1";from="node-1";reason="its node stops";bytes=70123');
    expect(headers.x).toBeUndefined();
  });
});

describe("bad requests", () => {
  const good = { user: "demo", function: "echo" };
  test.each([
    ["", 400, "Empty request"],
    ['{"user":"demo",}', 400, 'the body is not JSON: unexpected "}" at position 15 (line 1, column 16)'],
    ['{"user":\n"demo"', 400, "the body is not JSON: it ends too early, at position 15"],
    ["hello", 400, 'the body is not JSON: unexpected "h" at position 0 (line 1, column 1)'],
    ["[]", 400, "the request must be a JSON object, is an array"],
    ["null", 400, "the request must be a JSON object, is null"],
    ['"x"', 400, "the request must be a JSON object, is a string"],
    [{ function: "echo" }, 400, "Empty user"],
    [{ user: "", function: "echo" }, 400, "Empty user"],
    [{ user: "demo" }, 400, "Empty function"],
    [{ ...good, input_data: 7 }, 400, "input_data must be a string, is a number"],
    [{ ...good, input_data: null }, 400, "input_data must be a string, is null"],
    [{ ...good, input_data: ["x"] }, 400, "input_data must be a string, is an array"],
    [{ ...good, user: 7 }, 400, "user must be a string, is a number"],
    [{ ...good, function: {} }, 400, "function must be a string, is an object"],
    [{ ...good, async: "true" }, 400, "async must be a boolean, is a string"],
    [{ ...good, status: 1 }, 400, "status must be a boolean, is a number"],
    [{ ...good, exec_graph: 1 }, 400, "exec_graph must be a boolean, is a number"],
    [{ ...good, forbid_ndp: "no" }, 400, "forbid_ndp must be a boolean, is a string"],
    [{ ...good, id: "7" }, 400, "id must be a whole number, is a string"],
    [{ ...good, id: 1.5 }, 400, "id must be a whole number, is 1.5"],
    [{ ...good, id: 2 ** 53 }, 400, "id must be a whole number from -9007199254740991 to 9007199254740991, is 9007199254740992"],
    [{ ...good, mpi_world_size: true }, 400, "mpi_world_size must be a whole number, is a boolean"],
    [{ ...good, topology_hint: 3 }, 400, "topology_hint must be a string, is a number"],
    [{ ...good, id: -1 }, 400, "id must be a whole number from 1 to 2147483647, is -1"],
    [{ ...good, id: 2 ** 31 }, 400, "id must be a whole number from 1 to 2147483647, is 2147483648"],
    [{ status: true }, 400, "id must be a whole number from 1 to 2147483647, is 0"],
    [{ ...good, type: 9 }, 400, "Invalid message type: type must be 0 (CALL), 1 (KILL) or 3 (FLUSH), is 9"],
    [{ ...good, type: 2 }, 400, "Invalid message type"],
    [{ ...good, user: "../x" }, 400, 'user is "../x", must be'],
    [{ ...good, user: "a/b" }, 400, 'user is "a/b", must be'],
    [{ ...good, user: "a\u0000b" }, 400, 'user is "a\\u0000b", must be'],
    [{ ...good, function: ".." }, 400, 'function is "..", must be'],
    [{ ...good, function: "f".repeat(300) }, 400, 'function is "fff'],
    ['{"user":"demo","function":"echo","input_data":"\\ud800"}', 400, "input_data has half of a surrogate pair"],
    [{ ...good, type: 1 }, 403, "type 1 (KILL) needs an administrator's token"],
    [{ ...good, type: 3 }, 403, "type 3 (FLUSH) needs an administrator's token"],
    [{ ...good, cmdline: "a".repeat(1025) }, 400, "cmdline is 1025 characters, at most 1024 are allowed"],
    [{ ...good, python: true }, 501, "python true is not offered"],
    [{ ...good, mpi: true }, 400, "mpi_world_size must be a whole number from 1 to 1024, is 0"],
    [{ ...good, mpi: true, mpi_world_size: 1025 }, 400, "from 1 to 1024, is 1025"],
    [{ ...good, func_ptr: -1 }, 400, "func_ptr must be a whole number from 0 to 2147483647, is -1"],
    [{ ...good, func_ptr: 2 ** 31 }, 400, "func_ptr must be a whole number from 0 to 2147483647, is 2147483648"],
    [{ ...good, func_ptr: 1.5 }, 400, "func_ptr must be a whole number, is 1.5"],
    [{ ...good, function: "echo/run", func_ptr: 5 }, 400, "func_ptr is 5 and function names an entry point"],
    [{ ...good, function: "echo/" }, 400, 'function is "echo/", must be a function\'s name, or <function>/<entry point>'],
    [{ ...good, function: "echo/a/b" }, 400, 'function is "echo/a/b", must be'],
    [{ ...good, function: "echo/_own" }, 400, 'function is "echo/_own", must be'],
    [{ ...good, function: "/run" }, 400, 'function is "/run", must be'],
    [{ ...good, input_data: "x".repeat(100_001) }, 413, "input_data is 100001 bytes, the limit is 100000"],
  ])("%j answers %i: %s", async (message, status, text) => {
    const answer = await http.call(message);
    expect(answer.text).toContain(text);
    expect(answer.status).toBe(status);
    expect(answer.headers["content-type"]).toBe("text/plain");
    expect(http.invocations.calls).toEqual([]);
  });
  test("func_ptr is the index of what runs instead of the entry", async () => {
    await http.call({ ...good, func_ptr: 5 });
    expect(http.invocations.calls).toEqual([expect.objectContaining({ functionName: "echo", tableIndex: 5 })]);
  });
  test("a body that is not UTF-8 is refused", async () => {
    const answer = await http.send("POST", "/f/", { body: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]) });
    expect([answer.status, answer.text]).toEqual([400, "the body is not JSON: it is not UTF-8"]);
  });
  test("Faasm's neutral values of what is not offered are accepted", async () => {
    const answer = await http.call({ ...good, cmdline: "", python: false, mpi: false, func_ptr: 0, type: 0, id: 0 });
    expect(answer.status).toBe(200);
  });
  test("mpi_world_size is the number of ranks of a call with mpi, and nothing of any other", async () => {
    expect((await http.call({ ...good, mpi: true, mpi_world_size: 4 })).status).toBe(200);
    expect((await http.call({ ...good, mpi_world_size: 4 })).status).toBe(200);
    expect(http.invocations.calls.map(({ worldSize }) => worldSize)).toEqual([4, 0]);
  });
  test("H26: internal fields are ignored, whatever their type", async () => {
    const internal = {
      exec_host: 1,
      master_host: "evil:1",
      result_key: [],
      status_key: "k",
      output_data: "forged",
      direct_result_host: "evil:2",
      timestamp: "x",
      finished: 1,
      is_output_memory_delta: true,
      snapshot_key: "s",
    };
    const answer = await http.call({ ...good, input_data: "in", ...internal });
    expect([answer.status, answer.text]).toEqual([200, "in"]);
    await http.call({ ...good, input_data: "in" });
    const [{ signal: _with, ...withThem }, { signal: _without, ...without }] = http.invocations.calls as [
      CallRequest,
      CallRequest,
    ];
    expect(withThem).toEqual(without);
  });
});

describe("call ids and keys", () => {
  test("an id on a call is its key, and the same request again gets the stored answer", async () => {
    const message = { user: "ids", function: "echo", input_data: "1", id: 7 };
    const first = await http.call(message);
    const second = await http.call(message);
    expect([second.status, second.text, second.headers["neap-instance"]]).toEqual([200, "1", first.headers["neap-instance"]]);
    expect(second.headers["neap-executed-at"]).toBe("stored");
    expect(http.invocations.calls[0]?.key).toEqual({ kind: "callId", value: 7 });
  });
  test("H26: the same id with another function or input answers 409", async () => {
    await http.call({ user: "ids", function: "echo", input_data: "1", id: 8 });
    const other = await http.call({ user: "ids", function: "echo", input_data: "2", id: 8 });
    expect([other.status, other.headers["neap-error"]]).toEqual([409, "CALL_ID_TAKEN"]);
  });
  test("Idempotency-Key works here too, another input answers 422", async () => {
    const key = { "Idempotency-Key": "order-17" };
    await http.call({ user: "ids", function: "echo", input_data: "1" }, key);
    expect(http.invocations.calls[0]?.key).toEqual({ kind: "idempotency", value: "order-17" });
    const other = await http.call({ user: "ids", function: "echo", input_data: "2" }, key);
    expect([other.status, other.headers["neap-error"]]).toEqual([422, "IDEMPOTENCY_MISMATCH"]);
  });
  test.each(["", "a b", "x".repeat(256), "é"])("Idempotency-Key %j answers 400", async (key) => {
    const answer = await http.call({ user: "ids", function: "echo" }, { "Idempotency-Key": key });
    expect([answer.status, answer.text]).toEqual([400, expect.stringContaining("Idempotency-Key")]);
  });
  test("an id and a key together answer 400", async () => {
    const answer = await http.call({ user: "ids", function: "echo", id: 3 }, { "Idempotency-Key": "k" });
    expect([answer.status, answer.text]).toEqual([400, "id and Idempotency-Key are both given, must be one"]);
  });
});

describe("asynchronous calls and polls", () => {
  const start = async (name: string, more: object = {}) => {
    const answer = await http.call({ user: "demo", function: name, async: true, ...more });
    expect(answer.status).toBe(200);
    expect(answer.text).toMatch(/^[1-9][0-9]*$/);
    return Number(answer.text);
  };
  test("async answers the decimal id, and a poll the message as often as it is asked", async () => {
    const id = await start("echo", { input_data: "in" });
    for (let poll = 0; poll < 3; poll += 1) {
      const answer = await http.call({ user: "demo", function: "echo", id, status: true });
      expect(answer.status).toBe(200);
      expect(JSON.parse(answer.text)).toEqual({
        id,
        type: 0,
        user: "demo",
        function: "echo",
        timestamp: 1_700_000_000_000,
        finished: 1_700_000_000_005,
        input_data: "in",
        output_data: "in",
        return_value: 0,
        cpu_ms: 0.25,
        instance: expect.any(String),
      });
    }
  });
  test("a poll needs only the id when one tenant uses it", async () => {
    const id = await start("echo");
    expect((await http.call({ id, status: true })).status).toBe(200);
    expect((await http.call({ id, status: true, user: "other" })).status).toBe(404);
  });
  test("a poll of a running call answers RUNNING", async () => {
    const id = await start("never");
    expect(await http.call({ id, status: true })).toMatchObject({ status: 200, text: "RUNNING" });
  });
  test("a poll of a parked call answers RUNNING and says in a header that it is parked and why", async () => {
    const id = await start("parked");
    const answer = await http.call({ id, status: true });
    expect([answer.status, answer.text, answer.headers["neap-parked"]]).toEqual([200, "RUNNING", '"replay \\"differs\\"?"']);
  });
  test("a poll of a failed call answers 500 with FAILED: and Faasm's line", async () => {
    const id = await start("three");
    expect(await http.call({ id, status: true })).toMatchObject({ status: 500, text: "FAILED: Call failed (return value=3)" });
  });
  test("an unknown id answers 404, for polls and graphs", async () => {
    expect(await http.call({ id: 99, status: true })).toMatchObject({ status: 404, text: "no call has the id 99" });
    expect(await http.call({ id: 99, exec_graph: true })).toMatchObject({ status: 404, text: "no call has the id 99" });
  });
  test("exec_graph answers the tree of chained calls", async () => {
    const call = (id: number, finishedMs: number | null): CallDescription => ({
      instance: `1-i${id}` as InstanceId,
      tenant: logBookId("demo"),
      functionName: `f${id}`,
      tableIndex: null,
      callId: id,
      input: new Uint8Array(0),
      startedMs: 5,
      notBeforeMs: null,
      finishedMs,
      cpuMs: finishedMs === null ? null : 1.23456,
    });
    http.invocations.graphs.set(50, {
      call: call(50, 9),
      returnValue: 0,
      chained: [{ call: call(51, null), returnValue: null, chained: [] }],
    });
    const answer = await http.call({ id: 50, exec_graph: true });
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text)).toEqual({
      root: {
        msg: {
          id: 50,
          type: 0,
          user: "demo",
          function: "f50",
          timestamp: 5,
          finished: 9,
          return_value: 0,
          cpu_ms: 1.235,
          instance: "1-i50",
        },
        chained: [{ msg: { id: 51, type: 0, user: "demo", function: "f51", timestamp: 5, instance: "1-i51" }, chained: [] }],
      },
    });
  });
});
