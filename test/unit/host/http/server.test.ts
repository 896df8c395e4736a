import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import type { FaultPoint } from "../../../../state/ports.ts";
import { eventually } from "../../../support/eventually.ts";
import { type FixtureOptions, HttpFixture, RawClient, send } from "../../../support/http-fixture.ts";

let open: HttpFixture[] = [];
afterEach(async () => {
  await Promise.all(open.map((fixture) => fixture.close()));
  open = [];
});
async function start(options: FixtureOptions = {}): Promise<HttpFixture> {
  const fixture = await HttpFixture.start(options);
  fixture.invocations.functions.set("echo", ({ input }) => ({ output: input }));
  open.push(fixture);
  return fixture;
}
const ECHO = JSON.stringify({ user: "demo", function: "echo", input_data: "x" });

/** Where a body has a limit: path, verb, limit in bytes as configured below, code. */
const LIMITED = [
  ["POST", "/f/", 2 * 4096 + 64 * 1024, "BODY_TOO_LARGE"],
  ["POST", "/v1/tenants/demo/functions/echo/calls", 4096, "BODY_TOO_LARGE"],
  ["PUT", "/f/demo/x", 5000, "MODULE_TOO_LARGE"],
  ["PUT", "/v1/tenants/demo/functions/x", 5000, "MODULE_TOO_LARGE"],
  ["PUT", "/v1/tenants/demo/objects/k", 6000, "OBJECT_TOO_LARGE"],
] as const;
const limits = { inputMaxBytes: 4096, objectMaxBytes: 6000 };
const tenancy = { moduleMaxBytes: 5000 };

describe("bodies that are too large", () => {
  test.each(LIMITED)(
    "%s %s answers 413 with the limit: by Content-Length and chunked, and serves the next request",
    async (method, path, max, code) => {
      const http = await start({ limits, tenancy });
      for (const chunked of [false, true]) {
        const answer = await http.send(method, path, { body: Buffer.alloc(max + 1), chunked });
        expect([answer.status, answer.headers["neap-error"]]).toEqual([413, code]);
        expect(answer.text).toContain(`${max} bytes`);
      }
      expect((await http.send("POST", "/f/", { body: ECHO })).text).toBe("x");
      expect(http.invocations.calls).toHaveLength(1);
      expect(http.objects.values.size).toBe(0);
    },
  );
  test.each(LIMITED)("%s %s answers 413 to Expect: 100-continue without asking for the body", async (method, path, max, code) => {
    const http = await start({ limits, tenancy });
    const client = http.raw();
    client.write(`${method} ${path} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: ${max + 1}\r\n\r\n`);
    await client.until("\r\n\r\n");
    expect(client.received).toMatch(/^HTTP\/1\.1 413 /);
    expect(client.received.toLowerCase()).toContain(`neap-error: ${code.toLowerCase()}`);
    client.socket.destroy();
  });
  test.each(["/f/", "/v1/tenants/demo/functions/echo/calls"])(
    "POST %s says 100 Continue to a body within the limit",
    async (path) => {
      const http = await start({ limits, tenancy });
      const client = http.raw();
      client.write(`POST ${path} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: ${ECHO.length}\r\n\r\n`);
      await client.until("HTTP/1.1 100 Continue\r\n\r\n");
      client.write(ECHO);
      await client.until("HTTP/1.1 200 OK");
      client.socket.destroy();
    },
  );
  test("an input above 1 MiB that is within the limit works", async () => {
    const http = await start({ limits: { inputMaxBytes: 8 * 1024 * 1024 } });
    const input_data = '"\n'.repeat(2 * 1024 * 1024);
    const answer = await http.call({ user: "demo", function: "echo", input_data });
    expect([answer.status, answer.text === input_data]).toEqual([200, true]);
  });
  test("an object of 256 MiB is streamed: the host's memory grows by far less", async () => {
    const http = await start();
    const block = Buffer.alloc(1024 * 1024, "x");
    const before = process.memoryUsage().rss;
    let peak = 0;
    const client = http.raw();
    client.write(`PUT /v1/tenants/demo/objects/big HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${256 * block.length}\r\n\r\n`);
    for (let sent = 0; sent < 256; sent += 1) {
      if (!client.socket.write(block)) {
        await new Promise((resolve) => client.socket.once("drain", resolve));
      }
      peak = Math.max(peak, process.memoryUsage().rss);
    }
    await client.until("HTTP/1.1 200 OK");
    expect(http.objects.putSizes).toEqual([256 * block.length]);
    expect(peak - before).toBeLessThan(128 * block.length);
    client.socket.destroy();
  });
});

describe("slow clients (H27)", () => {
  const timeouts = { headersMs: 200, idleMs: 200 };
  test("headers that do not end in time end the connection", async () => {
    const http = await start({ timeouts });
    const client = http.raw();
    client.write("POST /f/ HTTP/1.1\r\nHost: localhost\r\n");
    await client.closed;
    expect(client.received === "" || client.received.startsWith("HTTP/1.1 408 ")).toBe(true);
  });
  test.each(["/f/", "/v1/tenants/demo/functions/echo/calls"])(
    "a body of POST %s that does not come ends the connection with 408, and nothing is called",
    async (path) => {
      const http = await start({ timeouts });
      const client = http.raw();
      client.write(`POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"user"`);
      await client.closed;
      expect(client.received).toMatch(/^HTTP\/1\.1 408 /);
      expect(http.invocations.calls).toEqual([]);
    },
  );
  test("a body that drips ends the connection, though no pause is long", async () => {
    const http = await start({ timeouts });
    const client = http.raw();
    client.write("PUT /v1/tenants/demo/objects/drip HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n");
    const drip = setInterval(() => client.write("x"), 20);
    await client.closed;
    clearInterval(drip);
    expect(client.received).toMatch(/^HTTP\/1\.1 408 /);
    expect(http.objects.values.size).toBe(0);
  });
  test("a client that waits for a slow function is left alone", async () => {
    const http = await start({ timeouts });
    http.invocations.functions.set("slow", async () => {
      await new Promise((resolve) => setTimeout(resolve, 700));
      return { output: Buffer.from("done") };
    });
    expect(await http.call({ user: "demo", function: "slow" })).toMatchObject({ status: 200, text: "done" });
  });
  test("a client that does not take its answer is ended", async () => {
    const http = await start({ timeouts });
    http.invocations.functions.set("large", () => ({ output: new Uint8Array(64 * 1024 * 1024) }));
    const client = http.raw();
    client.socket.pause();
    const body = '{"user":"demo","function":"large"}';
    client.write(`POST /f/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    while (!http.metrics.render().includes('neap_call_answers_total{status="200"} 1')) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    while (!http.metrics.render().includes("neap_http_in_flight 0")) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    client.socket.destroy();
  });
});

describe("clients that go away (H28)", () => {
  test.each(["/f/", "/v1/tenants/demo/functions/wait/calls"])("the call of POST %s is told by its signal", async (path) => {
    const http = await start();
    const started = Promise.withResolvers<AbortSignal | undefined>();
    http.invocations.functions.set("wait", ({ signal }) => {
      started.resolve(signal);
      return new Promise(() => {});
    });
    const client = http.raw();
    const body = '{"user":"demo","function":"wait"}';
    client.write(`POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    const signal = await started.promise;
    expect(signal?.aborted).toBe(false);
    const aborted = new Promise((resolve) => signal?.addEventListener("abort", resolve));
    client.socket.destroy();
    await aborted;
  });
  test("the signal of an answered call is never aborted", async () => {
    const http = await start();
    await http.call({ user: "demo", function: "echo" });
    const client = http.raw();
    client.write("GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    await client.closed;
    expect(http.invocations.calls[0]?.signal?.aborted).toBe(false);
  });
  test.each([
    ["POST", "/f/"],
    ["PUT", "/f/demo/x"],
    ["PUT", "/v1/tenants/demo/objects/half"],
  ])("half a body of %s %s does nothing, and the host goes on", async (method, path) => {
    const http = await start();
    const client = http.raw();
    client.write(`${method} ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf`);
    while (!http.metrics.render().includes("neap_http_in_flight 1")) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    client.socket.destroy();
    while (!http.metrics.render().includes("neap_http_in_flight 0")) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect([http.invocations.calls.length, http.functions.modules.size, http.objects.values.size]).toEqual([0, 0, 0]);
    expect((await http.send("POST", "/f/", { body: ECHO })).status).toBe(200);
  });
  const LATE = "POST /f/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{";
  test.each([
    [
      "a greeting of TLS",
      "\x16\x03\x01\x02\x00 nonsense\r\n\r\n",
      400,
      "the request is not HTTP/1.1: Invalid method encountered",
    ],
    [
      "a length that is no number",
      LATE.replace("9", "x"),
      400,
      "the request is not HTTP/1.1: Invalid character in Content-Length",
    ],
    ["two lengths", LATE.replace("9", "9\r\nContent-Length: 8"), 400, "the request is not HTTP/1.1: "],
    ["headers of 20 kB", `GET /ping HTTP/1.1\r\nX: ${"x".repeat(20_000)}\r\n`, 431, "larger than the limit of 16384 bytes"],
    ["headers that take too long", "GET /ping HTTP/1.1\r\nHost: loc", 408, "the headers of the request took too long"],
  ])("%s: the answer says what is wrong, and that connection alone ends", async (_what, bytes, status, text) => {
    const http = await start({ timeouts: { headersMs: 50 } });
    const client = http.raw();
    client.write(bytes);
    await client.closed;
    expect(client.received).toContain(`HTTP/1.1 ${status} `);
    expect(client.received).toContain(text);
    expect(client.received.includes("Neap-Error: BAD_REQUEST")).toBe(status === 400);
    expect((await http.send("GET", "/ping")).text).toBe("PONG");
  });
  test("F17: nonsense behind a request that was read is not answered, as that would be taken for the call's answer", async () => {
    const http = await start();
    const begun = Promise.withResolvers<void>();
    http.invocations.functions.set("wait", () => {
      begun.resolve();
      return new Promise(() => {});
    });
    const client = http.raw();
    const body = '{"user":"demo","function":"wait"}';
    client.write(`POST /f/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await begun.promise;
    client.write("nonsense\r\n\r\n");
    await client.closed;
    expect(client.received).toBe("");
  });
});

test("S4: connections above the limit are ended at once, and those below it are served", async () => {
  const http = await start({ connectionsMax: 2 });
  const clients = [http.raw(), http.raw()];
  const ping = async (client: RawClient | undefined) => {
    client?.write("GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await client?.until("PONG");
  };
  await Promise.all(clients.map(ping));
  const third = http.raw();
  await third.closed;
  expect(third.received).toBe("");
  expect(http.metrics.render()).toContain("neap_http_dropped_connections_total 1");
  clients[0]?.socket.destroy();
  await eventually("its place is free", () =>
    ping(http.raw()).then(
      () => true,
      () => false,
    ),
  );
  clients[1]?.socket.destroy();
});

describe("life of the server", () => {
  test("many requests pass over one connection, errors between them too", async () => {
    const http = await start();
    const client = http.raw();
    const post = (body: string) =>
      client.write(`POST /f/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    post("{");
    await client.until("it ends too early");
    post(ECHO);
    await client.until("200 OK");
    client.write("GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await client.until("PONG");
    client.socket.destroy();
  });
  test("the alias port serves the same; a taken one is only a warning, and the port itself an error", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as AddressInfo;
    const warnings: string[] = [];
    const log = { debug() {}, info() {}, error() {}, warn: (message: string) => void warnings.push(message), with: () => log };
    const http = await start({ config: { aliasPort: port }, log });
    expect(http.aliasUrl).toBeNull();
    expect(warnings).toEqual([expect.stringContaining("alias port is taken")]);
    await expect(HttpFixture.start({ config: { port } })).rejects.toMatchObject({
      code: "PORT_IN_USE",
      message: expect.stringContaining(`${port}`),
    });
    await new Promise((resolve) => taken.close(resolve));
    const both = await start({ config: { aliasPort: port } });
    expect(both.aliasUrl).toBe(`http://127.0.0.1:${port}`);
    expect((await send(port, "POST", "/f/", { body: ECHO })).text).toBe("x");
    const client = new RawClient(port);
    client.write("nonsense\r\n\r\n");
    await client.until("the request is not HTTP/1.1");
  });
  test("the fault points stand before and after each call's answer", async () => {
    const points: FaultPoint[] = [];
    const http = await start({ faults: { at: (point) => void points.push(point) } });
    for (const path of ["/f/", "/v1/tenants/demo/functions/echo/calls"]) {
      await http.send("POST", path, { body: ECHO });
    }
    expect(points).toEqual(["answer:before", "answer:after", "answer:before", "answer:after"]);
  });
  test("close lets a running call finish, refuses new ones on old connections, and accepts no new connection", async () => {
    const http = await HttpFixture.start();
    const begun = Promise.withResolvers<void>();
    const finish = Promise.withResolvers<void>();
    http.invocations.functions.set("wait", async () => {
      begun.resolve();
      await finish.promise;
      return { output: Buffer.from("finished") };
    });
    const idle = http.raw();
    idle.write("GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\nGET /ping HTTP/1.1\r\nHost: localhost\r\n");
    await idle.until("PONG");
    const running = http.call({ user: "demo", function: "wait" });
    await begun.promise;
    const closed = http.server.close(10_000);
    idle.write("\r\n");
    await idle.until("503 Service Unavailable");
    expect(idle.received).toContain("Neap-Error: SHUTTING_DOWN");
    await expect(http.send("GET", "/ping")).rejects.toMatchObject({ code: "ECONNREFUSED" });
    finish.resolve();
    expect((await running).text).toBe("finished");
    await closed;
  });
  test("close ends what does not finish within the grace time", async () => {
    const http = await HttpFixture.start();
    const begun = Promise.withResolvers<void>();
    http.invocations.functions.set("never", () => {
      begun.resolve();
      return new Promise(() => {});
    });
    const running = http.call({ user: "demo", function: "never" });
    const ended = expect(running).rejects.toThrow();
    await begun.promise;
    await http.server.close(50);
    await ended;
  });
});

test("S5: an output that no disk has takes room until its client has taken it; without room nothing has happened", async () => {
  const output = new Uint8Array(30_000_000);
  const http = await start({ bodiesMaxBytes: 70_000_000 });
  http.invocations.functions.set("long", () => ({ output }));
  const body = JSON.stringify({ user: "demo", function: "long" });
  const slow = http.raw();
  slow.socket.pause();
  slow.write(`POST /f/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  const held = () => http.metrics.render().includes("neap_http_body_bytes 30000000");
  await eventually("the slow client has its answer", held);
  for (const path of ["/f/", "/v1/tenants/demo/functions/long/calls"]) {
    const refused = await http.send("POST", path, { body });
    expect([refused.status, refused.headers["neap-error"]]).toEqual([503, "OVERLOADED"]);
  }
  http.invocations.functions.set("short", () => ({ output: output.subarray(0, 20_000_000) }));
  const others = await http.call({ user: "other", function: "short" });
  expect(others.status).toBe(200);
  slow.socket.destroy();
  await eventually("its room is free", () => http.metrics.render().includes("neap_http_body_bytes 0"));
  expect((await http.send("POST", "/f/", { body })).text).toHaveLength(output.byteLength);
});

test("S5: what is for a client that has gone takes no room", async () => {
  const http = await start({ bodiesMaxBytes: 70_000_000 });
  const [begun, gone] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  http.invocations.functions.set("late", async ({ signal }) => {
    signal?.addEventListener("abort", () => gone.resolve());
    begun.resolve();
    await gone.promise;
    return { output: new Uint8Array(30_000_000) };
  });
  const client = http.raw();
  const body = JSON.stringify({ user: "demo", function: "late" });
  client.write(`POST /f/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  await begun.promise;
  client.socket.destroy();
  const answered = () => http.metrics.render().includes('neap_call_answers_total{status="200"} 1');
  await eventually("its answer is made", answered);
  expect(http.metrics.render()).toContain("neap_http_body_bytes 0");
});
