/** Defects of calls that move. */
import type { Mutation } from "./mutations.ts";

const RUN = "host/invocation/instance-run.ts";
const PARKING = "test/unit/host/invocation/parking.test.ts";
const EVACUATION = "test/unit/host/offload/evacuation.test.ts";
const NODES = "test/unit/host/offload/remote-nodes.test.ts";

export const moveMutations: readonly Mutation[] = [
  {
    name: "F22: a call that nobody takes is begun anew",
    file: RUN,
    find: "        this.#moved = moves;",
    replace: "",
    caughtBy: [PARKING, "is not run again when no other node takes it"],
  },
  {
    name: "F22: what a stopped call was answered is forgotten, and it asks again",
    file: "host/invocation/attempt.ts",
    find: "          this.#goOn(bytes, reply);",
    replace: "          this.#goOn(bytes, null);",
    caughtBy: [PARKING, "reads on at the moment of waking"],
  },
  {
    name: "F22: a call that the first node refuses is asked of no other",
    file: RUN,
    find: '      if (reply?.kind !== "refused") {\n        break;',
    replace: '      if (taker !== "") {\n        break;',
    caughtBy: [PARKING, "goes on at the next node"],
  },
  {
    name: "a call that moves has all its CPU time again",
    file: "host/invocation/execution.ts",
    find: "Math.max(1, init.cpuTimeMs - moved.cpuMs)",
    replace: "init.cpuTimeMs",
    caughtBy: [PARKING, "has no more CPU time there"],
  },
  {
    name: "F22: a call that moves between two pieces of a value reads on in another one",
    file: "state/protocols/step-stream.ts",
    find: "    stream.reading = state.reading;\n",
    replace: "",
    caughtBy: ["test/e2e/migration.test.ts", "piece by piece"],
  },
  {
    name: "M1: calls that wait for the background are bytes that nobody counts",
    file: "host/invocation/attempt.ts",
    find: "    } else if (this.#parking?.take(byteLength) !== true) {",
    replace: "    } else if (awaits && this.#answer === null && this.#parking?.take(byteLength) !== true) {",
    caughtBy: [PARKING, "counts as parked until it has a sandbox"],
  },
  {
    name: "M1: the output of a call that has ended is not counted",
    file: "host/sandbox/pool/attempt.ts",
    find: "const bytes = this.ended ? 0 : outputBytes(end);",
    replace: "const bytes = outputBytes(this.ended ? end : undefined);",
    caughtBy: ["test/unit/host/sandbox/memory.test.ts", "a long output counts until"],
  },
  {
    name: "M1: the memory of a preemptible guest that asks for nothing is not counted",
    file: "host/sandbox/pool/pool.ts",
    find: "    } else if (frame.type === FrameType.memory) {\n      this.#resize(attempt, frame.b);",
    replace: "    } else if (frame.type === FrameType.memory) {",
    caughtBy: ["test/unit/host/sandbox/memory.test.ts", "so do preemptible ones"],
  },
  {
    name: "a call comes back to the node that waits for what becomes of it",
    file: "host/invocation/calls-of-others.ts",
    find: "    if (this.#isElsewhere(instance)) {\n      return COMES_BACK;\n    }\n",
    replace: "",
    caughtBy: [PARKING, "does not come back"],
  },
  {
    name: "a call that moves may write again what it may write in all",
    file: "host/invocation/execution.ts",
    find: "writtenBytes: moved?.writtenBytes ?? 0,",
    replace: "writtenBytes: 0,",
    caughtBy: [PARKING, "may write no more there"],
  },
  {
    name: "a read behind a transaction goes on in its snapshot",
    file: "state/txn/transactions.ts",
    find: "    this.#steps.nextMoment();\n    this.#locks.endTransaction();",
    replace: "    this.#locks.endTransaction();",
    caughtBy: ["test/unit/host/invocation/mixed-transactions.test.ts", "does not go on from one inside"],
  },
  {
    name: "a call that has moved forgets the CPU time before",
    file: "host/invocation/context.ts",
    find: "return (moved?.runCpuMs ?? 0) + cpuMs;",
    replace: "return cpuMs;",
    caughtBy: [PARKING, "has the CPU time of its run before the move"],
  },
  {
    name: "a node gives away more than half of what it has more",
    file: "host/offload/evacuation.ts",
    find: "Math.floor((own - queue) / 2)",
    replace: "own - queue",
    caughtBy: [EVACUATION, "lets no more go than half"],
  },
  {
    name: "a node that had too much to do some time ago gives calls away",
    file: "host/offload/evacuation.ts",
    find: "      this.#sinceMs = null;\n      return;",
    replace: "      return;",
    caughtBy: [EVACUATION, "lets none go when it had less to do in between"],
  },
  {
    name: "a node is offered to itself",
    file: "host/offload/remote-nodes.ts",
    find: ".filter(([id]) => id !== asking)",
    replace: "",
    caughtBy: [NODES, "a node is told of all others"],
  },
];
