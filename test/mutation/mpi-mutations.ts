/** Defects of MPI. */
import type { Mutation } from "./mutations.ts";

const WORLDS = "test/unit/host/invocation/mpi.test.ts";
const MESSAGES = "test/unit/host/abi/mpi/messages.test.ts";

export const mpiMutations: readonly Mutation[] = [
  {
    name: "W1: a rank goes on before all have come",
    file: "host/invocation/world.ts",
    find: "    if (this.#places.every(({ isHere }) => isHere)) {",
    replace: "    {",
    caughtBy: [WORLDS, "W1: lets no rank"],
  },
  {
    name: "W2: a rank that was lost is run again",
    file: "host/invocation/instance-run.ts",
    find: "    if (failure !== null && !isOwn) {",
    replace: "    if (failure === undefined) {",
    caughtBy: [WORLDS, "by the host's limits"],
  },
  {
    name: "W2: after a crash rank 0 calls its ranks once more",
    file: "host/invocation/mpi-operations.ts",
    find: "      if (started === null) {",
    replace: "      if (started === undefined) {",
    caughtBy: [WORLDS, "with the host"],
  },
  {
    name: "W4: a rank does not see what others have written before they have sent",
    file: "host/invocation/mpi-operations.ts",
    find: "      this.#steps.join(seen);",
    replace: "",
    caughtBy: [WORLDS, "W4"],
  },
  {
    name: "M1: a receive takes the message that has come last",
    file: "host/abi/mpi/messages.ts",
    find: "    const at = this.#unexpected.findIndex(",
    replace: "    const at = this.#unexpected.findLastIndex(",
    caughtBy: [MESSAGES, "give what has come before it is asked for"],
  },
  {
    name: "M2: everything is sent at once, whether there is room for it or not",
    file: "host/abi/mpi/messages.ts",
    find: " && unreceived <= EAGER_WINDOW_BYTES) {",
    replace: ") {",
    caughtBy: [MESSAGES, "keep at most 256 KiB"],
  },
];
