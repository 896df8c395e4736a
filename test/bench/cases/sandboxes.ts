import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { atMost, type BenchCase } from "../bench-case.ts";
import { BenchHost, callBody } from "../support/bench-host.ts";
import { benchGuest } from "../support/guests.ts";

const BAR = atMost(90, "design §12: idle sandbox of hello; here with a sleep, and so with a stack of its own");
const TIMEOUT_MS = 30_000;
const SETTLE_MS = 300;

export const sandboxes: BenchCase = {
  name: "sandboxes",
  measures: "resident memory of the host's process per idle sandbox, after many calls at once have slept and ended",
  async run(bench) {
    const count = bench.size(1_000, 20);
    const sleeper = await benchGuest("sleeper");
    const host = await BenchHost.start(bench, "sandboxes");
    await host.upload("sleeper", sleeper);
    const body = (sleepMs: number) => callBody("sleeper", `${sleepMs}`, { async: true });

    // As many calls one after the other: what the host keeps of calls, and no more than a few sandboxes.
    for (let i = 0; i < count; i++) {
      await host.call(body(0));
    }
    await sleep(SETTLE_MS);
    const before = { idle: (await loadOf(host)).idle, residentKb: residentKb(host) };

    for (let i = 0; i < count; i++) {
      await host.call(body(bench.size(3_000, 200)));
    }
    const active = (await loadOf(host)).active;
    const deadlineMs = performance.now() + TIMEOUT_MS;
    while ((await loadOf(host)).active > 0) {
      if (performance.now() > deadlineMs) {
        throw new Error(`calls still run after ${TIMEOUT_MS} ms`);
      }
      await sleep(20);
    }
    await sleep(SETTLE_MS);
    const after = { idle: (await loadOf(host)).idle, residentKb: residentKb(host) };
    const added = after.idle - before.idle;
    if (added <= 0) {
      throw new Error(`no sandbox was kept: ${active} calls ran at once, ${after.idle} sandboxes are idle`);
    }
    const each = (after.residentKb - before.residentKb) / added;
    return [
      { what: `host before, ${before.idle} idle sandboxes`, value: before.residentKb, unit: "KB" },
      { what: `host after, ${after.idle} idle sandboxes`, value: after.residentKb, unit: "KB" },
      { what: "one idle sandbox", value: each, unit: "KB", bar: BAR },
    ];
  },
};

async function loadOf(host: BenchHost): Promise<{ active: number; idle: number }> {
  const { body } = await host.request("GET", "/v1/status");
  return (JSON.parse(body.toString()) as { load: { active: number; idle: number } }).load;
}

function residentKb(host: BenchHost): number {
  const status = readFileSync(`/proc/${host.processId}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
}
