import { afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { buildFunctions } from "../../functions/build.ts";
import { curl, LINES } from "../support/curl.ts";
import { eventually } from "../support/eventually.ts";
import { wat } from "../support/guest-modules.ts";
import { HostHome } from "../support/host-home.ts";
import { call, sampleModule, upload } from "../support/host-process.ts";
import { readObject } from "../support/host-requests.ts";

const T = "demo";

let home: HostHome;

beforeAll(() => buildFunctions({ force: false }));

beforeEach(() => {
  home = new HostHome();
});

afterEach(() => home.close());

/** Begins `counter` after a delay; gives where to ask for it. */
async function delayed(url: string, input: string, delayMs: number): Promise<string> {
  const answer = await fetch(`${url}/v1/tenants/${T}/functions/counter/calls`, {
    method: "POST",
    body: input,
    headers: { "Neap-Delay-Ms": `${delayMs}` },
  });
  expect(answer.status).toBe(202);
  return answer.headers.get("location") ?? "";
}

async function state(url: string, path: string): Promise<{ state: string }> {
  return (await (await fetch(`${url}${path}`)).json()) as { state: string };
}

it("a delayed call survives a kill and is done once; one that is cancelled never begins; fanout takes one answer", {
  timeout: 180_000,
}, async () => {
  let running = await home.start();
  await upload(running.url, T, "counter", sampleModule("counter"));
  await upload(running.url, T, "fanout", sampleModule("fanout"));
  const soon = await delayed(running.url, "soon", 500);
  const never = await delayed(running.url, "never", 500);
  const late = await delayed(running.url, "late", 86_400_000);
  for (let i = 0; i < 2; i += 1) {
    const answer = await fetch(`${running.url}${never}`, { method: "DELETE" });
    expect([answer.status, await answer.json()]).toMatchObject([200, { state: "cancelled" }]);
  }
  await running.kill();

  running = await home.start();
  const { url } = running;
  await eventually("the delayed call is done", async () => (await state(url, soon)).state === "completed");
  expect(await readObject(url, T, "soon")).toBe("1");
  expect(await readObject(url, T, "never")).toBeUndefined();
  expect([(await state(url, never)).state, (await state(url, late)).state]).toEqual(["cancelled", "delayed"]);

  const { status, body } = await call(url, { user: T, function: "fanout", input_data: "counter a b c" });
  expect([status, body]).toEqual([200, expect.stringMatching(/^[abc]: 1$/)]);
  const answer = await fetch(`${url}/v1/tenants/${T}/functions/counter/options`, {
    method: "PUT",
    body: JSON.stringify({ retry: { attemptsMax: 5, backoffMs: 10, backoffMaxMs: 100 } }),
  });
  expect(await answer.json()).toMatchObject({ name: "counter", retry: { attemptsMax: 5 } });
});

it("what a call took is told with its answer, and whenever the answer is asked for again, also of the next host", {
  timeout: 180_000,
}, async () => {
  const calls = `http://localhost:8080/v1/tenants/${T}/functions/counter/calls`;
  const keyed = `curl -X POST '${calls}' -H 'Idempotency-Key: k' -d 'keyed'`;
  const withId = LINES.post({ user: T, function: "counter", input_data: "id", id: 5 });
  const poll = LINES.post({ user: T, id: 5, status: true });
  let running = await home.start();
  await upload(running.url, T, "counter", sampleModule("counter"));

  const tookMs = async (line: string, executedAt: string) => {
    const { status, headers } = await curl(line, running.url);
    expect([status, headers.get("neap-executed-at")?.split("@")[0]], line).toEqual([200, executedAt]);
    return { instance: headers.get("neap-instance"), cpuMs: Number(headers.get("neap-cpu-ms")) };
  };
  const byKey = await tookMs(keyed, "compute");
  const byId = await tookMs(withId, "compute");
  const later = await curl(`curl -X POST '${calls}' -H 'Prefer: respond-async' -d 'later'`, running.url);
  const { instance } = JSON.parse(later.body) as { instance: string };
  const of = async (name: string | undefined) => {
    const { body } = await curl(`curl 'http://localhost:8080/v1/tenants/${T}/calls/${name}'`, running.url);
    return JSON.parse(body) as { state: string; cpuMs: number | null };
  };
  await eventually("the asynchronous call is done", async () => (await of(instance)).state === "completed");
  const { cpuMs: laterMs } = await of(instance);
  expect([byKey.cpuMs > 0, byId.cpuMs > 0, Number(laterMs) > 0]).toEqual([true, true, true]);

  for (let starts = 0; starts < 2; starts += 1) {
    expect(await tookMs(keyed, "stored")).toEqual(byKey);
    expect(await tookMs(withId, "stored")).toEqual(byId);
    const polled = await curl(poll, running.url);
    expect([polled.headers.get("neap-cpu-ms"), JSON.parse(polled.body)]).toMatchObject([`${byId.cpuMs}`, { cpu_ms: byId.cpuMs }]);
    const states = await Promise.all([byKey.instance, byId.instance, instance].map(of));
    expect(states.map(({ cpuMs }) => cpuMs)).toEqual([byKey.cpuMs, byId.cpuMs, laterMs]);
    await running.kill();
    running = await home.start();
  }
});

it("a function may hold fewer sandboxes than its tenant: its calls beyond them wait, those of other functions do not", async () => {
  const { url } = await home.start();
  const sleeps = `(module (import "neap" "sleep" (func $sleep (param i64))) (memory 1)
    (func (export "main") (call $sleep (i64.const 1500))))`;
  await upload(url, T, "sleeps", wat(sleeps));
  await upload(url, T, "hello", sampleModule("hello"));
  const limits = { method: "PUT", body: JSON.stringify({ limits: { functionMaxSandboxes: 2 } }) };
  expect((await fetch(`${url}/v1/tenants/${T}/functions/sleeps/options`, limits)).status).toBe(200);
  const load = async () =>
    ((await (await fetch(`${url}/v1/status`)).json()) as { load: { active: number; queued: number } }).load;
  const calls = Array.from({ length: 5 }, () => call(url, { user: T, function: "sleeps" }));
  await eventually("two sleep, and others wait for them", async () => {
    const { active, queued } = await load();
    return active === 2 && queued > 0;
  });
  expect((await call(url, { user: T, function: "hello", input_data: "you" })).body).toBe("Hello, you!");
  expect((await load()).active).toBeLessThanOrEqual(2);
  for (const { status } of await Promise.all(calls)) {
    expect(status).toBe(200);
  }
});
