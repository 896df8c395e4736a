/** Defects of side modules, outside of workers. */
import type { Mutation } from "./mutations.ts";

export const sideModuleMutations: readonly Mutation[] = [
  {
    name: "H20: a storage part of a call with side modules is sent away",
    file: "host/invocation/part-operations.ts",
    find: "    if (usesSideModules) {",
    replace: '    if (usesSideModules && key === "") {',
    caughtBy: ["test/unit/host/abi/faasm/dynamic-linking.test.ts", "keeps its storage parts where it is"],
  },
  {
    name: "side modules: what a file was once is what it is",
    file: "host/modules/side-modules/side-modules.ts",
    find: "hashInSlices(new Uint8Array(module), [hash])",
    replace: "hashInSlices(new Uint8Array(0), [hash])",
    caughtBy: ["test/unit/host/abi/faasm/dynamic-linking.test.ts", "F13: a call that is run again"],
  },
  {
    name: "side modules: all that a tenant opens are prepared at once",
    file: "host/modules/tenant-turns.ts",
    find: "before === undefined ? run() : before.then(run, run)",
    replace: "run()",
    caughtBy: ["test/unit/host/modules/side-modules.test.ts", "are read and prepared one after the other"],
  },
  {
    name: "side modules: one is prepared again for each call",
    file: "host/modules/side-modules/side-modules.ts",
    find: 'const key = hash.digest("hex") as ModuleHash;',
    replace: "const key = crypto.randomUUID() as ModuleHash;",
    caughtBy: ["test/unit/host/modules/side-modules.test.ts", "are prepared once for each content"],
  },
];
