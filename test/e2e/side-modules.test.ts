/** The lines of functions/plugins/README.md, and that calls with side modules leave everybody else alone. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildFunctions } from "../../functions/build.ts";
import { findClang } from "../../functions/clang.ts";
import { curl } from "../support/curl.ts";
import {
  call,
  type RunningHost,
  removeFolder,
  sampleModule,
  startHost,
  temporaryFolder,
  upload,
} from "../support/host-process.ts";
import { readObject } from "../support/host-requests.ts";
import { MAIN, sideModule } from "../support/side-modules.ts";

const USER = "demo";
const README = readFileSync(new URL("../../functions/plugins/README.md", import.meta.url), "utf8");
/** Of the guide, a loop written out for each of its values. */
const LINES = README.split("\n")
  .map((line) => /^(?:for f in (?<names>[^;]*); do )?(?<line>curl [^;]*)/.exec(line)?.groups)
  .flatMap((found) =>
    found === undefined ? [] : (found.names?.split(" ") ?? [""]).map((name) => (found.line ?? "").replaceAll("$f", name)),
  );

async function put(host: RunningHost, path: string, module: Uint8Array, user = USER): Promise<void> {
  const request = { method: "PUT", headers: { FilePath: path }, body: module.slice() };
  expect((await fetch(`${host.url}/file?user=${user}`, request)).status).toBe(200);
}

const run = (host: RunningHost, user: string, name: string, input: string) =>
  call(host.url, { user, function: name, input_data: input });

describe.each(["threads", "process"])("with isolation %s", (isolation) => {
  const folder = temporaryFolder(`side-modules-${isolation}`);
  let host: RunningHost;
  beforeAll(async () => {
    await buildFunctions({ force: false });
    // What computes for long gives way to all others: on a busy machine it takes long to get 200 ms of CPU time.
    host = await startHost({ dataDirectory: folder, flags: ["--isolation", isolation, "--wall-time-ms", "150000"] });
  }, 400_000);
  afterAll(async () => {
    await host.kill();
    removeFolder(folder);
  });

  it.skipIf(findClang() === null)("the sample's lines give what it says", async () => {
    expect(LINES).toHaveLength(6);
    const answers = [];
    for (const line of LINES) {
      answers.push(await curl(line.replace("http://127.0.0.1:8080", "http://localhost:8080"), host.url));
    }
    expect(answers.map(({ body }) => body).slice(3)).toEqual([
      "A TEXT",
      "be 2\nnot\nor\nto 2\n",
      "dlopen faasm://filters/lower.wasm: there is no shared file of this name\n",
    ]);
    expect(await readObject(host.url, USER, "words/last")).toBe("be 2\nnot\nor\nto 2\n");
  });

  it.skipIf(findClang() === null)("a function that gives way does so in its side modules, too", async () => {
    await upload(host.url, USER, "gives-way", sampleModule("plugins"), "preemptible=true");
    await put(host, "filters/words.wasm", sampleModule("plugins/words"));
    expect((await run(host, USER, "gives-way", "words b a b")).body).toBe("a\nb 2\n");
  });

  it("a side module whose constructor loops ends its own call, and others are answered meanwhile", async () => {
    await upload(host.url, "bad", "opens", MAIN);
    await upload(host.url, "good", "opens", MAIN);
    const limits = { method: "PUT", body: JSON.stringify({ limits: { cpuTimeMs: 200 } }) };
    expect((await fetch(`${host.url}/v1/tenants/bad/functions/opens/options`, limits)).status).toBe(200);
    await put(host, "loops.wasm", sideModule(`(func (export "__wasm_call_ctors") (loop (br 0)))`), "bad");
    await put(host, "runs.wasm", sideModule(`(func (export "run") (param i32) (result i32) (local.get 0))`), "good");
    const stuck = run(host, "bad", "opens", "loops.wasm\0run\0\0");
    for (let times = 0; times < 5; times++) {
      expect((await run(host, "good", "opens", "runs.wasm\0run\0\0")).body).toBe("\u0005\0\0\0");
    }
    expect((await stuck).body).toMatch(/more than 200 ms of CPU time/);
  });
});
