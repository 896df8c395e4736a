/**
 * Defects that the tests must notice. Each is a text of a source file and what stands there instead while its tests run; nothing of
 * it is in the sources. `npm run mutate` runs all, `npm test` a few, and that each still applies.
 *
 * Names: those of the rules they break. Several are defects that real systems of this kind had.
 */

export interface Mutation {
  readonly name: string;
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  /** A test file, and the beginning of the names of the tests in it that fail; without a name all of it is run. */
  readonly caughtBy: readonly [path: string, name?: string];
}

const SIMULATION = ["test/sim/sim.test.ts", "whatever fails"] as const;
const STEPS = "test/unit/state/protocols/step-stream.test.ts";
const STEP_STREAM = "state/protocols/step-stream.ts";
const TRANSACTIONS = "state/txn/transactions.ts";
const GUEST_LOG = "state/protocols/guest-log.ts";
const OBJECT_VERSIONS = "state/protocols/object-versions.ts";
const INVOCATION = "test/unit/host/invocation";
const PROTOCOLS = `${INVOCATION}/protocols.test.ts`;
const HALFMOON_WRITE = `${INVOCATION}/halfmoon-write.test.ts`;
const SWITCHING = `${INVOCATION}/switching.test.ts`;

export const mutations: readonly Mutation[] = [
  // Epochs and sessions
  {
    name: "F1: a read of an old epoch is accepted",
    file: "state/remote/peer.ts",
    find: "    if (epoch !== this.epoch) {\n      throw this.#otherEpoch(epoch);\n    }\n    const service",
    replace: "    const service",
    caughtBy: ["test/unit/state/remote/peer.test.ts", "F1"],
  },
  {
    name: "F1: a durable notice of another epoch is accepted",
    file: "state/remote/peer.ts",
    find: "    if (epoch !== this.epoch) {\n      throw this.#otherEpoch(epoch);\n    }\n    if (kind",
    replace: "    if (kind",
    caughtBy: ["test/unit/state/remote/peer.test.ts", "F1"],
  },
  {
    name: "F1: the first attempt after an owner's restart uses pins of the epoch before",
    file: "host/invocation/instance-history.ts",
    find: "const isFresh = this.#isFresh && shard.epoch === epoch;",
    replace: "const isFresh = this.#isFresh || shard.epoch !== epoch;",
    caughtBy: [`${INVOCATION}/lost-sessions.test.ts`, "F1"],
  },
  {
    name: "F1: a host serves before its EPOCH record is durable",
    file: "state/logbook/local-shard.ts",
    find: "  await outbox.whenDurable(sequencer.orderOwn(null, { kind: RecordKind.epoch, tags: [], data }));",
    replace: "  sequencer.orderOwn(null, { kind: RecordKind.epoch, tags: [], data });",
    caughtBy: ["test/unit/state/logbook/local-shard.test.ts", "F1"],
  },
  {
    name: "F20: an append is ordered for a session that is over",
    file: "state/logbook/sequencer.ts",
    find: "if (holder?.isOver === true) {",
    replace: "if (holder?.isOver === null) {",
    caughtBy: ["test/unit/state/logbook/local-shard.test.ts", "F20"],
  },
  // Collection
  {
    name: "F4: what a collection lets go of is deleted before its record is durable",
    file: "state/logbook/local-shard.ts",
    find: "    await outbox.whenDurable(index.tail);\n    // A read step",
    replace: "    // A read step",
    caughtBy: ["test/unit/state/logbook/gc.test.ts", "F4"],
  },
  {
    name: "F11: a first step below the floor is accepted",
    file: "state/logbook/decide.ts",
    find: "initialCursor < book.floor",
    replace: "initialCursor < 0",
    caughtBy: ["test/unit/state/logbook/gc.test.ts", "F11"],
  },
  {
    name: "F11: unfinished instances hold no version",
    file: "state/logbook/local-shard.ts",
    find: "Math.min(this.#parts.outbox.durable, book.instances.readsFrom())",
    replace: "this.#parts.outbox.durable as number",
    caughtBy: SIMULATION,
  },
  {
    name: "[13] a read of what was collected finds nothing instead of TRIMMED",
    file: "state/logbook/stream-reads.ts",
    find: "if ((gone !== NO_SEQNUM && max <= gone) || found",
    replace: "if ((gone !== NO_SEQNUM && max < 0) || found",
    caughtBy: ["test/unit/state/logbook/gc.test.ts", "versions of an object"],
  },
  {
    name: "[54] superseded versions are never collected",
    file: "state/logbook/gc.ts",
    find: "    stream.collectBefore(book.floor, drop);\n    if (stream.kept > 1) {",
    replace: "    if (stream.kept > 1) {",
    caughtBy: SIMULATION,
  },
  {
    name: "[54] streams of finished instances are never collected",
    file: "state/logbook/gc.ts",
    find: "    if (isPassed(next, book.floor)) {",
    replace: "    if (isPassed(next, 0 as SeqNum)) {",
    caughtBy: SIMULATION,
  },
  {
    name: "F6: the owner takes a record whose blob it does not hold",
    file: "state/logbook/sequencer.ts",
    find: "if (held !== sizeBytes) {",
    replace: "if (held === undefined) {",
    caughtBy: ["test/contract/local-logbook.test.ts", "F6"],
  },
  {
    name: "F7: a blob's name is the same in each epoch",
    file: "state/objects/file-blobs.ts",
    find: `\`\${this.#epoch}-\${unique}\` as BlobName`,
    replace: `"1-00000000000000000000000000000000" as BlobName`,
    caughtBy: ["test/unit/state/objects/file-blobs.test.ts", "F7"],
  },
  // The disk
  {
    name: "F12: the recovered tail is not flushed again",
    file: "state/journal/recovery.ts",
    find: "  if (lastFrame !== undefined) {\n    rewrite(",
    replace: "  if (lastFrame === null) {\n    rewrite(",
    caughtBy: ["test/unit/state/journal/recovery.test.ts", "F12"],
  },
  {
    name: "F12: the journal goes on after a failed flush",
    file: "state/journal/frame-writer.ts",
    find: "      writer.onFailure(error);\n      return false;",
    replace: "      return error !== undefined;",
    caughtBy: ["test/unit/state/journal/file-journal.test.ts"],
  },
  {
    name: "F33: a frame before the last one may be torn",
    file: "state/journal/file-journal.ts",
    find: "if (!this.#lastIsEmpty && this.#state",
    replace: "if (this.#lastIsEmpty && this.#state",
    caughtBy: ["test/unit/state/journal/recovery.test.ts", "F33"],
  },
  {
    name: "F34: records are ordered although the journal has no room",
    file: "state/logbook/sequencer.ts",
    find: "if (!this.#journal.hasRoom(this.#outbox.waiting(), isReserved(records))) {",
    replace: "if (!this.#journal.hasRoom([], isReserved(records))) {",
    caughtBy: ["test/unit/state/logbook"],
  },
  {
    name: "F34: an append is refused as DISK_FULL before the disk was tried",
    file: "state/logbook/sequencer.ts",
    find: "if (!isDiskFull && hasCode",
    replace: "if (isDiskFull && hasCode",
    caughtBy: ["test/unit/state/logbook/room.test.ts", "F34"],
  },
  {
    name: "Q2: an append overtakes those that wait for room",
    file: "state/logbook/sequencer.ts",
    find: "(this.#waiting.length === 0 || isReserved)",
    replace: "(this.#waiting.length >= 0 || isReserved)",
    caughtBy: ["test/unit/state/logbook/room.test.ts", "F34"],
  },
  {
    name: "F34: the host's own records wait behind those that have no room",
    file: "state/logbook/sequencer.ts",
    find: "(isRoomShort && !one.isReserved)",
    replace: "isRoomShort",
    caughtBy: ["test/unit/state/logbook/room.test.ts", "F34"],
  },
  // Conditional appends
  {
    name: "[3] the loser of a race does not learn the winner's record",
    file: "state/logbook/decide.ts",
    find: "existing: existing(book, tag, stream?.at(condition.length) ?? NO_SEQNUM, read)",
    replace: "existing: existing(book, tag, NO_SEQNUM, read)",
    caughtBy: ["test/contract/local-logbook.test.ts", "[3]"],
  },
  {
    name: "[4] a gap is accepted",
    file: "state/logbook/decide.ts",
    find: "if (length < condition.length) {",
    replace: "if (length < 0) {",
    caughtBy: ["test/contract/local-logbook.test.ts", "[4]"],
  },
  {
    name: "F14: the object is reported before the own step",
    file: "state/logbook/decide.ts",
    find: "  for (const condition of when) {",
    replace: "  for (const condition of when.toReversed()) {",
    caughtBy: ["test/contract/local-logbook.test.ts", "F14"],
  },
  {
    name: "F14: an update's condition is the version of now",
    file: "state/protocols/halfmoon-read.ts",
    find: "this.#versions.condition(key, tag, version, readAt)",
    replace:
      "this.#steps.book.readPrev(tag, Number.MAX_SAFE_INTEGER as SeqNum).then(({ record }) => ({ tag, last: record?.seqnum ?? (0 as SeqNum) }))",
    caughtBy: SIMULATION,
  },
  {
    name: "F31: conflict is reported before closed",
    file: "state/logbook/decide.ts",
    find: "  const stream = book.streams.get(tag);\n  if (stream?.closed) {",
    replace: "  const stream = book.streams.get(tag);\n  if (stream?.closed && stream.length === -1) {",
    caughtBy: ["test/contract/local-logbook.test.ts", "F31"],
  },
  {
    name: "F19: a replay takes what was ordered on trust",
    file: "state/logbook/shard-index.ts",
    find: "invariant(refused === undefined, `record",
    replace: "invariant(refused === undefined || this.tail >= 0, `record",
    caughtBy: ["test/unit/state/logbook/local-shard.test.ts", "F19"],
  },
  {
    name: "F35: the time of records goes back with the clock",
    file: "state/logbook/sequencer.ts",
    find: "return Math.max(this.#index.timeMs, this.#clock.now());",
    replace: "return this.#clock.now();",
    caughtBy: SIMULATION,
  },
  {
    name: "[8] readers are told of durability in advance",
    file: "state/logbook/outbox.ts",
    find: "      if (waiter.seqnum > this.durable) {\n        break;\n      }\n",
    replace: "",
    caughtBy: SIMULATION,
  },
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
    find: "    for (const record of loaded) {\n",
    replace: "    for (const record of loaded) {\n      this.#cursor = Math.max(this.#cursor, record.seqnum) as SeqNum;\n",
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
    find: "if (!sameKind || theirs.target !== ours.target || theirs.value !== ours.value) {",
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
  // Transactions
  {
    name: "F14: what a transaction has listed is no condition of its commit",
    file: TRANSACTIONS,
    find: "      when.push({ tag: NAMES_TAG, last: names });\n",
    replace: "",
    caughtBy: SIMULATION,
  },
  {
    name: "F14: what a transaction has read is no condition of its commit",
    file: TRANSACTIONS,
    find: "      when.push(await this.#versions.condition(key, objectTag(key), version, snapshot));\n",
    replace: "",
    caughtBy: SIMULATION,
  },
  {
    name: "F14: what a transaction writes under snapshot isolation is no condition of its commit",
    file: TRANSACTIONS,
    find: "      when.push(...(await Promise.all(written)));\n",
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
    name: "F37: a transaction takes objects that are kept without versions",
    file: "state/protocols/scoped-objects.ts",
    find: "if (!(protocol instanceof HalfmoonRead)) {",
    replace: "if (protocol === undefined) {",
    caughtBy: [`${INVOCATION}/transactions.test.ts`, "PROTOCOL_MISMATCH"],
  },
  // Locks
  {
    name: "[55] the replay of a lock leaves the cursor behind",
    file: STEP_STREAM,
    find: "    this.#moveTo(record.seqnum);\n    const failed = record",
    replace: "    this.#moveTo(record.kind === RecordKind.lock ? this.#cursor : record.seqnum);\n    const failed = record",
    caughtBy: SIMULATION,
  },
  {
    name: "[55] the locks of a transaction that only reads are never released",
    file: TRANSACTIONS,
    find: "if (writes.size === 0 && !this.#locks.inTransaction) {",
    replace: "if (writes.size === 0) {",
    caughtBy: SIMULATION,
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
  // Checkpoints
  {
    name: "F19: a checkpoint of what is applied and not durable",
    file: "state/journal/file-journal.ts",
    find: "return { frame: this.#durableNumber, address: this.#durableEnd };",
    replace: "return { frame: this.#number, address: this.#end };",
    caughtBy: SIMULATION,
  },
  {
    name: "F4: a checkpoint lets go of records that are still read",
    file: "state/logbook/checkpoint/saved-index.ts",
    find: "writer.keepRecords((seqnum) => index.store.isHeld(seqnum));",
    replace: "writer.keepRecords((seqnum) => seqnum > index.tail);",
    caughtBy: SIMULATION,
  },
  {
    name: "F19: what the checkpoint before would need is released",
    file: "state/logbook/checkpoint/saved-index.ts",
    find: "releasable: last?.recordsBefore ?? 0,",
    replace: "releasable: to.address,",
    caughtBy: ["test/unit/state/logbook/checkpoint.test.ts"],
  },
  // The log of guests
  {
    name: "[5] a guest's append is conditional on the length that the stream has now",
    file: GUEST_LOG,
    find: "const conditions = when.map(toCondition);",
    replace:
      "const conditions = await Promise.all(when.map(async ({ tag }) => ({ tag: guestTag(tag), length: (await this.#steps.book.tailOf(guestTag(tag))).length })));",
    caughtBy: SIMULATION,
  },
  {
    name: "F36: a look at the log is answered, and not logged where",
    file: GUEST_LOG,
    find: "return { answer: (await lookAt(at as SeqNum)).answer, timeMs };",
    replace: "return { answer: (await lookNow()).answer, timeMs };",
    caughtBy: SIMULATION,
  },
  {
    name: "F36: a trim hides what it names from those who read as of before it",
    file: "state/logbook/trims.ts",
    find: "return this.pending.findLast(({ seqnum }) => seqnum <= at)?.upTo ?? this.settled;",
    replace: "return this.pending.at(-1)?.upTo ?? this.settled;",
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
    find: '    if (!steps.logged) {\n      return { kind: "failed", code, message };\n    }\n    switch',
    replace: '    if (steps.position >= 0) {\n      return { kind: "failed", code, message };\n    }\n    switch',
    caughtBy: SIMULATION,
  },
  {
    name: "[23] the output of a root is not stored",
    file: "host/invocation/instance-run.ts",
    find: "const done: InstanceDone = { returnValue, trap, output: await toPayload(drafts, output), transaction };",
    replace: "const done: InstanceDone = { returnValue, trap, output: await toPayload(drafts, EMPTY), transaction };",
    caughtBy: SIMULATION,
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

  // Latest cells, and switching
  {
    name: "[31] consecutive log-free writes have one version: the second is lost",
    file: STEP_STREAM,
    find: "    this.#writes += 1;\n",
    replace: "",
    caughtBy: [HALFMOON_WRITE, "[31]"],
  },
  {
    name: "F2: a log-free write is made before any record of its own",
    file: STEP_STREAM,
    find: "    if (this.#position === 1 && !this.#isChild) {\n",
    replace: "    if (this.#position === 0) {\n",
    caughtBy: [HALFMOON_WRITE, "F2"],
  },
  {
    name: "[34] a child's log-free writes look like its caller's",
    file: STEP_STREAM,
    find: "this.#isChild && this.#cursor === this.#origin.pins.initialCursor ? 1 : 0",
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
    find: "if (modesAt !== NO_SEQNUM && modesAt < from) {",
    replace: "if (modesAt < NO_SEQNUM) {",
    caughtBy: ["test/unit/state/logbook/gc.test.ts", "F18"],
  },
  {
    name: "F18: a switch ends while an instance of the old mode runs",
    file: "state/logbook/mode-switches.ts",
    find: "    if (begin > this.#outbox.durable || unfinishedBefore(book, begin) > 0) {",
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
    name: "[48] a transitional read looks into one place",
    file: "state/protocols/transitional.ts",
    find: "super(steps, blobs, turns, true);",
    replace: "super(steps, blobs, turns, false);",
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
