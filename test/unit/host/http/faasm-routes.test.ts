import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HttpFixture } from "../../../support/http-fixture.ts";

const MODULE = Buffer.concat([Buffer.from("\0asm"), Buffer.from([1, 0, 0, 0])]);

let http: HttpFixture;
beforeAll(async () => {
  http = await HttpFixture.start({ tenancy: { moduleMaxBytes: 5000 } });
});
afterAll(() => http.close());

describe("functions", () => {
  test("PUT /f/<user>/<func> answers Faasm's line, and GET gives the module back", async () => {
    const put = await http.send("PUT", "/f/demo/hello", { body: MODULE });
    expect([put.status, put.text]).toEqual([200, "Function upload complete\n"]);
    const get = await http.send("GET", "/f/demo/hello");
    expect([get.status, get.headers["content-type"]]).toEqual([200, "application/wasm"]);
    expect(get.bytes.equals(MODULE)).toBe(true);
  });
  test.each(["application/wasm", "application/json", "application/x-www-form-urlencoded", "text/plain; charset=x", "nonsense"])(
    "an upload's content type does not matter: %s",
    async (type) => {
      const put = await http.send("PUT", "/f/demo/typed", { body: MODULE, headers: { "Content-Type": type } });
      expect([put.status, put.text]).toEqual([200, "Function upload complete\n"]);
    },
  );
  test("a chunked upload works", async () => {
    expect((await http.send("PUT", "/f/demo/chunked", { body: MODULE, chunked: true })).status).toBe(200);
  });
  test("a bad module answers 400 with the reason and the code", async () => {
    const put = await http.send("PUT", "/f/demo/bad", { body: "not wasm" });
    expect([put.status, put.headers["neap-error"]]).toEqual([400, "MODULE_INVALID"]);
    expect(put.text).toContain("offset 0");
  });
  test("an empty module answers 400", async () => {
    expect((await http.send("PUT", "/f/demo/empty")).status).toBe(400);
  });
  test("GET of an absent function answers 404", async () => {
    const get = await http.send("GET", "/f/demo/absent");
    expect([get.status, get.headers["neap-error"]]).toEqual([404, "UNKNOWN_FUNCTION"]);
  });
  test.each([
    ["/f/../x", "user"],
    ["/f/%2e%2e/x", "user"],
    ["/f/a%2Fb/x", "user"],
    ["/f/a%00b/x", "user"],
    ["/f/demo/a%0Ab", "function"],
    ["/f/demo/..", "function"],
    ["/f/demo/-x", "function"],
    [`/f/demo/${"x".repeat(300)}`, "function"],
    [`/f/${"x".repeat(300)}/x`, "user"],
    ["/f/d%C3%A9mo/x", "user"],
  ])("the name in %s answers 400 naming the field", async (path, field) => {
    for (const method of ["PUT", "GET"]) {
      const answer = await http.send(method, path, method === "PUT" ? { body: MODULE } : {});
      expect([answer.status, answer.headers["neap-error"]]).toEqual([400, "BAD_NAME"]);
      expect(answer.text).toMatch(new RegExp(`^${field} is `));
    }
  });
  test("a path that cannot be decoded answers 400", async () => {
    expect((await http.send("GET", "/f/%zz/x")).status).toBe(400);
  });
});

describe("state values", () => {
  test("PUT /s/<user>/<key> answers Faasm's line, GET gives the bytes back, and a function sees the object state/<key>", async () => {
    const bytes = Buffer.from([0, 255, 10]);
    const put = await http.send("PUT", "/s/demo/counter", { body: bytes });
    expect([put.status, put.text]).toEqual([200, "State upload complete\n"]);
    const get = await http.send("GET", "/s/demo/counter");
    expect([get.status, get.headers["content-type"]]).toEqual([200, "application/octet-stream"]);
    expect(get.bytes.equals(bytes)).toBe(true);
    expect((await http.send("GET", "/v1/tenants/demo/objects/state/counter")).bytes.equals(bytes)).toBe(true);
  });
  test("an empty value is a value", async () => {
    expect((await http.send("PUT", "/s/demo/empty", { body: "" })).status).toBe(200);
    const get = await http.send("GET", "/s/demo/empty");
    expect([get.status, get.bytes.length]).toEqual([200, 0]);
  });
  test("an absent value answers 404", async () => {
    const get = await http.send("GET", "/s/demo/absent");
    expect([get.status, get.headers["neap-error"], get.text]).toEqual([
      404,
      "UNKNOWN_OBJECT",
      'there is no state value "absent"',
    ]);
  });
  test.each([
    ["/s/../x", "BAD_NAME"],
    ["/s/demo/a%00b", "BAD_KEY"],
    [`/s/demo/${"x".repeat(1100)}`, "BAD_KEY"],
  ])("the name in %s answers 400", async (path, code) => {
    for (const method of ["PUT", "GET"]) {
      const answer = await http.send(method, path, method === "PUT" ? { body: "x" } : {});
      expect([answer.status, answer.headers["neap-error"]]).toEqual([400, code]);
    }
  });
});

describe("the rest of Faasm's upload service", () => {
  test("GET /ping answers PONG", async () => {
    const answer = await http.send("GET", "/ping");
    expect([answer.status, answer.text]).toEqual([200, "PONG"]);
  });
  test("PUT /p/… is not offered and says so with 501", async () => {
    const answer = await http.send("PUT", "/p/demo/x", { body: "x" });
    expect([answer.status, answer.headers["neap-error"]]).toEqual([501, "NOT_SUPPORTED"]);
    expect(answer.text).toBe(
      "Python and JavaScript source upload are out of scope for now; upload a WebAssembly module by PUT /f/<user>/<function>",
    );
  });
  test.each([
    ["GET", "/", 400, "Unrecognised GET request to /"],
    ["GET", "/p/demo/x", 400, "Unrecognised GET request to /p/demo/x"],
    ["PUT", "/x/y", 400, "Unrecognised PUT request to /x/y"],
    ["PUT", "/f/a/b/c", 400, "Unrecognised PUT request to /f/a/b/c"],
    ["PUT", "/f/demo", 400, "Bad URL, expected single path part /f/demo"],
    ["GET", "/f", 400, "Bad URL, expected single path part /f"],
    ["PUT", "/s/demo?x=1", 400, "Bad URL, expected single path part /s/demo"],
    ["PUT", "/s/demo/?x=1", 400, "Bad URL, expected single path part /s/demo/"],
    ["DELETE", "/f/demo/x", 404, 'there is no DELETE "/f/demo/x"'],
    ["POST", "/other", 404, 'there is no POST "/other"'],
  ])("%s %s answers %i: %s", async (method, path, status, text) => {
    const answer = await http.send(method, path);
    expect([answer.status, answer.text]).toEqual([status, text]);
  });
  test("OPTIONS answers 200 without a header that lets other origins in", async () => {
    const answer = await http.send("OPTIONS", "/f/");
    expect(answer.status).toBe(200);
    expect(Object.keys(answer.headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
  });
});
