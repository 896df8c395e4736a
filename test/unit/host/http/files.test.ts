import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HttpFixture } from "../../../support/http-fixture.ts";

let http: HttpFixture;
let guarded: HttpFixture;
beforeAll(async () => {
  http = await HttpFixture.start({ limits: { objectMaxBytes: 1000 } });
  guarded = await HttpFixture.start({ access: { tokens: new Map([["secret", "demo"]]) } });
});
afterAll(async () => {
  await http.close();
  await guarded.close();
});

const FILES = "/v1/tenants/demo/files";
const token = { Authorization: "Bearer secret" };

describe("Faasm's /file", () => {
  test("stores and gives back what the header FilePath names, for the tenant of the token", async () => {
    for (const path of ["a/größe.txt", "/a/größe.txt", "faasm://a/größe.txt"]) {
      const headers = { ...token, FilePath: Buffer.from(path).toString("latin1") };
      const put = await guarded.send("PUT", "/file", { body: Buffer.from(path), headers });
      expect([put.status, put.text]).toEqual([200, "Shared file uploaded\n"]);
      const get = await guarded.send("GET", "/file", { headers });
      expect([get.status, get.headers["content-type"], get.text]).toEqual([200, "application/octet-stream", path]);
    }
    const native = await guarded.send("GET", `${FILES}/a/gr%C3%B6%C3%9Fe.txt`, { headers: token });
    expect(native.text).toBe("faasm://a/größe.txt");
  });

  test("without the header answers Faasm's 400, and without a tenant names the query", async () => {
    const answers = [
      await http.send("PUT", "/file", { body: "x" }),
      await http.send("GET", "/file", { headers: { FilePath: "" } }),
    ];
    for (const { status, text } of answers) {
      expect([status, text]).toEqual([400, "Bad request, expected file path header FilePath"]);
    }
    const open = await http.send("PUT", "/file", { body: "x", headers: { FilePath: "a" } });
    expect([open.status, open.text]).toEqual([400, "Bad request, expected ?user=<tenant>: a shared file belongs to one tenant"]);
    expect((await http.send("PUT", "/file?user=demo", { body: "x", headers: { FilePath: "a" } })).status).toBe(200);
    expect((await http.send("GET", "/file?user=demo", { headers: { FilePath: "a" } })).text).toBe("x");
    expect((await http.send("GET", "/file?user=other", { headers: { FilePath: "a" } })).status).toBe(404);
    const foreign = await guarded.send("GET", "/file?user=other", { headers: { ...token, FilePath: "a" } });
    expect([foreign.status, foreign.headers["neap-error"]]).toEqual([403, "FOREIGN_TENANT"]);
    expect((await guarded.send("PUT", "/file", { body: "x", headers: { FilePath: "a" } })).status).toBe(401);
  });
});

describe("native routes for files", () => {
  test("are stored, listed page by page, and removed", async () => {
    for (const path of ["l/a", "l/b/c", "l/d"]) {
      const put = await http.send("PUT", `${FILES}/${path}`, { body: path });
      expect(JSON.parse(put.text)).toEqual({ path, sizeBytes: path.length, seqnum: expect.any(Number) });
    }
    const first = JSON.parse((await http.send("GET", `${FILES}?prefix=l/&limit=2`)).text);
    expect(first).toMatchObject({ files: [{ path: "l/a", sizeBytes: 3 }, { path: "l/b/c" }], next: "l/b/c" });
    const rest = JSON.parse((await http.send("GET", `${FILES}?prefix=l/&after=${first.next}`)).text);
    expect(rest).toMatchObject({ files: [{ path: "l/d" }], next: null });
    expect((await http.send("DELETE", `${FILES}/l/a`)).status).toBe(204);
    for (const method of ["GET", "DELETE"]) {
      const gone = await http.send(method, `${FILES}/l/a`);
      expect([gone.status, JSON.parse(gone.text)]).toMatchObject([
        404,
        { code: "UNKNOWN_OBJECT", detail: 'there is no shared file "l/a"' },
      ]);
    }
  });

  test("are the objects below files/", async () => {
    await http.send("PUT", `${FILES}/as/object`, { body: "x" });
    expect((await http.send("GET", "/v1/tenants/demo/objects/files/as/object")).text).toBe("x");
  });

  test.each([
    ["an empty name", "a//b"],
    ["a folder's", "a/"],
    ["a dot", "."],
    ["two dots", "a/../b"],
    ["a long name", "x".repeat(256)],
    ["a control character", "%0a"],
    ["a long path", `${"xx/".repeat(400)}x`],
  ])("a path that no program could open answers 400: %s", async (_, path) => {
    const put = await http.send("PUT", `${FILES}/${path}`, { body: "x" });
    expect([put.status, JSON.parse(put.text).code]).toEqual([400, "BAD_KEY"]);
  });

  test("a file larger than an object may be answers 413 and is not there", async () => {
    const put = await http.send("PUT", `${FILES}/big`, { body: "x".repeat(1001) });
    expect([put.status, JSON.parse(put.text).code]).toEqual([413, "OBJECT_TOO_LARGE"]);
    expect((await http.send("GET", `${FILES}/big`)).status).toBe(404);
  });
});
