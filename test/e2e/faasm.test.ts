import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CHAINS, COUNTS_A, COUNTS_CALLS } from "../support/faasm-modules.ts";
import { HostCluster } from "../support/host-cluster.ts";
import { call, type RunningHost, removeFolder, startHost, temporaryFolder, upload } from "../support/host-process.ts";
import { writeObject } from "../support/host-requests.ts";

const USER = "ndp";
const TEXT = "a banana and an apple";
const COUNT = TEXT.split("a").length - 1;

/** What was counted, what constructors and zygote have left, and what lies at the mapped object behind the part. */
const ANSWER = Buffer.from([COUNT, 23, 0]).toString();

const counts = (url: string, input: string, more: object = {}) =>
  call(url, { user: USER, function: "counts", input_data: input, ...more });

async function prepare(url: string): Promise<void> {
  await upload(url, USER, "counts", COUNTS_A);
  await upload(url, USER, "chains", CHAINS);
  await upload(url, USER, "adds", COUNTS_CALLS);
  await writeObject(url, USER, "text", TEXT);
}

/** What the byte "count" is. */
async function count(url: string): Promise<number> {
  const answer = await fetch(`${url}/s/${USER}/count`);
  return answer.ok ? ((await answer.bytes())[0] ?? 0) : 0;
}

/** Adds 1 in each of the ways, and then often at the same time under the lock. */
async function addsUp(url: string, other = url): Promise<void> {
  const add = (input: string, more: object = {}, at = url) =>
    call(at, { user: USER, function: "adds", input_data: input, ...more });
  for (const [input, more] of [["s"], ["t"], ["p"], ["p", { forbid_ndp: true }], ["l"]] as const) {
    const before = await count(url);
    expect(await add(input, more), input).toMatchObject({ status: 200, body: "" });
    expect(await count(other), input).toBe(before + 1);
  }
  const before = await count(url);
  const answers = await Promise.all(Array.from({ length: 20 }, (_, at) => add("l", {}, at % 2 === 0 ? url : other)));
  expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
  expect(await count(url)).toBe(before + 20);
}

describe("a module in Faasm's shape, on one process", () => {
  const folder = temporaryFolder("faasm");
  let host: RunningHost;
  beforeAll(async () => {
    // Whatever else this machine does meanwhile.
    const flags = ["--offload-cpu-threshold", "1", "--offload-memory-threshold", "1"];
    host = await startHost({ dataDirectory: folder, flags });
    await prepare(host.url);
  });
  afterAll(async () => {
    await host.kill();
    removeFolder(folder);
  });

  it("H19: answers the same with and without push-down, and the part has its frames on the stack of the caller", async () => {
    const pushed = await counts(host.url, "text");
    expect(pushed).toMatchObject({ status: 200, body: ANSWER });
    expect(pushed.headers.get("neap-parts")).toContain("marked by the function");
    const here = await counts(host.url, "text", { forbid_ndp: true });
    expect(here).toMatchObject({ status: 200, body: ANSWER });
    expect(here.headers.get("neap-parts")).toContain("forbidden by the request");
  });

  it("tells the object that is mapped from what is shipped: the part gives back less than the object has", async () => {
    await writeObject(host.url, USER, "large", "b".repeat(200_000));
    const { headers } = await counts(host.url, "large");
    const [, back] = /back=(\d+)/.exec(headers.get("neap-parts") ?? "") ?? [];
    expect(Number(back)).toBeLessThan(2_000);
  });

  it("gives what it exits with in place of its output, with and without push-down", async () => {
    for (const more of [{}, { forbid_ndp: true }]) {
      expect(await counts(host.url, "missing", more)).toMatchObject({ status: 500, body: "Call failed (return value=3)" });
    }
  });

  it("H22: keeps state that it changes through pointers at the end of calls and parts, and loses nothing under the lock", async () => {
    await addsUp(host.url);
  });

  it("calls functions of its own table: each begins with the memory of the snapshot", async () => {
    const chains = async (input: string) => (await call(host.url, { user: USER, function: "chains", input_data: input })).body;
    expect(await chains("1")).toBe("\0\x2a\x01".padEnd(12, "\0"));
    expect(await chains("2")).toBe("\x0542 and more");
    // No such function, and one that cannot be called so: the call fails, and its caller sees that.
    expect((await chains("0")).startsWith("\x01")).toBe(true);
    expect((await chains("3")).startsWith("\x01")).toBe(true);
  });
});

describe("a module in Faasm's shape, on several processes", () => {
  let cluster: HostCluster;
  beforeAll(async () => {
    cluster = await HostCluster.start("faasm-cluster", { compute: 2 });
    await prepare(cluster.url(0));
  });
  afterAll(() => cluster?.close());

  it("H19: answers the same wherever the part runs", async () => {
    const pushed = await counts(cluster.url(0), "text");
    expect(pushed).toMatchObject({ status: 200, body: ANSWER });
    expect(pushed.headers.get("neap-executed-at")).toContain("storage@store");
    expect(await counts(cluster.url(0), "text", { forbid_ndp: true })).toMatchObject({ status: 200, body: ANSWER });
    expect(await counts(cluster.url(0), "missing")).toMatchObject({ status: 500, body: "Call failed (return value=3)" });
  });

  it("H22: keeps state that it changes through pointers, wherever it runs, and loses nothing under the lock", async () => {
    await addsUp(cluster.url(0), cluster.url(1));
  });

  it("calls functions of its own table", async () => {
    const { body } = await call(cluster.url(0), { user: USER, function: "chains", input_data: "2" });
    expect(body).toBe("\x0542 and more");
  });
});
