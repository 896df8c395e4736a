import { abiTable } from "../../../host/abi/abi-table.ts";
import { prepareModule } from "../../../host/modules/preparation.ts";
import { InstanceState } from "../../../host/sandbox/executor/instance-state.ts";
import { WorkerModule } from "../../../host/sandbox/executor/worker-module.ts";
import { sandboxCeiling } from "../../../host/sandbox/limits.ts";
import { wat } from "../../support/guest-modules.ts";
import type { Bench, BenchCase, Row } from "../bench-case.ts";
import { median } from "../support/measurement.ts";

/** Memory, and how much of it the start function fills. */
const SIZES = [
  { pages: 1, filledBytes: 16 * 1024 },
  { pages: 16, filledBytes: 64 * 1024 },
  { pages: 256, filledBytes: 256 * 1024 },
] as const;

const LIMITS = { moduleMaxBytes: 1024 * 1024, memoryMaxPages: 4096, tableMaxElements: 16, uploadTimeoutMs: 60_000 };

export const snapshot: BenchCase = {
  name: "snapshot",
  measures:
    "the state of a sandbox, in the benchmark's thread: a new instance that runs its start function, one that gets the snapshot instead, and a used one put back in place",
  async run(bench) {
    const rows: Row[] = [];
    for (const size of SIZES) {
      rows.push(...measure(bench, size));
    }
    return [...rows, { what: "sandboxes that fit into one process here", value: sandboxCeiling(), unit: "sandboxes" }];
  },
};

function measure(bench: Bench, { pages, filledBytes }: (typeof SIZES)[number]): Row[] {
  const bytes = wat(`(module (memory ${pages})
    (func $start (local $at i32)
      (loop $next
        (i32.store (local.get $at) (i32.mul (local.get $at) (i32.const 2654435761)))
        (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4))) (i32.const ${filledBytes})))))
    (func (export "main") (result i32)
      (memory.fill (i32.const 4096) (i32.const 7) (i32.const 4096)) (i32.const 0))
    (start $start))`);
  const original = new WebAssembly.Module(bytes);
  const { wasm, ...artefact } = prepareModule(bytes, abiTable, LIMITS);
  const module = new WorkerModule({ ...artefact, module: new WebAssembly.Module(new Uint8Array(wasm)) });
  const make = () => {
    const { exports } = new WebAssembly.Instance(module.loaded.module);
    return { state: new InstanceState(module, exports), run: exports[module.loaded.entry] as () => number };
  };
  const used = make();
  const reset = () => {
    used.run();
    if (!used.state.reset()) {
      throw new Error("a sandbox of which one page was touched is not put back");
    }
  };
  const row = (what: string, act: () => unknown): Row => ({
    what: `${what}, ${pages * 64} KiB of memory, ${filledBytes / 1024} KiB filled`,
    value: microseconds(bench, act),
    unit: "µs",
  });
  return [
    row("new, runs its start function", () => new WebAssembly.Instance(original)),
    row("new, from the snapshot", make),
    row("used, put back", reset),
  ];
}

const WARM_UP_RUNS = 20;

/** The median. */
function microseconds(bench: Bench, act: () => unknown): number {
  const taken: number[] = [];
  for (let i = -WARM_UP_RUNS; i < bench.size(300, 10); i++) {
    const startMs = performance.now();
    act();
    taken.push((performance.now() - startMs) * 1000);
  }
  return median(taken.slice(WARM_UP_RUNS));
}
