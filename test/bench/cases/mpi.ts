import type { Bench, BenchCase, Row } from "../bench-case.ts";
import { BenchHost, callBody } from "../support/bench-host.ts";
import { sampleGuest } from "../support/guests.ts";
import { median } from "../support/measurement.ts";

const NAME = "pingpong";
const SMALL_BYTES = 8;
const LARGE_BYTES = 1024 * 1024;
const WORLD = { mpi: true, mpi_world_size: 2 };

export const mpi: BenchCase = {
  name: "mpi",
  measures: "a message between two ranks and back: in one process, and between two compute nodes by way of the storage node",
  async run(bench) {
    const module = await sampleGuest(`mpi/${NAME}`);
    const alone = await BenchHost.start(bench, "mpi");
    await alone.upload(NAME, module);
    const env = { NEAP_CLUSTER_KEY: "the key of the benchmark" };
    const storage = await BenchHost.start(bench, "mpi-storage", {
      flags: "--role storage --node-name store --cluster-listen-port 0".split(" "),
      env,
    });
    const node = (name: string) => {
      // A worker each, so that the second rank goes to the other node.
      const flags = `--role compute --node-name ${name} --compute-workers 1 --storage-url ${storage.clusterUrl}`.split(" ");
      return BenchHost.start(bench, `mpi-${name}`, { flags, env });
    };
    const [first] = [await node("first"), await node("second")];
    await first.upload(NAME, module);
    return [...(await measured(bench, alone, "in one process", 1)), ...(await measured(bench, first, "between two nodes", 2))];
  },
};

async function measured(bench: Bench, host: BenchHost, where: string, nodes: number): Promise<Row[]> {
  const roundTrip = async (bytes: number, rounds: number): Promise<number> => {
    const times: number[] = [];
    for (let at = 0; at < bench.rounds; at += 1) {
      const { body, headers } = await host.call(callBody(NAME, `${bytes} ${rounds}`, WORLD));
      const executedAt = `${headers["neap-executed-at"]}`.split(", ");
      if (executedAt.length !== nodes) {
        throw new Error(`ranks that were to be at ${nodes} nodes were at ${executedAt}`);
      }
      times.push(Number(body));
    }
    return median(times);
  };
  const smallUs = await roundTrip(SMALL_BYTES, bench.size(300, 10));
  const largeUs = await roundTrip(LARGE_BYTES, bench.size(10, 2));
  return [
    { what: `${SMALL_BYTES} bytes and back, ${where}`, value: smallUs, unit: "µs" },
    { what: `bandwidth of messages of 1 MiB, ${where}`, value: (2 * LARGE_BYTES) / largeUs, unit: "MB/s" },
  ];
}
