import { fileURLToPath } from "node:url";
import { compileFunction } from "../../../functions/build.ts";
import type { BenchCase, Row } from "../bench-case.ts";
import { BenchHost, callBody, type Reply, TENANT } from "../support/bench-host.ts";
import { median } from "../support/measurement.ts";

const OBJECT_BYTES = 1024 * 1024;
const READER = fileURLToPath(new URL("../../migration/assembly/reader.ts", import.meta.url));

interface Placed {
  readonly what: string;
  readonly body: string;
  readonly executedAt: string;
  readonly replies: Reply[];
}

export const dataMoves: BenchCase = {
  name: "data-moves",
  measures: "a call that reads 1 MiB again and again from another node: moved there soon, and left where it is",
  async run(bench) {
    const env = { NEAP_CLUSTER_KEY: "the key of the benchmark" };
    const storage = await BenchHost.start(bench, "storage", {
      // Both nodes and the load are on one machine, so its load says nothing about the storage node's.
      flags: "--role storage --node-name store --cluster-listen-port 0 --offload-cpu-threshold 1".split(" "),
      env,
    });
    const compute = await BenchHost.start(bench, "compute", {
      flags: `--role compute --node-name near --storage-url ${storage.clusterUrl}`.split(" "),
      env,
    });
    await compute.upload("reader", await compileFunction(READER, ["--runtime", "minimal"]), { query: "migratable=true" });
    await compute.request("PUT", `/v1/tenants/${TENANT}/objects/large`, new Uint8Array(OBJECT_BYTES).fill(7));

    const times = `${bench.size(64, 8)}`;
    const placed: readonly Placed[] = [
      { what: "moved", body: callBody("reader", times), executedAt: "compute@near, storage@store", replies: [] },
      { what: "left", body: callBody("reader", times, { forbid_ndp: true }), executedAt: "compute@near", replies: [] },
    ];
    for (let round = 0; round < bench.size(7, 1); round++) {
      for (const { body, executedAt, replies } of placed) {
        const reply = await compute.call(body);
        if (reply.headers["neap-executed-at"] !== executedAt) {
          throw new Error(`a call that was to run at ${executedAt} ran at ${reply.headers["neap-executed-at"]}`);
        }
        replies.push(reply);
      }
    }
    const sums = new Set(placed.flatMap(({ replies }) => replies.map(({ body }) => `${body}`.split(" sum ")[1])));
    if (sums.size !== 1) {
      throw new Error("the same bytes had different sums");
    }
    const taken = placed.map(({ replies }) => median(replies.map(({ latencyMs }) => latencyMs)));
    const crossed = placed.map(({ replies }) => median(replies.map(({ headers }) => Number(headers["neap-moved-bytes"]))));
    const rows = placed.flatMap(({ what }, i): Row[] => [
      { what: `${what}, time`, value: taken[i] ?? Number.NaN, unit: "ms" },
      { what: `${what}, bytes between nodes`, value: crossed[i] ?? Number.NaN, unit: "bytes" },
    ]);
    return [...rows, { what: "time, left ÷ moved", value: (taken[1] ?? 0) / (taken[0] ?? 0), unit: "×" }];
  },
};
