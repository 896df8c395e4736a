import { expect } from "vitest";
import type { AbiTable, ModuleLimits } from "../../../../host/modules/index.ts";
import { NeapError } from "../../../../state/errors.ts";

export const LIMITS: ModuleLimits = {
  moduleMaxBytes: 1_000_000,
  memoryMaxPages: 64,
  tableMaxElements: 100,
  uploadTimeoutMs: 10_000,
};

export const ABI: AbiTable = new Map([
  ["env.abort", { params: ["i32", "i32", "i32", "i32"], results: [], suspends: false }],
  ["neap.read", { params: ["i32", "i64"], results: ["i32"], suspends: true }],
  ["neap.tick", { params: [], results: [], suspends: false }],
]);

/** The code and text that `run` fails with; fails the test when it succeeds. */
export function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof NeapError) {
      return `${error.code}: ${error.message}`;
    }
    throw error;
  }
  return expect.unreachable("nothing was refused");
}

export async function asyncRefusal(run: Promise<unknown>): Promise<string> {
  const outcome = await run.then(
    () => () => {},
    (error: unknown) => () => {
      throw error;
    },
  );
  return refusal(outcome);
}
