/** Defects of transactions, locks and protocols. */
import type { Mutation } from "./mutations.ts";

const SIMULATION = ["test/sim/sim.test.ts", "whatever fails"] as const;
const STEP_STREAM = "state/protocols/step-stream.ts";
const TRANSACTIONS = "state/txn/transactions.ts";
const OBJECT_VERSIONS = "state/protocols/object-versions.ts";
const INVOCATION = "test/unit/host/invocation";
const PROTOCOLS = `${INVOCATION}/protocols.test.ts`;
const HALFMOON_WRITE = `${INVOCATION}/halfmoon-write.test.ts`;
const MIXED = `${INVOCATION}/mixed-transactions.test.ts`;
const SWITCHING = `${INVOCATION}/switching.test.ts`;

export const objectMutations: readonly Mutation[] = [
  // Transactions
  {
    name: "F14: what a transaction has listed is no condition of its commit",
    file: TRANSACTIONS,
    find: "      when.push({ tag: NAMES_TAG, last: record?.seqnum ?? NO_SEQNUM });\n",
    replace: "",
    caughtBy: SIMULATION,
  },
  {
    name: "F14: what a transaction has read is no condition of its commit",
    file: TRANSACTIONS,
    find: "    when.push(...(await this.#inSlices([...reads], read)));\n",
    replace: "",
    caughtBy: SIMULATION,
  },
  {
    name: "F14: what a transaction writes under snapshot isolation is no condition of its commit",
    file: TRANSACTIONS,
    find: "      when.push(...(await this.#inSlices([...writes.keys()], unchanged)));\n",
    replace: "",
    caughtBy: SIMULATION,
  },
  {
    name: "F14: an append that rests on a deleted object is refused although it is still deleted",
    file: OBJECT_VERSIONS,
    find: "version !== NO_SEQNUM || this.#steps.replaying ?",
    replace: "version >= NO_SEQNUM ?",
    caughtBy: ["test/unit/state/protocols/halfmoon-read.test.ts", "F14"],
  },
  {
    name: "F37: reads in a transaction are of now",
    file: TRANSACTIONS,
    find: "this.#versions.read(key, objectTag(key), snapshot, offset, maxBytes)",
    replace: "this.#versions.read(key, objectTag(key), Number.MAX_SAFE_INTEGER as SeqNum, offset, maxBytes)",
    caughtBy: SIMULATION,
  },
  {
    name: "F37: a transaction reads what a cell holds now",
    file: TRANSACTIONS,
    find: "this.#logged.read(key, offset, maxBytes, place, snapshot)",
    replace: "this.#logged.read(key, offset, maxBytes, place)",
    caughtBy: SIMULATION,
  },
  {
    name: "F37: a transaction lists what cells hold now",
    file: TRANSACTIONS,
    find: "loggedList(this.#steps, prefix, after, most, snapshot)",
    replace: "loggedList(this.#steps, prefix, after, most)",
    caughtBy: SIMULATION,
  },
  {
    name: "F37: somebody reads at the moment of a transaction that is over",
    file: "state/logbook/local-logbook.ts",
    find: "if (!this.#book.cells.snapshots.isOpen(at)) {",
    replace: "if (this.#book.cells.snapshots.isOpen(at) && at < NO_SEQNUM) {",
    caughtBy: ["test/unit/state/logbook/cells.test.ts", "is not told when that is over"],
  },
  {
    name: "F37: what a cell held is not kept for those who read at that moment",
    file: "state/logbook/cells.ts",
    find: "before.earlier === undefined && !this.snapshots.hasBetween(before.entry, entry)",
    replace: "before.earlier === undefined",
    caughtBy: SIMULATION,
  },
  {
    name: "F37: what a cell held before it was one is not looked for",
    file: "state/logbook/cells.ts",
    find: "    if (cell === undefined) {\n      return null;\n    }\n    const held",
    replace: "    if (cell === undefined || cell.since > at) {\n      return null;\n    }\n    const held",
    caughtBy: ["test/unit/state/logbook/gc.test.ts", "F37"],
  },
  {
    name: "[54] what a cell held is kept when no transaction reads it any more",
    file: "state/logbook/gc.ts",
    find: "    book.cells.prune(key, drop);\n",
    replace: "",
    caughtBy: [MIXED, "[54]"],
  },
  {
    name: "F19: a checkpoint forgets what cells held before",
    file: "state/logbook/checkpoint/parts/objects.ts",
    find: "    while (value.hasMore) {\n      earlier.push(",
    replace: "    while (value.hasMore && earlier.length < 0) {\n      earlier.push(",
    caughtBy: [MIXED, "F37: is there after"],
  },
  {
    name: "F19: a checkpoint forgets the moments at which transactions read",
    file: "state/logbook/checkpoint/parts/objects.ts",
    find: "    cells.snapshots.begin(value.text() as InstanceId, at as SeqNum);\n",
    replace: "",
    caughtBy: ["test/unit/state/logbook/checkpoint.test.ts"],
  },
  {
    name: "F14: a list is not told that a cell was made or deleted",
    file: "state/logbook/names-tag.ts",
    find: "cell !== undefined && changes(objectTag(cell.key))",
    replace: "cell === null",
    caughtBy: SIMULATION,
  },
  {
    name: "F37: a commit writes all objects to their streams",
    file: TRANSACTIONS,
    find: '...(place !== "versions" && { cell: { key, version: null } }),',
    replace: "",
    caughtBy: SIMULATION,
  },

  // Locks
  {
    name: "[55] the replay of a lock leaves the cursor behind",
    file: STEP_STREAM,
    find: "    this.#moveTo(record.seqnum);\n    const failed = record",
    replace: "    this.#moveTo(record.kind === RecordKind.lock ? this.#cursor : record.seqnum);\n    const failed = record",
    caughtBy: ["test/unit/host/invocation/locks.test.ts", "moves the cursor in a replay as it did before"],
  },
  {
    name: "[55] the locks of a transaction that only reads are never released",
    file: TRANSACTIONS,
    find: "if (writes.size === 0 && !this.#mayHoldLocks(transaction)) {",
    replace: "if (writes.size === 0) {",
    caughtBy: SIMULATION,
  },
  {
    name: "[55] the locks that a cancelled function took for a transaction are never released",
    file: TRANSACTIONS,
    find: "return this.#locks.inTransaction || hasLost || openCalls > 0;",
    replace: "return this.#locks.inTransaction || openCalls > 0;",
    caughtBy: [`${INVOCATION}/locks.test.ts`, "as it was cancelled"],
  },
  {
    name: "[55] a lock is taken by whoever asks",
    file: "state/txn/held-locks.ts",
    find: "return held === null || held.root === this.#root;",
    replace: "return held !== undefined;",
    caughtBy: SIMULATION,
  },
  {
    name: "[55] a lock is taken without a look at who was faster",
    file: "state/txn/held-locks.ts",
    find: "when: mayTake ? [{ tag, last: read.last }] : [],",
    replace: "when: [],",
    caughtBy: ["test/unit/state/txn/peers.test.ts"],
  },

  // Latest cells, and switching
  {
    name: "[31] consecutive log-free writes have one version: the second is lost",
    file: STEP_STREAM,
    find: "    this.#writes += 1;\n",
    replace: "",
    caughtBy: [HALFMOON_WRITE, "[31]"],
  },
  {
    name: "F3: a log-free write is in memory only",
    file: "state/logbook/record-codec.ts",
    find: "    if (record.cell !== undefined) {\n      flags",
    replace: "    if (record.cell?.version === null) {\n      flags",
    caughtBy: [HALFMOON_WRITE, "F3"],
  },
  {
    name: "[33] a read of a cell may be an old one",
    file: "state/protocols/logged-reads.ts",
    find: "await steps.book.readCell(key, steps.readsFrom, at);",
    replace:
      "await ((globalThis as { [name: string]: any })[steps.tag + key] ??= steps.book.readCell(key, steps.readsFrom, at));",
    caughtBy: [PROTOCOLS],
  },
  {
    name: "F2: a log-free write is made before any record of its own",
    file: STEP_STREAM,
    find: "    if (this.#position === 1 && !this.#isChild) {\n      await",
    replace: "    if (this.#position === 0) {\n      await",
    caughtBy: [HALFMOON_WRITE, "F2"],
  },
  {
    name: "F25: what an instance reads and writes in cells is asked for as of its beginning, however long it has waited",
    file: STEP_STREAM,
    find: "      if (kind === RecordKind.resume) {\n        this.#readsFrom",
    replace: "      if (kind === RecordKind.epoch) {\n        this.#readsFrom",
    caughtBy: [`${INVOCATION}/pins-cells.test.ts`, "goes on after a long sleep"],
  },
  {
    name: "F25: what an instance has read is not pinned before the last host that may run it",
    file: "host/invocation/recovery.ts",
    find: "pinsFirst: attempts + 1 >= limits.attemptsMax",
    replace: "pinsFirst: attempts < 0",
    caughtBy: [`${INVOCATION}/pins-parked.test.ts`, "F25, F27"],
  },
  {
    name: "F25: an instance that is parked behind a RESUME holds versions from there on",
    file: "host/invocation/recovery.ts",
    find: "if (records.at(-1)?.kind === RecordKind.resume) {",
    replace: "if (records.length === 0) {",
    caughtBy: [`${INVOCATION}/pins-parked.test.ts`, "F25, F27"],
  },
  {
    name: "F25: what was written without a step before a long wait is written again behind it",
    file: "state/protocols/halfmoon-write.ts",
    find: "if (steps.replaying || steps.hasWritten(version)) {",
    replace: "if (steps.replaying) {",
    caughtBy: [`${INVOCATION}/pins-cells.test.ts`, "[36] F3: a write right before"],
  },
  {
    name: "F25: a wait is pinned although a peer has written without a step what its attempt has not",
    file: "state/logbook/decide.ts",
    find: "return isKnown || ",
    replace: "return unlogged !== undefined || isKnown || ",
    caughtBy: [`${INVOCATION}/pins-cells.test.ts`, "[36] F3: what a peer wrote"],
  },
  {
    name: "F19: a checkpoint forgets who has written without a step",
    file: "state/logbook/checkpoint/parts/objects.ts",
    find: "    book.unlogged.set(first as SeqNum, { length: value.number(), version: readVersion(value) });\n",
    replace: "",
    caughtBy: ["test/unit/state/logbook/checkpoint.test.ts"],
  },
  {
    name: "F31: a cancelled call's log-free write is made",
    file: "state/logbook/sequencer.ts",
    find: "    if (stream?.closed) {\n",
    replace: "    if (stream?.closed && kind === undefined) {\n",
    caughtBy: ["test/contract/local-logbook.test.ts", "[18] F31, F25"],
  },
  {
    name: "[34] a child's log-free writes look like its caller's",
    file: STEP_STREAM,
    find: "this.#isChild && this.#base === this.#origin.pins.initialCursor ? 1 : 0",
    replace: "0",
    caughtBy: [HALFMOON_WRITE],
  },
  {
    name: "[33] a lower version of a cell is accepted",
    file: "state/logbook/sequencer.ts",
    find: "    if (cell !== undefined && compareVersions(version, cell.version) <= 0) {",
    replace: "    if (cell !== undefined && compareVersions(version, cell.version) < -Number.MAX_VALUE) {",
    caughtBy: ["test/contract/local-logbook.test.ts", "[33]"],
  },
  {
    name: "F18: mode records go although a parked instance looks there",
    file: "state/logbook/gc.ts",
    find: "Math.min(book.floor, book.instances.modesAt()) as SeqNum",
    replace: "book.floor",
    caughtBy: ["test/unit/state/logbook/gc.test.ts", "F18"],
  },
  {
    name: "F18: a switch ends while an instance of the old mode runs",
    file: "state/logbook/mode-switches.ts",
    find: "    if (begin > this.#outbox.durable || book.instances.modesAt() < begin) {",
    replace: "    if (begin > this.#outbox.durable) {",
    caughtBy: [SWITCHING],
  },
  {
    name: "F18: the end of a switch leaves the floor where it was",
    file: "state/logbook/scopes.ts",
    find: "      floor = scope.begin;\n",
    replace: "",
    caughtBy: [SWITCHING],
  },
  {
    name: "[45] a switch ends before the places of its objects are brought together",
    file: "state/logbook/mode-switches.ts",
    find: "    if (!isMigrated(scope)) {",
    replace: "    if (false && !isMigrated(scope)) {",
    caughtBy: [SWITCHING],
  },
  {
    name: "[48] a transitional write has another order in each place",
    file: "state/protocols/transitional.ts",
    find: "      cell: key,\n      ...(value.kind",
    replace:
      '      ...((await (await import("./halfmoon-write.ts")).writeCell(this.steps, key, this.steps.nextVersion(), value)) ?? {}),\n      ...(value.kind',
    caughtBy: [SWITCHING, "[48]"],
  },
  {
    name: "[48a] an object that has no version is what its cell holds",
    file: OBJECT_VERSIONS,
    find: "  const { record } = await book.readPrev(tag, cursor);",
    replace:
      "  const { record } = await book.readPrev(tag, cursor).then((read) => (read.record === null ? book.readCell(tag.slice(2), cursor) : read));",
    caughtBy: [SWITCHING, "[48a]"],
  },
  {
    name: "[48] a transitional read looks into one place",
    file: "state/protocols/transitional.ts",
    find: 'super(steps, blobs, turns, "both");',
    replace: 'super(steps, blobs, turns, "cell");',
    caughtBy: [SWITCHING],
  },
  {
    name: "[26] a read that goes on over a log-free write of one's own does not see it",
    file: STEP_STREAM,
    find: "    this.nextMoment();\n    const role",
    replace: "    const role",
    caughtBy: [PROTOCOLS, "a read that goes on"],
  },
  {
    name: "F14: an update of a cell is conditional on nothing",
    file: "state/protocols/halfmoon-write.ts",
    find: "    when: [{ tag: objectTag(key), newest: version }],",
    replace: "    when: [],",
    caughtBy: [PROTOCOLS],
  },
];
