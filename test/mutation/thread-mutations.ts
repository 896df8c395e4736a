/** Defects of threads. What runs in worker threads is not mutated: they load their sources as they are on disk. */
import type { Mutation } from "./mutations.ts";

const TEAMS = "host/sandbox/threads/team-pool.ts";
const MODULES = "test/unit/host/modules/shared-memory.test.ts";
const SANDBOX = "test/unit/host/sandbox/threads.test.ts";

export const threadMutations: readonly Mutation[] = [
  {
    name: "H23: threads without a memory that they share",
    file: "host/modules/validation.ts",
    find: "  if (ofThreads !== undefined) {",
    replace: "  if (ofThreads === null) {",
    caughtBy: [MODULES, "H23"],
  },
  {
    name: "H9: instances for threads differ in the segments that they have dropped",
    file: "host/modules/preparation.ts",
    find: "dataDrop: ({ start, end }) => copy.fill(NOP, start, end)",
    replace: "dataDrop: () => {}",
    caughtBy: [MODULES, "keeps its segments"],
  },
  {
    name: "H8: calls with threads of one tenant have all the room there is",
    file: TEAMS,
    find: "sandboxesMax: Math.max(1, Math.floor(tenantMax / threads))",
    replace: "sandboxesMax: start.sandboxesMax",
    caughtBy: [SANDBOX, "a tenant's calls with threads wait for each other"],
  },
  {
    name: "H3: a call with threads that is cancelled keeps its workers",
    file: TEAMS,
    find: "    const ended = this.#endWorkers(call?.workers() ?? []);",
    replace: "    const ended = new Promise<void>(() => {});",
    caughtBy: [SANDBOX, "when it is cancelled"],
  },
];
