import { statfsSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { defineConfig } from "vitest/config";
import { mutationPlugin } from "./mutation/apply.ts";
import { mutations } from "./mutation/mutations.ts";

/** The defect that the tests shall notice; none, unless a mutation is being run. */
const mutation = mutations.find(({ name }) => name === process.env.NEAP_MUTATION);

const ROOT = new URL("..", import.meta.url).pathname;
const IN_MEMORY = "/dev/shm";
const ROOM_BYTES = 6 * 1024 ** 3;

/** Folders of the tests: in memory where there is room, as waiting for a disk's flushes is most of what they would do. */
function folder(): string {
  try {
    const { bavail, bsize } = statfsSync(IN_MEMORY);
    return bavail * bsize >= ROOM_BYTES ? IN_MEMORY : tmpdir();
  } catch {
    return tmpdir();
  }
}

const EVERYTHING = ["test/**/*.test.ts", "functions/**/*.test.ts"];
/** Files that set nothing up for the others of their process: what they import is evaluated once for all of them. */
const TOGETHER = [
  "test/contract/**/*.test.ts",
  "test/unit/{docs,guest-sdk,state}/**/*.test.ts",
  "test/unit/host/{abi,cli,config,egress,http,invocation,modules,offload,processes,telemetry,tenancy}/**/*.test.ts",
];

/** Tests run as real Node 26 processes, one more than there are cores: many wait for hosts of their own, for clocks and for each other. */
export default defineConfig({
  plugins: mutation === undefined ? [] : [mutationPlugin(mutation)],
  test: {
    root: ROOT,
    // Hosts that tests start have compiled sources at hand, as a host that was started before has.
    env: { TMPDIR: folder(), NODE_COMPILE_CACHE: `${ROOT}node_modules/.cache/sources` },
    projects: [
      { extends: true, test: { name: "together", include: TOGETHER, isolate: false } },
      { extends: true, test: { name: "alone", include: EVERYTHING, exclude: [...TOGETHER, "**/node_modules/**"] } },
    ],
    pool: "forks",
    // A file with a defect must never be taken for the file.
    fsModuleCache: mutation === undefined,
    maxWorkers: availableParallelism() + 1,
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
});
