/** Defects of steps, calls and requests to other systems. */
import type { Mutation } from "./mutations.ts";

const SIMULATION = ["test/sim/sim.test.ts", "whatever fails"] as const;
const STEPS = "test/unit/state/protocols/step-stream.test.ts";
const STEP_STREAM = "state/protocols/step-stream.ts";
const OBJECT_VERSIONS = "state/protocols/object-versions.ts";
const INVOCATION = "test/unit/host/invocation";
const OUTSIDE = `${INVOCATION}/outside.test.ts`;
const OUTSIDE_OPERATIONS = "host/invocation/outside-operations.ts";
const BROKER = "test/unit/host/egress/broker.test.ts";
const CHECKED = `${INVOCATION}/checked-calls.test.ts`;

export const callMutations: readonly Mutation[] = [
  // Steps
  {
    name: "F10: a failed object condition is not logged",
    file: STEP_STREAM,
    find: "      return this.#conflicted(step, position, result);",
    replace:
      "      this.#cursor = result.tail;\n      return { record: { kind: RecordKind.conflict, seqnum: result.tail, timeMs: 0 }, theirs: null, failed: result.tag };",
    caughtBy: SIMULATION,
  },
  {
    name: "F13: a first step that was lost to another attempt is adopted",
    file: STEP_STREAM,
    find: "      if (!this.#isOwn(record)) {",
    replace: "      if (record.seqnum < 0) {",
    caughtBy: [STEPS, "F13"],
  },
  {
    name: "F13: the cursor begins at INIT",
    file: STEP_STREAM,
    find: "    for (const { kind, seqnum } of this.#loaded) {\n",
    replace:
      "    for (const { kind, seqnum } of this.#loaded) {\n      this.#cursor = Math.max(this.#cursor, seqnum) as SeqNum;\n",
    caughtBy: [STEPS],
  },
  {
    name: "[19] the loser of a step goes on with its own value",
    file: STEP_STREAM,
    find: "    this.#moveTo(record.seqnum);\n    const failed = record",
    replace: "    this.#moveTo(this.#cursor);\n    const failed = record",
    caughtBy: SIMULATION,
  },
  {
    name: "[18] an attempt goes on after it was fenced",
    file: STEP_STREAM,
    find: "    if (this.#fenced !== null) {\n      throw this.#fenced;\n    }\n",
    replace: "",
    caughtBy: [STEPS],
  },
  {
    name: "[37] the cursor does not move at a join",
    file: STEP_STREAM,
    find: "    this.#raise(done);\n",
    replace: "",
    caughtBy: SIMULATION,
  },
  {
    name: "F17: an append that was not answered counts as one that did not happen",
    file: STEP_STREAM,
    find: '    return this.#origin.kind === "unlogged" && this.#doubtful;',
    replace: "    return false;",
    caughtBy: [STEPS, "F17"],
  },
  {
    name: "F31: a step after DONE is taken for a function that is not deterministic",
    file: STEP_STREAM,
    find: "    if (endsInstance(record.kind) && record.kind !== step.kind) {",
    replace: "    if (record.kind === RecordKind.epoch) {",
    caughtBy: [STEPS, "F31"],
  },
  {
    name: "F32: a replay that does something else is not noticed",
    file: STEP_STREAM,
    find: "if (!sameKind || theirs.target !== ours.target || !sameValue) {",
    replace: "if (!sameKind) {",
    caughtBy: [STEPS, "F32"],
  },
  {
    name: "F8: an answer waits for what the call has written only",
    file: OBJECT_VERSIONS,
    find: "    this.#steps.consulted(version);\n",
    replace: "",
    caughtBy: [`${INVOCATION}/output-commit.test.ts`],
  },
  {
    name: "F8: a list waits for nothing",
    file: OBJECT_VERSIONS,
    find: "    this.#steps.consulted(cursor);\n",
    replace: "",
    caughtBy: [`${INVOCATION}/output-commit.test.ts`],
  },
  {
    name: "[25] a read tells when an object was deleted, as long as the delete is not collected",
    file: OBJECT_VERSIONS,
    find: 'read.kind === "absent" ? { kind: "absent", version: NO_SEQNUM, timeMs: 0 } : read',
    replace: "read",
    caughtBy: ["test/unit/state/protocols/halfmoon-read.test.ts", "F13"],
  },
  {
    name: "[25] reads see the newest version",
    file: OBJECT_VERSIONS,
    find: "timeMs, value } = await readVersion(this.#steps.book, tag, cursor);",
    replace: "timeMs, value } = await readVersion(this.#steps.book, tag, Number.MAX_SAFE_INTEGER as SeqNum);",
    caughtBy: SIMULATION,
  },

  // Calls
  {
    name: "F31: a cancellation between two states of a run is lost",
    file: "host/invocation/instance-run.ts",
    find: "    this.#isOver = true;\n",
    replace: "",
    caughtBy: [`${INVOCATION}/stopped-attempts.test.ts`, "F31"],
  },
  {
    name: "F8: an answer leaves before it is durable",
    file: "host/invocation/instance-run.ts",
    find: "      await shard.whenDurable(outcome.dependency);\n",
    replace: "",
    caughtBy: SIMULATION,
  },
  {
    name: "F8: a status shows a DONE that is not durable",
    file: "host/invocation/chronicle.ts",
    find: "    await shard.whenDurable(last.seqnum);\n",
    replace: "",
    caughtBy: [`${INVOCATION}/output-commit.test.ts`],
  },
  {
    name: "F16: a spawned call is recorded and never dispatched",
    file: "state/logbook/instances.ts",
    find: "const joined = caller !== undefined && caller.done === NO_SEQNUM && !caller.parked;",
    replace: "const joined = caller !== undefined && !caller.parked;",
    caughtBy: [`${INVOCATION}/children.test.ts`],
  },
  {
    name: "F16: an accepted call is acknowledged before it is durable",
    file: "host/invocation/service.ts",
    find: '    await shard.whenDurable(seqnum);\n    return { kind: "accepted"',
    replace: '    return { kind: "accepted"',
    caughtBy: [`${INVOCATION}/output-commit.test.ts`],
  },
  {
    name: "[40] a call that was completed is run again instead of read",
    file: "host/invocation/instance-history.ts",
    find: "if (last !== undefined && endsInstance(last.kind)) {",
    replace: "if (last !== undefined && endsInstance(last.kind) && init.depth === 0) {",
    caughtBy: SIMULATION,
  },
  {
    name: "F20: an instance of an earlier epoch that was collected is begun anew",
    file: "host/invocation/instance-history.ts",
    find: "const cursor = this.#doubted ?? this.#loggedFrom;",
    replace: "const cursor = this.#doubted;",
    caughtBy: [`${INVOCATION}/lost-sessions.test.ts`, "F20"],
  },
  {
    name: "F17: a child's result is used without its DONE",
    file: "host/invocation/instance-run.ts",
    find: "    if (steps.logged) {\n      return this.#logDone(shard, steps, bound, result);",
    replace: "    if (steps.logged && this.#spec.init.depth === 0) {\n      return this.#logDone(shard, steps, bound, result);",
    caughtBy: SIMULATION,
  },
  {
    name: "F17: what the host does to a logged call is told as its failure",
    file: "host/invocation/instance-run.ts",
    find: '    if (!steps.logged && !this.#history.mayBeLogged) {\n      return { kind: "failed", code, message };\n    }\n    switch',
    replace: '    if (steps.position >= 0) {\n      return { kind: "failed", code, message };\n    }\n    switch',
    caughtBy: SIMULATION,
  },
  {
    name: "[23] the output of a root is not stored",
    file: "host/invocation/instance-run.ts",
    find: "const stored = await toPayload(drafts, output);",
    replace: "const stored = await toPayload(drafts, EMPTY);",
    caughtBy: SIMULATION,
  },
  {
    name: "what a call took is told of this run, whatever is stored",
    file: "host/invocation/context.ts",
    find: "const cpuMs = done.cpuMs ?? (isStored ? null : this.cpuMs);",
    replace: "const cpuMs = isStored ? done.cpuMs : this.cpuMs;",
    caughtBy: [`${INVOCATION}/cpu-time.test.ts`, "of an attempt that a peer"],
  },
  {
    name: "what a called function took is not its caller's",
    file: "host/invocation/context.ts",
    find: "    this.#caller?.computed(cpuMs);",
    replace: "",
    caughtBy: [`${INVOCATION}/cpu-time.test.ts`, "has in it that of its storage parts"],
  },
  {
    name: "F20: a keyed call has no condition: duplicates run",
    file: "host/invocation/service.ts",
    find: "const conditions = [...keyTags, ...idTags].map((tag) => ({ tag, last: 0 as SeqNum }));",
    replace: "const conditions = [...idTags].map((tag) => ({ tag, last: 0 as SeqNum }));",
    caughtBy: SIMULATION,
  },
  {
    name: "F20: an instance that may have been finished begins anew",
    file: "host/invocation/instance-history.ts",
    find: "if (this.#loggedIn === shard.epoch || (await this.#mayBeCollected(shard))) {",
    replace: "if (this.#loggedIn === -1) {",
    caughtBy: [`${INVOCATION}/lost-sessions.test.ts`, "F20"],
  },
  {
    name: "F21: a late reply of a part is applied",
    file: STEP_STREAM,
    find: "    this.#check();\n    this.#position = state.position;",
    replace: "    this.#position = state.position;",
    caughtBy: [STEPS, "F21"],
  },
  {
    name: "[24] nobody scans for what a crash has left",
    file: "host/invocation/recovery.ts",
    find: "    const claimed = await shard.claim(CLAIM_MAX);",
    replace: "    const claimed = await shard.claim(0);",
    caughtBy: SIMULATION,
  },
  {
    name: "F27: an instance is run again before its ATTEMPT record is durable",
    file: "host/invocation/attempt-notes.ts",
    find: "    await shard.whenDurable(result.seqnum);\n",
    replace: "",
    caughtBy: [`${INVOCATION}/recovery.test.ts`, "F27"],
  },
  {
    name: "F17: a replay of a choice between calls chooses anew",
    file: "host/invocation/select-step.ts",
    find: "return theirs === null ? chosen : new ByteReader(decodeStep(theirs.data).payload).u32();",
    replace: "return theirs === null ? chosen : 0;",
    caughtBy: SIMULATION,
  },
  {
    name: "F35: a delayed call is told a time before its own",
    file: "host/invocation/instance-history.ts",
    find: "Math.max(first.timeMs, this.#spec.init.notBeforeMs)",
    replace: "first.timeMs",
    caughtBy: SIMULATION,
  },
  {
    name: "F25: a call with a delay begins at once",
    file: "host/invocation/spawn-operations.ts",
    find: "if (spec.init.notBeforeMs > 0) {",
    replace: "if (spec.init.notBeforeMs < 0) {",
    caughtBy: [`${INVOCATION}/spawn.test.ts`, "begins at its time"],
  },
  {
    name: "F28: a child does not begin at its Invoke record",
    file: "host/invocation/instance-record.ts",
    find: "return { initialCursor: invoke.seqnum, timeMs",
    replace: "return { initialCursor: 1 as SeqNum, timeMs",
    caughtBy: SIMULATION,
  },
  {
    name: "F29: the initial cursor is a remembered tail",
    file: "host/modules/function-registry.ts",
    find: "    return { version, original, tail };",
    replace: "    return { version, original, tail: version.seqnum };",
    caughtBy: SIMULATION,
  },
  {
    name: "F30: a key may be used with another input",
    file: "host/invocation/service.ts",
    find: "(await samePayload(shard.blobs, input, theirs.input))",
    replace: "theirs.input !== null",
    caughtBy: [`${INVOCATION}/keys.test.ts`, "F30"],
  },
  {
    name: "[20] the guest's operations overtake each other",
    file: "host/invocation/attempt.ts",
    find: "    if (!this.#performing) {\n      void this.#work();\n    }",
    replace: "    void this.#work();",
    caughtBy: SIMULATION,
  },
  {
    name: "F17: a call whose part was lost from sight is told that nothing has happened",
    file: "state/protocols/step-stream.ts",
    find: "this.#doubtful = length === 0 && this.#isElsewhere;",
    replace: "this.#doubtful = false;",
    caughtBy: [`${INVOCATION}/parts.test.ts`, "F17"],
  },
  {
    name: "F24: the same id with another command line is the same call",
    file: "host/invocation/service.ts",
    find: ' &&\n      theirs.commandLine === (request.commandLine ?? "")',
    replace: "",
    caughtBy: [`${INVOCATION}/command-line.test.ts`, "F24"],
  },
  {
    name: "F24: the same id with another func_ptr is the same call",
    file: "host/invocation/service.ts",
    find: " &&\n      theirs.tableIndex === (request.tableIndex ?? null)",
    replace: "",
    caughtBy: [CHECKED, "F24"],
  },

  // Requests to the outside
  {
    name: "F15, F8: a request leaves before its record is durable",
    file: OUTSIDE_OPERATIONS,
    find: "    await this.#shard.whenDurable(this.#steps.dependency);\n",
    replace: "",
    caughtBy: [OUTSIDE, "F8"],
  },
  {
    name: "F15: a request that is sent again has another key",
    file: OUTSIDE_OPERATIONS,
    find: "body, idempotencyKey }));",
    replace: "body, idempotencyKey: this.#context.random.bytes(8).join() || idempotencyKey }));",
    caughtBy: [OUTSIDE, "it is sent again with the same key"],
  },
  {
    name: "F15: what came of a request is not taken from the log",
    file: OUTSIDE_OPERATIONS,
    find: "    if (this.#steps.replaying) {",
    replace: "    if (this.#shard.epoch < 0) {",
    caughtBy: [OUTSIDE, "one before it leaves"],
  },
  {
    name: "F15: a request that is to be sent once is sent again",
    file: OUTSIDE_OPERATIONS,
    find: "    if (asked.once && intent.theirs !== null) {",
    replace: "    if (asked.once && intent.record.seqnum < 0) {",
    caughtBy: [OUTSIDE, "once"],
  },
  {
    name: "a redirect is followed to an address that was not checked",
    file: "host/egress/broker.ts",
    find: "      const addresses = await this.#addresses(request.tenant, leg.url, signal);",
    replace: '      const addresses = redirects > 0 ? ["127.0.0.1"] : await this.#addresses(request.tenant, leg.url, signal);',
    caughtBy: [BROKER, "is checked like a first request"],
  },
  {
    name: "a connection goes to another address than the one that was checked",
    file: "host/egress/broker.ts",
    find: "      const { answerMaxBytes } = this.#options;",
    replace:
      "      const { answerMaxBytes } = this.#options;\n      (addresses as string[]).splice(0, 9, ...(await this.#addresses(request.tenant, leg.url, signal)));",
    caughtBy: [BROKER, "goes to the address that was checked"],
  },
  {
    name: "of a name's addresses only the first is checked",
    file: "host/egress/destination.ts",
    find: "  for (const address of addresses) {",
    replace: "  for (const address of addresses.slice(0, 1)) {",
    caughtBy: ["test/unit/host/egress/destination.test.ts", "a name with a private"],
  },
];
