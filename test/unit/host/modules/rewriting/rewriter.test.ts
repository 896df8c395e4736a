import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RewriteRequest } from "../../../../../host/modules/rewriting/index.ts";
import { Rewriter } from "../../../../../host/modules/rewriting/rewriter.ts";
import { ProcessStarter } from "../../../../../host/processes/index.ts";
import { assemblyScript, moduleOf, wat } from "../../../../support/guest-modules.ts";
import { asyncRefusal } from "../fixtures.ts";

const POLLS: RewriteRequest = { passes: ["polls"], options: { suspending: [] } };
const OPTIMIZED: RewriteRequest = { passes: ["polls", "optimize"], options: { suspending: [] } };
const TIMEOUT_MS = 60_000;

const SUM = wat(`(module (memory (export "memory") 1)
  (func (export "sum") (param $n i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (local.get $n)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))`);

let starter: ProcessStarter;
let rewriter: Rewriter;
beforeAll(async () => {
  starter = await ProcessStarter.open();
  rewriter = new Rewriter(starter);
});
afterAll(() => starter.close());

describe("rewriting in a process of its own", () => {
  test.each([POLLS, OPTIMIZED])("the module does what it did, $passes", async (request) => {
    const { sum, interrupts } = instance(await rewriter.rewrite(SUM, request, TIMEOUT_MS));
    expect(sum(100)).toBe(5050);
    expect(interrupts()).toBe(0);
  });

  test("what is no module is refused with what the pass says, and the next rewriting goes well", async () => {
    const broken = moduleOf([10, 200, 1]);
    expect(await asyncRefusal(rewriter.rewrite(broken, POLLS, TIMEOUT_MS))).toMatch(/^MODULE_REWRITE_FAILED: polls: .+/);
    expect((await rewriter.rewrite(SUM, POLLS, TIMEOUT_MS)).byteLength).toBeGreaterThan(SUM.byteLength);
  });

  test("a rewriting that takes too long is stopped", async () => {
    expect(await asyncRefusal(rewriter.rewrite(SUM, OPTIMIZED, 1))).toBe(
      "MODULE_REWRITE_FAILED: polls, optimize: not done in 1 ms",
    );
  });

  test("a compiled module keeps its exports and its memory", async () => {
    const guest = await assemblyScript(
      `
      const squares = new Map<i32, i32>();
      export function run(n: i32): i32 {
        for (let i = 0; i < n; i++) squares.set(i, i * i);
        let sum = 0;
        for (let i = 0; i < n; i++) sum += squares.get(i);
        return sum;
      }`,
      ["-O2", "--runtime", "stub", "--use", "abort="],
    );
    const { exports } = instance(await rewriter.rewrite(guest, OPTIMIZED, TIMEOUT_MS));
    expect((exports.run as (n: number) => number)(10)).toBe(285);
  });
});

function instance(wasm: Uint8Array<ArrayBuffer>) {
  let interrupts = 0;
  const control = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm), {
    $host: {
      control,
      interrupt: () => {
        interrupts += 1;
        return 0;
      },
    },
  });
  return { exports, sum: exports.sum as (n: number) => number, interrupts: () => interrupts };
}
