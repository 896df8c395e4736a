import type { BenchCase, Row } from "../bench-case.ts";
import { BenchHost, callBody, type Reply, TENANT } from "../support/bench-host.ts";
import { englishText } from "../support/english-text.ts";
import { sampleGuest } from "../support/guests.ts";
import { median } from "../support/measurement.ts";

const KEY = "text";
const TEXT_BYTES = 20 * 1024 * 1024;

interface Placed {
  readonly what: string;
  readonly body: string;
  readonly replies: Reply[];
}

export const wordcount: BenchCase = {
  name: "wordcount",
  measures: "counting the words of an object on another node: the part pushed down to it, and the object fetched instead",
  async run(bench) {
    const env = { NEAP_CLUSTER_KEY: "the key of the benchmark" };
    const storage = await BenchHost.start(bench, "storage", {
      // Both nodes and the load are on one machine, so its load says nothing about the storage node's.
      flags: "--role storage --node-name storage-node --cluster-listen-port 0 --offload-cpu-threshold 1".split(" "),
      env,
    });
    const compute = await BenchHost.start(bench, "compute", {
      flags: `--role compute --node-name compute-node --storage-url ${storage.clusterUrl}`.split(" "),
      env,
    });
    await compute.upload("wordcount", await sampleGuest("ndp/wordcount"));
    await compute.request("PUT", `/v1/tenants/${TENANT}/objects/${KEY}`, englishText(bench.size(TEXT_BYTES, 200_000)));

    const pushed: Placed = { what: "pushed down", body: callBody("wordcount", KEY), replies: [] };
    const fetched: Placed = { what: "fetched", body: callBody("wordcount", KEY, { forbid_ndp: true }), replies: [] };
    for (let round = 0; round < bench.size(5, 1); round++) {
      for (const { body, replies } of [pushed, fetched]) {
        replies.push(await compute.call(body));
      }
    }
    const bodies = new Set([...pushed.replies, ...fetched.replies].map(({ body }) => body.toString()));
    const [counts = ""] = bodies;
    if (bodies.size !== 1 || counts === "") {
      throw new Error("the same words were not counted the same everywhere");
    }
    for (const { headers } of pushed.replies) {
      if (!`${headers["neap-executed-at"]}`.includes("storage")) {
        throw new Error(`the part was not taken by the storage node: ${headers["neap-parts"]}`);
      }
    }
    const times = [pushed, fetched].map(({ replies }) => median(replies.map(({ latencyMs }) => latencyMs)));
    const moved = [pushed, fetched].map(({ replies }) =>
      median(replies.map(({ headers }) => Number(headers["neap-moved-bytes"]))),
    );
    const rows = [pushed, fetched].flatMap(({ what }, i): Row[] => [
      { what: `${what}, time`, value: times[i] ?? Number.NaN, unit: "ms" },
      { what: `${what}, moved`, value: moved[i] ?? Number.NaN, unit: "bytes" },
    ]);
    return [
      ...rows,
      { what: "time, fetched ÷ pushed down", value: (times[1] ?? 0) / (times[0] ?? 0), unit: "×" },
      { what: "moved, fetched ÷ pushed down", value: (moved[1] ?? 0) / (moved[0] ?? 0), unit: "×" },
    ];
  },
};
