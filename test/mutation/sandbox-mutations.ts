/** Defects of limits, of kills, of what uploads make of modules, and of what of a stopped call travels. What runs in workers is not mutated. */
import type { Mutation } from "./mutations.ts";

const BULK = "test/unit/host/modules/bulk-memory.test.ts";
const EDITOR = "test/unit/host/modules/section-editor.test.ts";
const PREEMPTIBLE = "test/unit/host/sandbox/preemptible.test.ts";
const INVOCATION_LIMITS = "test/unit/host/invocation/limits.test.ts";
const DELTA = "test/unit/host/sandbox/delta.test.ts";
const MEMORY = "test/unit/host/sandbox/memory.test.ts";

export const sandboxMutations: readonly Mutation[] = [
  {
    name: "limits: a fill of any length is one instruction",
    file: "host/modules/instructions.ts",
    find: "      return !isNegative && value <= SMALL_BYTES;",
    replace: "      return !isNegative || value <= SMALL_BYTES;",
    caughtBy: [BULK, "are calls of functions"],
  },
  {
    name: "limits: an overlapping copy in pieces begins with the wrong half",
    file: "host/modules/bulk-memory.ts",
    find: "...forwards, ELSE, ...second, ...first, END]",
    replace: "...second, ...first, ELSE, ...forwards, END]",
    caughtBy: [BULK, "do what the instructions do"],
  },
  {
    name: "limits: a memory.init in pieces writes one half twice",
    file: "host/modules/bulk-memory.ts",
    find: 'kind === "fill" ? get(SOURCE) :',
    replace: 'kind !== "copy" ? get(SOURCE) :',
    caughtBy: [BULK, "do what the instructions do"],
  },
  {
    name: "limits: a memory.init beyond its segment writes before it traps",
    file: "host/modules/bulk-memory.ts",
    find: "...signedLeb(operation.segmentBytes)]",
    replace: "...signedLeb(2 * operation.segmentBytes)]",
    caughtBy: [BULK, "do what the instructions do"],
  },
  {
    name: "H27: one tenant's bodies have all the room for bodies",
    file: "host/http/body-room.ts",
    find: "partyBytes > freeBytes",
    replace: "moreBytes > freeBytes",
    caughtBy: ["test/unit/host/http/body.test.ts", "no tenant, and no address"],
  },
  {
    name: "limits: a module's own maximum counts before the tenant's",
    file: "host/modules/section-editor.ts",
    find: "  return Math.min(limits.max ?? max, max);",
    replace: "  return limits.max ?? max;",
    caughtBy: [EDITOR],
  },
  {
    name: "limits: locals are counted per declaration, not per function",
    file: "host/modules/sections.ts",
    find: '    locals += body.u32("number of locals");',
    replace: '    locals = body.u32("number of locals");',
    caughtBy: ["test/unit/host/modules/validation.test.ts"],
  },
  {
    name: "limits: a call writes as much state as it likes",
    file: "host/invocation/state-meter.ts",
    find: "    if (this.writtenBytes > this.#maxBytes) {",
    replace: "    if (sizeBytes > this.#maxBytes) {",
    caughtBy: [INVOCATION_LIMITS],
  },
  {
    name: "limits: the watchdog forgets wall time",
    file: "host/sandbox/pool/watchdog.ts",
    find: "      if (attempt.deadlineMs <= nowMs) {",
    replace: "      if (attempt.deadlineMs <= nowMs - 1e6) {",
    caughtBy: [PREEMPTIBLE, "H8: that loops"],
  },
  {
    name: "limits: roots beyond the queue's limit are taken",
    file: "host/sandbox/pool/pool.ts",
    find: "    if (depth === 0 && this.#queued >= this.#queueMax) {",
    replace: "    if (depth === 0 && this.#queued > this.#queueMax) {",
    caughtBy: ["test/unit/host/sandbox/pool.test.ts", "attempts beyond the queue's limit"],
  },
  {
    name: "rewriting: loops are not polled",
    file: "host/modules/rewriting/passes/polls.ts",
    find: "  scanBody(bytes, body, { loop: (offset) => places.push(offset) });",
    replace: "  scanBody(bytes, body, {});",
    caughtBy: [PREEMPTIBLE, "a part of a call that loops gives way"],
  },
  {
    name: "rewriting: recursion through a table is not polled",
    file: "host/modules/rewriting/passes/polls.ts",
    find: "  const places: number[] = onEntry ? [body.start] : [];",
    replace: "  const places: number[] = [];",
    caughtBy: [PREEMPTIBLE, "H8: that calls itself through a table"],
  },
  {
    name: "rewriting: a long call stays among the short ones",
    file: "host/sandbox/pool/watchdog.ts",
    find: "        onLongCall(attempt);",
    replace: "        void onLongCall;",
    caughtBy: [PREEMPTIBLE, "one that computes for long begins anew in the background"],
  },
  {
    name: "freezing: bytes that a call has set to zero do not travel",
    file: "host/sandbox/executor/delta.ts",
    find: "      if (words[firstWord + at] === was[at]) {",
    replace: "      if (words[firstWord + at] === was[at] || words[firstWord + at] === 0) {",
    caughtBy: [DELTA],
  },
  {
    name: "freezing: a stopped call may write outside of its memory",
    file: "host/sandbox/executor/delta.ts",
    find: "    if (offset + run.bytes.byteLength > pages * WASM_PAGE_BYTES) {",
    replace: "    if (offset > pages * WASM_PAGE_BYTES) {",
    caughtBy: [DELTA],
  },
  // Memory of sandboxes
  {
    name: "what a memory has grown to is not counted",
    file: "host/sandbox/pool/pool.ts",
    find: "    if (memory !== undefined && pages * WASM_PAGE_BYTES !== memory.bytes) {",
    replace: "    if (memory !== undefined && pages < 0) {",
    caughtBy: [MEMORY, "many that grow"],
  },
  {
    name: "a tenant whose sandboxes hold everything keeps it",
    file: "host/sandbox/pool/memory-budget.ts",
    find: "    this.#makeRoomFor(claim);\n",
    replace: "",
    caughtBy: ["test/unit/host/sandbox/memory-budget.test.ts", "loses its largest attempts to one"],
  },
  {
    name: "H6: a worker that was ended is heard, though what it has sent beside its frames is gone",
    file: "host/sandbox/frames/channel.ts",
    find: "const offset = this.#closed ? -1 : this.#in.next();",
    replace: "const offset = this.#in.next();",
    caughtBy: ["test/unit/host/sandbox/channel.test.ts", "a channel that is closed"],
  },
];
