/** Defects of the isolation of tenants. What runs inside a process is not mutated: its sources go there as they are on disk. */
import type { Mutation } from "./mutations.ts";

const POOL = "host/sandbox/pool/pool.ts";
const ISOLATING_POOL = "host/sandbox/process/isolating-pool.ts";
const ISOLATION = "test/unit/host/sandbox/process/isolating-pool.test.ts";
const CONFINEMENT = "test/hostile/confinement.test.ts";
const THREADED = "test/hostile/threaded-confinement.test.ts";

export const isolationMutations: readonly Mutation[] = [
  {
    name: "H24: tenants share a pool of processes",
    file: ISOLATING_POOL,
    find: "    const known = this.#pools.get(tenant);",
    replace: "    const [known] = this.#pools.values();",
    caughtBy: [ISOLATION, "H24"],
  },
  {
    name: "H24: a process goes back into the reserve",
    file: "host/sandbox/process/process-reserve.ts",
    find: "this.#ready.shift() ?? this.#start()",
    replace: "this.#ready[0] ?? this.#start()",
    caughtBy: [ISOLATION, "H24"],
  },
  {
    name: "H24: the second tenant does not end the first one's time in threads",
    file: "host/sandbox/process/tenant-isolation.ts",
    find: "this.#tenants.size > 1",
    replace: "this.#tenants.size > 2",
    caughtBy: [ISOLATION, "H24"],
  },
  {
    name: "H24: processes may open databases",
    file: "host/processes/program.ts",
    find: '  "--no-experimental-sqlite",\n',
    replace: "",
    caughtBy: [CONFINEMENT, "H24"],
  },
  {
    name: "H24: an isolated tenant's modules are read in the host",
    file: "host/modules/function-registry.ts",
    find: "isIsolated?.(tenant)));",
    replace: "false));",
    caughtBy: ["test/unit/host/modules/function-registry.test.ts", "H24"],
  },
  {
    name: "H24: what a process says is not checked",
    file: POOL,
    find: "worker.sharesMemory || attempt.ended ? undefined : wrongIn(frame, attempt)",
    replace: "undefined as string | undefined",
    caughtBy: [CONFINEMENT, "a process that says"],
  },
  {
    name: "H24: a process speaks for calls in another one",
    file: POOL,
    find: "    if (attempt?.worker !== worker) {",
    replace: "    if (attempt === undefined) {",
    caughtBy: [CONFINEMENT, "a process that says"],
  },
  {
    name: "H24: a guest that kills its process each time is run for ever",
    file: "host/sandbox/pool/blame.ts",
    find: "const DOUBTS = 3;",
    replace: "const DOUBTS = Number.POSITIVE_INFINITY;",
    caughtBy: [CONFINEMENT, "a process that takes"],
  },
  {
    name: "H24: functions that share memory run in a process that may start no threads",
    file: "host/sandbox/process/tenant-pools.ts",
    find: "usesRegions(artefact) || usesThreads(artefact)",
    replace: "artefact === undefined",
    caughtBy: [ISOLATION, "share memory"],
  },
  {
    name: "H8: each thread of a process that is lost counts as a loss",
    file: "host/sandbox/process/threaded-process.ts",
    find: "isKilled: true, death: this",
    replace: "isKilled: true",
    caughtBy: [THREADED, "H8"],
  },
  {
    name: "H24: what a process with threads answers about its memories is not checked",
    file: "host/sandbox/arenas/process-arena.ts",
    find: "code === 0 && body.byteLength !== request.sizeBytes",
    replace: "code < 0",
    caughtBy: ["test/unit/host/sandbox/arenas/process-arena.test.ts", "H24"],
  },
  {
    name: "H24: a process that stops in the middle of a frame keeps its calls",
    file: POOL,
    find: "      setTimeout(abandon, RELEASE_MAX_MS).unref();",
    replace: "      void abandon;",
    caughtBy: [CONFINEMENT, "a process that says"],
  },
];
