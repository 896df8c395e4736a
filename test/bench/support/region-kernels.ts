/** Loops over elements in a memory region, and the same over the module's own memory, in this process. */

import { wat } from "../../support/guest-modules.ts";
import { rewriteOnce } from "../../support/upload-once.ts";

const ELEMENTS = 1 << 17;
const REGION_PAGES = (ELEMENTS * 8) / 65_536;
const HANDLE = 5;
const TIMEOUT_MS = 60_000;

export const KERNELS = ["a sum", "a sum with a stride", "load, add and store"] as const;

export interface KernelRun {
  readonly takenMs: number;
  readonly result: number;
}

/** Run as often on either side, both give the same results. */
export interface RegionKernels {
  readonly own: (kernel: number) => KernelRun;
  readonly region: (kernel: number) => KernelRun;
}

export async function regionKernels(): Promise<RegionKernels> {
  const arena = new WebAssembly.Memory({ initial: 1 + REGION_PAGES, maximum: 1 + REGION_PAGES, shared: true });
  new BigInt64Array(arena.buffer)[HANDLE] = (BigInt(ELEMENTS * 8) << 32n) | 65_536n;
  const rewritten = await rewriteOnce(wat(text("region")), { passes: ["regions"], options: { suspending: [] } }, TIMEOUT_MS);
  const fault = () => {
    throw new Error("a kernel left its region");
  };
  const region = new WebAssembly.Instance(new WebAssembly.Module(rewritten), { $host: { arena, region_fault: fault } });
  const own = new WebAssembly.Instance(new WebAssembly.Module(wat(text("own"))));
  const runs =
    ({ exports }: WebAssembly.Instance, at: number) =>
    (kernel: number): KernelRun => {
      const run = exports[`kernel${kernel}`] as (at: number, count: number) => number;
      const startMs = performance.now();
      const result = run(at, ELEMENTS);
      return { takenMs: performance.now() - startMs, result };
    };
  return { own: runs(own, 0), region: runs(region, HANDLE) };
}

function text(where: "own" | "region"): string {
  const offset = (index: string) => `(i32.shl ${index} (i32.const 3))`;
  const load = (index: string) =>
    where === "own" ? `(f64.load (i32.add (local.get $at) ${offset(index)}))` : `(call $load (local.get $at) ${offset(index)})`;
  const store = (index: string, value: string) =>
    where === "own"
      ? `(f64.store (i32.add (local.get $at) ${offset(index)}) ${value})`
      : `(call $store (local.get $at) ${offset(index)} ${value})`;
  const sum = (index: string) => `(local.set $sum (f64.add (local.get $sum) ${load(index)}))`;
  const strided = "(local.tee $j (i32.and (i32.add (local.get $j) (i32.const 4099)) (i32.sub (local.get $count) (i32.const 1))))";
  const i = "(local.get $i)";
  const bodies = [sum(i), sum(strided), store(i, `(f64.add (f64.const 1) ${load(i)})`)];
  const kernels = bodies.map(
    (body, at) => `(func (export "kernel${at}") (param $at i32) (param $count i32) (result f64)
      (local $i i32) (local $j i32) (local $sum f64)
      (loop $more ${body}
        (br_if $more (i32.lt_u (local.tee $i (i32.add ${i} (i32.const 1))) (local.get $count))))
      (local.get $sum))`,
  );
  const imports = `(import "region" "f64_load" (func $load (param i32 i32) (result f64)))
    (import "region" "f64_store" (func $store (param i32 i32 f64)))`;
  return `(module ${where === "own" ? "" : imports} (memory ${REGION_PAGES}) ${kernels.join("\n")})`;
}
