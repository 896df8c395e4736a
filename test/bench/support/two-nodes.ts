/** A storage node and a compute node, and functions whose parts are pushed down to the one, or fetch the object to the other. */
import type { Bench, Row } from "../bench-case.ts";
import { BenchHost, callBody, type Reply } from "./bench-host.ts";
import { median } from "./measurement.ts";

/** The compute node. */
export async function startTwoNodes(bench: Bench): Promise<BenchHost> {
  const env = { NEAP_CLUSTER_KEY: "the key of the benchmark" };
  const storage = await BenchHost.start(bench, "storage", {
    // Both nodes and the load are on one machine, so its load says nothing about the storage node's.
    flags: "--role storage --node-name storage-node --cluster-listen-port 0 --offload-cpu-threshold 1".split(" "),
    env,
  });
  return BenchHost.start(bench, "compute", {
    flags: `--role compute --node-name compute-node --storage-url ${storage.clusterUrl}`.split(" "),
    env,
  });
}

/** `name` is what the rows are of. @throws when the answers differ, or are empty */
export async function pushedAndFetched(
  bench: Bench,
  compute: BenchHost,
  { name, functionName, input }: { readonly name: string; readonly functionName: string; readonly input: string },
): Promise<readonly Row[]> {
  const pushed = { what: `${name}pushed down`, body: callBody(functionName, input), replies: [] as Reply[] };
  const fetched = { what: `${name}fetched`, body: callBody(functionName, input, { forbid_ndp: true }), replies: [] as Reply[] };
  for (let round = 0; round < bench.size(5, 1); round++) {
    for (const { body, replies } of [pushed, fetched]) {
      replies.push(await compute.call(body));
    }
  }
  const bodies = new Set([...pushed.replies, ...fetched.replies].map(({ body }) => body.toString()));
  const [answer = ""] = bodies;
  if (bodies.size !== 1 || answer === "") {
    throw new Error(`${functionName} ${answer === "" ? "found nothing" : "did not answer the same everywhere"}`);
  }
  for (const { headers } of pushed.replies) {
    if (!`${headers["neap-executed-at"]}`.includes("storage")) {
      throw new Error(`the part was not taken by the storage node: ${headers["neap-parts"]}`);
    }
  }
  const times = [pushed, fetched].map(({ replies }) => median(replies.map(({ latencyMs }) => latencyMs)));
  const moved = [pushed, fetched].map(({ replies }) => median(replies.map(({ headers }) => Number(headers["neap-moved-bytes"]))));
  const rows = [pushed, fetched].flatMap(({ what }, i): Row[] => [
    { what: `${what}, time`, value: times[i] ?? Number.NaN, unit: "ms" },
    { what: `${what}, moved`, value: moved[i] ?? Number.NaN, unit: "bytes" },
  ]);
  return [
    ...rows,
    { what: `${name}time, fetched ÷ pushed down`, value: (times[1] ?? 0) / (times[0] ?? 0), unit: "×" },
    { what: `${name}moved, fetched ÷ pushed down`, value: (moved[1] ?? 0) / (moved[0] ?? 0), unit: "×" },
  ];
}
