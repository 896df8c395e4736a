import { NO_REWRITING, rewriteRequest } from "../../../host/modules/rewriting/index.ts";
import { rewriteOnce } from "../../support/upload-once.ts";
import type { BenchCase, Row } from "../bench-case.ts";
import { benchGuest } from "../support/guests.ts";

const TIMEOUT_MS = 120_000;
const KERNELS = {
  sha256: { size: 64 * 1024, what: "SHA-256 of 64 KiB" },
  nbody: { size: 5_000, what: "5,000 steps of five bodies" },
  wordcount: { size: 64 * 1024, what: "words of 64 KiB, byte by byte" },
  sort: { size: 5_000, what: "5,000 numbers sorted with a comparator" },
  fibonacci: { size: 22, what: "Fibonacci of 22, by recursion" },
} as const;
/** What an upload may ask for. */
const VARIANTS = {
  preemptible: { ...NO_REWRITING, preemptible: true },
  migratable: { ...NO_REWRITING, migratable: true },
  "preemptible and migratable": { ...NO_REWRITING, preemptible: true, migratable: true },
  "with aliased state": { ...NO_REWRITING, aliasState: true },
} as const;

type Kernel = keyof typeof KERNELS;
type Kernels = Readonly<Record<Kernel, (size: number) => number>>;

export const rewriting: BenchCase = {
  name: "rewriting",
  measures:
    "computations without host calls in modules that were rewritten, beside the same as they were uploaded: fastest of many runs",
  async run(bench) {
    const module = Uint8Array.from(await benchGuest("kernels"));
    const rows: Row[] = [];
    const plain = kernelsOf(module);
    for (const [name, options] of Object.entries(VARIANTS)) {
      const request = rewriteRequest(options, { suspending: [], inline: [] }, module.byteLength);
      if (request === undefined) {
        throw new Error(`${name} asks for no rewriting`);
      }
      const startMs = performance.now();
      const rewritten = await rewriteOnce(module, request, TIMEOUT_MS);
      rows.push(
        { what: `${name}, rewriting of ${module.byteLength} bytes`, value: performance.now() - startMs, unit: "ms" },
        { what: `${name}, size`, value: rewritten.byteLength / module.byteLength, unit: "×" },
      );
      const kernels = kernelsOf(rewritten);
      for (const kernel of Object.keys(KERNELS) as Kernel[]) {
        const { size, what } = KERNELS[kernel];
        const [plainMs, rewrittenMs] = fastest([() => plain()[kernel](size), () => kernels()[kernel](size)], bench.roundMs);
        rows.push({ what: `${name}, ${what}`, value: rewrittenMs / plainMs, unit: "×" });
      }
    }
    return rows;
  },
};

/** Makes new instances: the kernels never free what they allocate. */
function kernelsOf(bytes: Uint8Array<ArrayBuffer>): () => Kernels {
  const module = new WebAssembly.Module(bytes);
  const control = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const arena = new WebAssembly.Memory({ initial: 1, maximum: 16, shared: true });
  const imports = { env: { abort: () => {} }, $host: { control, interrupt: () => 0, arena } };
  return () => new WebAssembly.Instance(module, imports).exports as unknown as Kernels;
}

/** Takes turns, so that what disturbs the machine disturbs both. @throws when they do not give the same */
function fastest(runs: readonly [() => number, () => number], durationMs: number): [number, number] {
  const best: [number, number] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  const endMs = performance.now() + durationMs;
  do {
    const results = runs.map((run, at) => {
      const startMs = performance.now();
      const result = run();
      best[at] = Math.min(best[at] ?? 0, performance.now() - startMs);
      return result;
    });
    if (results[0] !== results[1]) {
      throw new Error(`rewritten it gives ${results[1]}, not ${results[0]}`);
    }
  } while (performance.now() < endMs);
  return best;
}
