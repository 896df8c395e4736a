/** Defects of the journal and the LogBook. */
import type { Mutation } from "./mutations.ts";

const SIMULATION = ["test/sim/sim.test.ts", "whatever fails"] as const;
const GUEST_LOG = "state/protocols/guest-log.ts";
const INVOCATION = "test/unit/host/invocation";

export const logMutations: readonly Mutation[] = [
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
    name: "F11: the watermark does not see where a first step has pinned its instance",
    file: "state/logbook/book-state.ts",
    find: "      change(instance);\n      this.instances.changed(instance);\n",
    replace: "      change(instance);\n",
    caughtBy: ["test/unit/state/logbook/gc.test.ts"],
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
    find: "    budget.left -= stream.collectBefore(book.floor, drop, budget.left);\n    if (stream.kept > 1) {",
    replace: "    if (stream.kept > 1) {",
    caughtBy: SIMULATION,
  },
  {
    name: "[54] streams of finished instances are never collected",
    file: "state/logbook/gc.ts",
    find: "isPassed(instance, book.floor) && collectInstance",
    replace: "isPassed(instance, 0 as SeqNum) && collectInstance",
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
];
