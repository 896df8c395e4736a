import { atMost, type Bench, type BenchCase, type Row } from "../bench-case.ts";
import { BenchHost, callBody } from "../support/bench-host.ts";
import { helloGreeting, largeHello, sampleGuest } from "../support/guests.ts";
import { median } from "../support/measurement.ts";

const LARGE_BYTES = 60 * 1024;
const BAR = atMost(0.5, "modules up to 64 KB, warm host");

export const cold: BenchCase = {
  name: "cold",
  measures:
    "the first call of a function, beside its second, for many functions that differ; each time after a call of another function, as the first one after an upload finds all threads asleep",
  async run(bench) {
    const hello = await sampleGuest("hello");
    const large = await largeHello(bench.folder, LARGE_BYTES);
    const host = await BenchHost.start(bench, "cold");
    await host.upload("hello", hello);
    await host.load(16, bench.warmUpMs, [callBody("hello", "")]);
    return [...(await coldCalls(bench, host, "small", hello)), ...(await coldCalls(bench, host, "large", large))];
  },
};

async function coldCalls(bench: Bench, host: BenchHost, name: string, module: Uint8Array): Promise<readonly Row[]> {
  const uploadsMs: number[] = [];
  const wakingMs: number[] = [];
  const firstsMs: number[] = [];
  const secondsMs: number[] = [];
  const differencesMs: number[] = [];
  for (let i = 0; i < bench.size(200, 3); i++) {
    const word = String(i).padStart(5, "0");
    const functionName = `${name}-${word}`;
    const copy = helloGreeting(module, word);
    const startMs = performance.now();
    await host.upload(functionName, copy);
    uploadsMs.push(performance.now() - startMs);
    wakingMs.push((await host.call(callBody("hello", ""))).latencyMs);
    const body = callBody(functionName, "");
    const first = await host.call(body);
    const second = await host.call(body);
    if (first.body.toString() !== `Hello, ${word}!`) {
      throw new Error(`${functionName} answered ${first.body}`);
    }
    firstsMs.push(first.latencyMs);
    secondsMs.push(second.latencyMs);
    differencesMs.push(first.latencyMs - second.latencyMs);
  }
  const what = `${(module.byteLength / 1024).toFixed(1)} KB`;
  return [
    { what: `${what}, upload`, value: median(uploadsMs), unit: "ms" },
    { what: `${what}, a warm function right after it`, value: median(wakingMs), unit: "ms" },
    { what: `${what}, first call`, value: median(firstsMs), unit: "ms" },
    { what: `${what}, second call`, value: median(secondsMs), unit: "ms" },
    { what: `${what}, first − second`, value: median(differencesMs), unit: "ms", bar: BAR },
  ];
}
