import { expect, test } from "vitest";
import { openPool, run } from "../../../support/sandbox-calls.ts";
import { asksOnce } from "../../../support/sandbox-modules.ts";

test("a pool that need not start at once has no threads until its first call, which is answered", async () => {
  let threads = 0;
  const count = () => {
    threads += 1;
  };
  process.on("worker", count);
  const late = await openPool({ startsAtOnce: false });
  try {
    late.prepare(asksOnce, "acme");
    expect(threads).toBe(0);
    expect(await run(late, asksOnce)).toMatchObject({ kind: "returned", value: 42 });
    expect(threads).toBe(2);
  } finally {
    process.off("worker", count);
    await late.close();
  }
});
