import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildFunctions } from "../../functions/build.ts";
import { COUNTS, type CurlAnswer, curl, LINES } from "../support/curl.ts";
import { eventually } from "../support/eventually.ts";
import { type RunningHost, removeFolder, startHost, temporaryFolder } from "../support/host-process.ts";

describe("the curl lines against one process with every role", () => {
  const folder = temporaryFolder("curl");
  let host: RunningHost;
  const run = (line: string): Promise<CurlAnswer> => curl(line, host.url);
  const post = (fields: object): Promise<CurlAnswer> => run(LINES.post(fields));

  beforeAll(async () => {
    await buildFunctions({ force: false });
    host = await startHost({
      dataDirectory: folder,
      flags: ["--node-name", "here", "--offload-cpu-threshold", "1", "--offload-memory-threshold", "1"],
    });
  });

  afterAll(async () => {
    await host.kill();
    removeFolder(folder);
  });

  it("uploads the three functions", async () => {
    for (const line of LINES.uploads) {
      expect(await run(line)).toMatchObject({ status: 200, body: "Function upload complete\n" });
    }
  });

  it("puts an object and gets it back", async () => {
    const put = await run(LINES.put);
    expect(put).toMatchObject({ status: 200, body: "OK" });
    expect(put.headers.get("content-type")).toBe("text/plain");
    expect(put.headers.get("neap-executed-at")).toBe("compute@here");
    expect(Number(put.headers.get("neap-moved-bytes"))).toBeGreaterThanOrEqual("v1 v2 v3".length);
    expect(await run(LINES.get)).toMatchObject({ status: 200, body: "v1 v2 v3" });
  });

  it("counts words beside the data, and says so", async () => {
    const { status, body, headers } = await run(LINES.wordcount);
    expect([status, body]).toEqual([200, COUNTS]);
    expect(headers.get("neap-executed-at")).toBe("compute@here, storage@here");
    const part = /^"storage@here";reason="marked by the function";out=(\d+);back=(\d+)$/.exec(headers.get("neap-parts") ?? "");
    expect(part, headers.get("neap-parts")).not.toBeNull();
    expect(Number(part?.[1])).toBeGreaterThan(0);
    expect(Number(part?.[2])).toBeGreaterThan(0);
    expect(Number(headers.get("neap-moved-bytes"))).toBe(Number(part?.[1]) + Number(part?.[2]));
  });

  it("counts the same words here when push-down is forbidden, and says why", async () => {
    const { status, body, headers } = await run(LINES.wordcountHere);
    expect([status, body]).toEqual([200, COUNTS]);
    expect(headers.get("neap-executed-at")).toBe("compute@here");
    expect(headers.get("neap-parts")).toBe('"compute@here";reason="forbidden by the request";out=0;back=0');
    expect(Number(headers.get("neap-moved-bytes"))).toBe("v1 v2 v3".length);
  });

  it("names the object that is not there", async () => {
    const none = (name: string) => post({ user: "ndp", function: name, input_data: "none" });
    expect((await none("get")).body).toBe("FAILED - no object found with key 'none'");
    const { status, body, headers } = await none("wordcount");
    expect([status, body]).toEqual([500, "Call failed (return value=1)"]);
    expect(headers.get("neap-output")).toBe("\"there is no object 'none'\"");
  });

  it("answers an asynchronous call with its id, and keeps its result for every poll", async () => {
    const { status, body: id } = await post({ async: true, user: "ndp", function: "wordcount", input_data: "key" });
    expect(status).toBe(200);
    expect(id).toMatch(/^[1-9][0-9]*$/);
    const poll = () => post({ id: Number(id), status: true });
    const done = await eventually("the call is done", async () => {
      const answer = await poll();
      return answer.body !== "RUNNING" && answer;
    });
    expect(done.status).toBe(200);
    expect(JSON.parse(done.body)).toMatchObject({
      id: Number(id),
      user: "ndp",
      function: "wordcount",
      input_data: "key",
      output_data: COUNTS,
      return_value: 0,
    });
    expect((await poll()).body).toBe(done.body);
  });

  it("shows the tree of calls below an id", async () => {
    for (const [user, name] of [
      ["bank", "account"],
      ["bank", "transfer"],
    ]) {
      await run(`curl -X PUT http://localhost:8080/f/${user}/${name} -T functions/${name}/build/${name}.wasm`);
    }
    const call = { user: "bank", function: "transfer", input_data: "ada bob 5", id: 7 };
    expect(await post(call)).toMatchObject({ status: 200, body: "ada -5\nbob 5\n" });
    const graph = await post({ id: 7, exec_graph: true });
    expect(graph.status).toBe(200);
    const leaf = (input_data: string) => ({
      msg: expect.objectContaining({ user: "bank", function: "account", input_data, return_value: 0 }),
      chained: [],
    });
    expect(JSON.parse(graph.body)).toEqual({
      root: {
        msg: expect.objectContaining({ id: 7, user: "bank", function: "transfer", return_value: 0 }),
        chained: [leaf("ada -5"), leaf("bob 5")],
      },
    });
  });

  it("runs a call with an id that was used before only once", async () => {
    const call = { user: "bank", function: "account", input_data: "eve 10", id: 8 };
    expect((await post(call)).body).toBe("10");
    const again = await post(call);
    expect(again).toMatchObject({ status: 200, body: "10" });
    expect(again.headers.get("neap-executed-at")).toBe("stored");
    expect((await post({ user: "bank", function: "account", input_data: "eve 0" })).body).toBe("10");
  });

  it("replaces a function by uploading another one under its name", async () => {
    const upload = (file: string) => run(`curl -X PUT http://localhost:8080/f/ndp/replaced -T functions/${file}`);
    const call = () => post({ user: "ndp", function: "replaced", input_data: "key" });
    expect((await upload("ndp/build/get.wasm")).status).toBe(200);
    expect((await call()).body).toBe("v1 v2 v3");
    expect((await upload("hello/build/hello.wasm")).status).toBe(200);
    expect((await call()).body).toBe("Hello, key!");
  });
});
