import { afterEach, beforeEach, describe } from "vitest";
import { describeAppends } from "./appends-contract.ts";
import { describeCells } from "./cells-contract.ts";
import type { LogBookHarness, OpenLogBook } from "./harness.ts";
import { describeInstances } from "./instances-contract.ts";
import { describeReads } from "./reads-contract.ts";
import { describeTrims } from "./trims-contract.ts";

/** The guarantees of LogBook and Shard that hold wherever the owner is. */
export function describeLogBookContract(name: string, open: () => Promise<LogBookHarness>): void {
  describe(`${name} keeps the LogBook contract`, () => {
    const on = {} as OpenLogBook;

    beforeEach(async () => {
      on.harness = await open();
      on.shard = on.harness.shard;
    });
    afterEach(() => on.harness.stop());

    describeAppends(on);
    describeReads(on);
    describeTrims(on);
    describeInstances(on);
    describeCells(on);
  });
}
