import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { atMost, type BenchCase } from "../bench-case.ts";
import { BenchHost, callBody } from "../support/bench-host.ts";
import { benchGuest, helloGreeting } from "../support/guests.ts";

const BAR = atMost(90, "idle sandbox of hello; here with a sleep, and so with a stack of its own");
const TIMEOUT_MS = 60_000;
const SETTLE_MS = 300;
const CALLERS = 8;

export const sandboxes: BenchCase = {
  name: "sandboxes",
  measures: "resident memory of the host's process per idle sandbox, after many calls at once have slept and ended",
  async run(bench) {
    // Both waves together stay below what a worker keeps.
    const count = bench.size(900, 20);
    const sleepMs = bench.size(5_000, 300);
    const sleeper = await benchGuest("sleeper");
    const host = await BenchHost.start(bench, "sandboxes");
    for (const name of ["first", "other"]) {
      await host.upload(name, helloGreeting(sleeper, name));
    }
    // What the host needs for so many calls at once, whatever they run in, it needs in the first wave. The second adds sandboxes only,
    // as those of one function do not serve another.
    const before = await afterWave(host, "first", count, sleepMs);
    const after = await afterWave(host, "other", count, sleepMs);
    const added = after.idle - before.idle;
    if (added <= 0) {
      throw new Error(`no sandbox was added: ${before.idle} were idle before, ${after.idle} are now`);
    }
    return [
      { what: `host with ${before.idle} idle sandboxes`, value: before.residentKb, unit: "KB" },
      { what: `host with ${after.idle} idle sandboxes`, value: after.residentKb, unit: "KB" },
      { what: "one idle sandbox", value: (after.residentKb - before.residentKb) / added, unit: "KB", bar: BAR },
    ];
  },
};

/** Lets so many calls sleep at once, and looks when all have ended. */
async function afterWave(
  host: BenchHost,
  functionName: string,
  count: number,
  sleepMs: number,
): Promise<{ idle: number; residentKb: number }> {
  const body = callBody(functionName, `${sleepMs}`, { async: true });
  let left = count;
  const caller = async () => {
    while (left > 0) {
      left -= 1;
      await host.call(body);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  const deadlineMs = performance.now() + TIMEOUT_MS;
  while ((await loadOf(host)).active > 0) {
    if (performance.now() > deadlineMs) {
      throw new Error(`calls still run after ${TIMEOUT_MS} ms`);
    }
    await sleep(20);
  }
  await sleep(SETTLE_MS);
  return { idle: (await loadOf(host)).idle, residentKb: residentKb(host) };
}

async function loadOf(host: BenchHost): Promise<{ active: number; idle: number }> {
  const { body } = await host.request("GET", "/v1/status");
  return (JSON.parse(body.toString()) as { load: { active: number; idle: number } }).load;
}

function residentKb(host: BenchHost): number {
  const status = readFileSync(`/proc/${host.processId}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
}
