import type { BenchCase, Row } from "../bench-case.ts";
import { TENANT } from "../support/bench-host.ts";
import { englishText } from "../support/english-text.ts";
import { sampleGuest } from "../support/guests.ts";
import { pushedAndFetched, startTwoNodes } from "../support/two-nodes.ts";

const KIB = 1024;
const SIZES_KIB = [64, 1024, 16 * 1024];
const FUNCTIONS = [
  { functionName: "substr", input: " the " },
  { functionName: "wordcount", input: "" },
] as const;

export const cppParts: BenchCase = {
  name: "cpp-parts",
  measures:
    "C++ modules in Faasm's shape, by the size of the object on another node: their parts pushed down to it, and run here",
  async run(bench) {
    const compute = await startTwoNodes(bench);
    for (const { functionName } of FUNCTIONS) {
      await compute.upload(functionName, await sampleGuest(`faasm/${functionName}`));
    }
    const rows: Row[] = [];
    for (const sizeKib of SIZES_KIB.slice(0, bench.size(SIZES_KIB.length, 1))) {
      const key = `text-${sizeKib}`;
      await compute.request("PUT", `/v1/tenants/${TENANT}/objects/${key}`, englishText(sizeKib * KIB).bytes);
      for (const { functionName, input } of FUNCTIONS) {
        const name = `${functionName}, ${sizeKib} KiB, `;
        rows.push(
          ...(await pushedAndFetched(bench, compute, { name, functionName, input: input === "" ? key : `${key} ${input}` })),
        );
      }
    }
    return rows;
  },
};
