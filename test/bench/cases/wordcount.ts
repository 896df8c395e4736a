import type { BenchCase } from "../bench-case.ts";
import { TENANT } from "../support/bench-host.ts";
import { englishText } from "../support/english-text.ts";
import { sampleGuest } from "../support/guests.ts";
import { pushedAndFetched, startTwoNodes } from "../support/two-nodes.ts";

const KEY = "text";
const TEXT_BYTES = 20 * 1024 * 1024;

export const wordcount: BenchCase = {
  name: "wordcount",
  measures: "counting the words of an object on another node: the part pushed down to it, and the object fetched instead",
  async run(bench) {
    const compute = await startTwoNodes(bench);
    await compute.upload("wordcount", await sampleGuest("ndp/wordcount"));
    const { bytes, distinctBytes } = englishText(bench.size(TEXT_BYTES, 200_000));
    await compute.request("PUT", `/v1/tenants/${TENANT}/objects/${KEY}`, bytes);
    const rows = await pushedAndFetched(bench, compute, { name: "", functionName: "wordcount", input: KEY });
    return [{ what: "text, of which no document stands twice", value: distinctBytes, unit: "bytes" }, ...rows];
  },
};
