import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HttpFixture } from "../../../support/http-fixture.ts";

const CALL = { body: '{"user":"demo","function":"echo","input_data":"x"}' };
const fixtures: HttpFixture[] = [];
const start = async (access: ConstructorParameters<typeof HttpFixture>[0] = {}) => {
  const fixture = await HttpFixture.start(access);
  fixture.invocations.functions.set("echo", ({ input }) => ({ output: input }));
  fixtures.push(fixture);
  return fixture;
};
afterAll(() => Promise.all(fixtures.map((fixture) => fixture.close())));

/** Every kind of route: the hot path, Fastify's, an unknown one, OPTIONS. */
const ROUTES = [
  ["POST", "/f/"],
  ["PUT", "/f/demo/x"],
  ["GET", "/ping"],
  ["GET", "/v1/status"],
  ["PUT", "/v1/tenants/demo/objects/k"],
  ["GET", "/nothing"],
  ["OPTIONS", "/f/"],
] as const;

describe("H25: open mode", () => {
  let http: HttpFixture;
  beforeAll(async () => {
    http = await start();
  });
  const expectRefused = async (headers: Record<string, string>) => {
    for (const [method, path] of ROUTES) {
      const answer = await http.send(method, path, { ...(method === "GET" ? {} : CALL), headers });
      expect([method, path, answer.status, answer.headers["neap-error"]]).toEqual([method, path, 403, "FOREIGN_ORIGIN"]);
      expect(Object.keys(answer.headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
    }
    expect(http.invocations.calls).toEqual([]);
    expect(http.objects.values.size).toBe(0);
  };
  test.each(["https://evil.example", "http://127.0.0.1:1", "http://localhost.evil.example", "null", "file://"])(
    "a request from a page of %s is refused on every route",
    async (origin) => {
      await expectRefused({ Origin: origin });
    },
  );
  test.each(["text/plain", "application/json", "multipart/form-data"])(
    "a foreign origin is refused with content type %s too",
    (type) => expectRefused({ Origin: "https://evil.example", "Content-Type": type }),
  );
  test.each(["cross-site", "same-site"])("Sec-Fetch-Site: %s is refused, with no Origin at all", (site) =>
    expectRefused({ "Sec-Fetch-Site": site }),
  );
  test.each(["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "192.168.1.5", "localhost@evil.example", "[::2]"])(
    "DNS rebinding: a request for host %j is refused",
    (host) => expectRefused({ Host: host }),
  );
  test.each(["localhost", "LOCALHOST:8080", "127.0.0.1", "127.1.2.3:9", "[::1]", "[::1]:8080"])(
    "a request for host %s is served",
    async (host) => {
      const answer = await http.send("POST", "/f/", { ...CALL, headers: { Host: host } });
      expect(answer.status).toBe(200);
      http.invocations.calls.length = 0;
    },
  );
  test.each(["HTTP/1.1\r\nHost: \r\n", "HTTP/1.0\r\n"])("a request without a host is refused: %j", async (rest) => {
    const client = http.raw();
    client.write(`GET /ping ${rest}\r\n`);
    await client.until("FOREIGN_ORIGIN");
    expect(client.received).toMatch(/^HTTP\/1\.1 403 /);
    client.socket.destroy();
  });
  test("a page of this host itself is served", async () => {
    const headers = { Host: "localhost:8080", Origin: "http://localhost:8080", "Sec-Fetch-Site": "same-origin" };
    const answer = await http.send("POST", "/f/", { ...CALL, headers });
    expect(answer.status).toBe(200);
    expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
    http.invocations.calls.length = 0;
  });
});

describe("configured names and origins", () => {
  test("--allowed-hosts adds names; --insecure-open adds addresses, not names", async () => {
    const named = await start({ access: { allowedHosts: ["Neap.Example"] } });
    expect((await named.send("POST", "/f/", { ...CALL, headers: { Host: "neap.example:80" } })).status).toBe(200);
    expect((await named.send("POST", "/f/", { ...CALL, headers: { Host: "10.0.0.1" } })).status).toBe(403);
    const open = await start({ access: { insecureOpen: true } });
    expect((await open.send("POST", "/f/", { ...CALL, headers: { Host: "10.0.0.1:8080" } })).status).toBe(200);
    expect((await open.send("POST", "/f/", { ...CALL, headers: { Host: "neap.example" } })).status).toBe(403);
  });
  test("--cors-origins admits exactly its origins, and answers their preflight", async () => {
    const http = await start({ access: { corsOrigins: ["https://app.example"] } });
    const headers = { Origin: "https://app.example", "Sec-Fetch-Site": "cross-site" };
    for (const [method, path, status] of [
      ["POST", "/f/", 200],
      ["GET", "/v1/status", 200],
      ["PUT", "/v1/tenants/demo/objects/k", 200],
    ] as const) {
      const answer = await http.send(method, path, { ...(method === "GET" ? {} : CALL), headers });
      expect([answer.status, answer.headers["access-control-allow-origin"], answer.headers.vary]).toEqual([
        status,
        "https://app.example",
        "Origin",
      ]);
    }
    const preflight = await http.send("OPTIONS", "/v1/tenants/demo/objects/k", { headers });
    expect(preflight.headers["access-control-allow-methods"]).toContain("PUT");
    expect(preflight.headers["access-control-allow-headers"]).toContain("Idempotency-Key");
    expect((await http.send("POST", "/f/", { ...CALL, headers: { Origin: "https://app.example.evil" } })).status).toBe(403);
  });
});

describe("tokens", () => {
  const DEMO = "demo-token-0123456789";
  const ADMIN = "admin-token-0123456789";
  let http: HttpFixture;
  beforeAll(async () => {
    const tokens = new Map([
      [DEMO, "demo"],
      [ADMIN, "*"],
    ]);
    http = await start({ access: { tokens } });
  });
  const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

  test.each([undefined, "Bearer wrong-token-0123456789", "Basic ZGVtbzpkZW1v", "Bearer ", DEMO])(
    "%s is refused with 401",
    async (value) => {
      const headers: Record<string, string> = value === undefined ? {} : { Authorization: value };
      for (const [method, path] of ROUTES.slice(0, 2)) {
        const answer = await http.send(method, path, { ...CALL, headers });
        expect([answer.status, answer.headers["neap-error"]]).toEqual([401, "TOKEN_REFUSED"]);
        expect(answer.headers["www-authenticate"]).toBe("Bearer");
      }
    },
  );
  test("a token acts for its tenant only, on every route that names one", async () => {
    expect((await http.send("POST", "/f/", { ...CALL, headers: bearer(DEMO) })).status).toBe(200);
    const other = { body: '{"user":"other","function":"echo"}', headers: bearer(DEMO) };
    const poll = { body: '{"user":"other","id":5,"status":true}', headers: bearer(DEMO) };
    for (const [method, path, options] of [
      ["POST", "/f/", other],
      ["POST", "/f/", poll],
      ["PUT", "/f/other/x", other],
      ["GET", "/f/other/x", { headers: bearer(DEMO) }],
      ["POST", "/v1/tenants/other/functions/echo/calls", other],
      ["GET", "/v1/tenants/other/calls/1-a", { headers: bearer(DEMO) }],
      ["GET", "/v1/tenants/other/functions", { headers: bearer(DEMO) }],
      ["PUT", "/v1/tenants/other/functions/x", other],
      ["GET", "/v1/tenants/other/functions/x", { headers: bearer(DEMO) }],
      ["GET", "/v1/tenants/other/objects", { headers: bearer(DEMO) }],
      ["PUT", "/v1/tenants/other/objects/k", other],
      ["GET", "/v1/tenants/other/objects/k", { headers: bearer(DEMO) }],
      ["DELETE", "/v1/tenants/other/objects/k", { headers: bearer(DEMO) }],
      ["GET", "/v1/tenants/other/instances", { headers: bearer(DEMO) }],
      ["POST", "/v1/tenants/other/instances/1-a/resume", { headers: bearer(DEMO) }],
    ] as const) {
      const answer = await http.send(method, path, options);
      expect([method, path, answer.status, answer.headers["neap-error"]]).toEqual([method, path, 403, "FOREIGN_TENANT"]);
    }
  });
  test("H26: a poll finds only the token's tenant", async () => {
    const call = { body: '{"user":"other","function":"echo","id":77}', headers: bearer(ADMIN) };
    expect((await http.send("POST", "/f/", call)).status).toBe(200);
    const poll = { body: '{"id":77,"status":true}' };
    expect((await http.send("POST", "/f/", { ...poll, headers: bearer(DEMO) })).status).toBe(404);
    expect((await http.send("POST", "/f/", { ...poll, headers: bearer(ADMIN) })).status).toBe(200);
  });
  test("H26: KILL and FLUSH pass the scope check only for the administrator", async () => {
    for (const type of [1, 3]) {
      const body = JSON.stringify({ user: "demo", function: "echo", type });
      expect((await http.send("POST", "/f/", { body, headers: bearer(DEMO) })).status).toBe(403);
      expect((await http.send("POST", "/f/", { body, headers: bearer(ADMIN) })).status).toBe(501);
    }
  });
  test("metrics are for the administrator, status for any token, health and ping for everyone", async () => {
    expect((await http.send("GET", "/metrics")).status).toBe(401);
    expect((await http.send("GET", "/metrics", { headers: bearer(DEMO) })).status).toBe(403);
    expect((await http.send("GET", "/metrics", { headers: bearer(ADMIN) })).status).toBe(200);
    expect((await http.send("GET", "/v1/status")).status).toBe(401);
    expect((await http.send("GET", "/v1/status", { headers: bearer(DEMO) })).status).toBe(200);
    expect((await http.send("GET", "/healthz")).status).toBe(200);
    expect((await http.send("GET", "/ping")).status).toBe(200);
  });
  test("with tokens any host name will do, but a page of a foreign origin still not", async () => {
    const headers = { ...bearer(DEMO), Host: "neap.example" };
    expect((await http.send("POST", "/f/", { ...CALL, headers })).status).toBe(200);
    expect((await http.send("POST", "/f/", { ...CALL, headers: { ...headers, Origin: "https://evil.example" } })).status).toBe(
      403,
    );
  });
});
