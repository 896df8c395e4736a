import type { Bench, BenchCase, Row } from "../bench-case.ts";
import { atMost } from "../bench-case.ts";
import { BenchHost, callBody } from "../support/bench-host.ts";
import { helloGreeting, largeCppHello, largeHello, sampleGuest } from "../support/guests.ts";
import { median } from "../support/measurement.ts";

const LARGE_BYTES = 1024 * 1024;
const BAR = atMost(5, "modules of 1.4 MB, warm host");

export const cppStart: BenchCase = {
  name: "cpp-start",
  measures:
    "the first call of a C++ module of 1 MiB with 16 MiB of memory, less its second, beside one in AssemblyScript of that size",
  async run(bench) {
    const sizeBytes = bench.size(LARGE_BYTES, 20_000);
    const host = await BenchHost.start(bench, "cpp-start");
    await host.upload("hello", await sampleGuest("hello"));
    const assembly = await largeHello(bench.folder, sizeBytes);
    const cpp = await largeCppHello(bench.folder, sizeBytes);
    return [
      ...(await firstCalls(bench, host, "AssemblyScript", (word) => helloGreeting(assembly, word))),
      ...(await firstCalls(bench, host, "C++", (word) => helloGreeting(cpp, word, "utf8"))),
    ];
  },
};

async function firstCalls(
  bench: Bench,
  host: BenchHost,
  language: string,
  copyGreeting: (word: string) => Uint8Array,
): Promise<readonly Row[]> {
  const times: { uploadMs: number; firstMs: number; secondMs: number }[] = [];
  for (let i = 0; i < bench.size(40, 2); i++) {
    const word = String(i).padStart(5, "0");
    const functionName = `${language === "C++" ? "cpp" : "assembly"}-${word}`;
    const module = copyGreeting(word);
    const startMs = performance.now();
    await host.upload(functionName, module);
    const uploadMs = performance.now() - startMs;
    // What is called first after an upload finds threads and cores asleep.
    await host.call(callBody("hello", ""));
    const first = await host.call(callBody(functionName, ""));
    const second = await host.call(callBody(functionName, ""));
    if (first.body.toString() !== `Hello, ${word}!`) {
      throw new Error(`${functionName} answered ${first.body}`);
    }
    times.push({ uploadMs, firstMs: first.latencyMs, secondMs: second.latencyMs });
  }
  return [
    { what: `${language}, upload`, value: median(times.map(({ uploadMs }) => uploadMs)), unit: "ms" },
    { what: `${language}, first call`, value: median(times.map(({ firstMs }) => firstMs)), unit: "ms" },
    {
      what: `${language}, first − second`,
      value: median(times.map(({ firstMs, secondMs }) => firstMs - secondMs)),
      unit: "ms",
      bar: BAR,
    },
  ];
}
