import { afterAll, beforeAll, expect, test } from "vitest";
import { HttpFixture } from "../../../support/http-fixture.ts";

let http: HttpFixture;
beforeAll(async () => {
  http = await HttpFixture.start();
});
afterAll(() => http.close());

const TENANT = "/v1/tenants/demo";
const json = (answer: { text: string }): unknown => JSON.parse(answer.text);

test("a scope is switched with PUT, and the list tells how far that is", async () => {
  const put = await http.send("PUT", `${TENANT}/scopes/counters?protocol=halfmoon-write`);
  const scope = {
    scope: "counters",
    protocol: null,
    automatic: false,
    decision: null,
    switching: { to: "halfmoon-write", begin: 7, waitingFor: 2 },
    reads: 3,
    writes: 4,
  };
  expect([put.status, json(put)]).toEqual([202, scope]);
  const list = await http.send("GET", `${TENANT}/scopes`);
  expect([list.status, json(list)]).toEqual([200, { default: "halfmoon-read", scopes: [scope] }]);
  const second = await http.send("PUT", `${TENANT}/scopes/counters?protocol=boki`);
  expect([second.status, json(second)]).toMatchObject([409, { code: "SWITCH_UNDER_WAY" }]);
});

test("the scope of keys without a slash has the empty name, and may be left to the host", async () => {
  const put = await http.send("PUT", `${TENANT}/scopes/?protocol=automatic`);
  expect([put.status, json(put)]).toMatchObject([202, { scope: "", automatic: true }]);
});

test("the tenant's default is chosen with PUT", async () => {
  const put = await http.send("PUT", `${TENANT}/default-protocol?protocol=unsafe`);
  expect([put.status, json(put)]).toEqual([200, { default: "unsafe" }]);
  expect(json(await http.send("GET", `${TENANT}/scopes`))).toMatchObject({ default: "unsafe" });
});

test("a function is uploaded with a protocol of its own", async () => {
  const module = Buffer.from("\0asm\u0001\0\0\0");
  const path = `${TENANT}/functions/f`;
  expect(json(await http.send("PUT", `${path}?protocol=boki`, { body: module }))).toMatchObject({ protocol: "boki" });
  expect(json(await http.send("PUT", path, { body: module }))).toMatchObject({ protocol: null });
});

test("protocols that there are not are refused with those that there are", async () => {
  for (const path of [
    "scopes/a?protocol=halfmoon",
    "scopes/a",
    "scopes/a?protocol=boki&protocol=boki",
    "default-protocol?protocol=automatic",
    "functions/f?protocol=HALFMOON-READ",
  ]) {
    const answer = await http.send("PUT", `${TENANT}/${path}`);
    expect([answer.status, json(answer)]).toMatchObject([
      400,
      { code: "BAD_MODE", detail: expect.stringContaining("must be one of halfmoon-read, halfmoon-write, boki, unsafe") },
    ]);
  }
});
