/** Defects of memory regions. */
import type { Mutation } from "./mutations.ts";

const INVOCATION = "test/unit/host/invocation/regions.test.ts";
const PASS = "host/modules/rewriting/passes/regions.ts";
const ALIASES = "host/modules/rewriting/passes/aliases.ts";
const ALIASED = "test/unit/host/modules/rewriting/aliases.test.ts";
const ACCESSES = "test/unit/host/modules/rewriting/regions.test.ts";
const REGIONS = "test/unit/state/regions/regions.test.ts";

export const regionMutations: readonly Mutation[] = [
  {
    name: "what is pushed from regions does not count as written",
    file: "host/invocation/region-operations.ts",
    find: "    this.#meter.add(range.length);\n",
    replace: "",
    caughtBy: ["test/unit/host/invocation/regions.test.ts", "counts as written"],
  },
  {
    name: "H21: aliased state reaches the handle table",
    file: ALIASES,
    find: "const FIRST = ALIAS_BASE + PAGE_BYTES;",
    replace: "const FIRST = ALIAS_BASE;",
    caughtBy: [ALIASED, "H21"],
  },
  {
    name: "H21: copies with aliased state reach the handle table",
    file: ALIASES,
    find: "const checks = [...(target ? check(TARGET) : []), ...(source ? check(SOURCE) : [])];",
    replace: "const checks = source ? check(SOURCE) : [];",
    caughtBy: [ALIASED, "H21: trap in the handle table"],
  },
  {
    name: "H23: with aliased state a guest waits in the memory of regions",
    file: ALIASES,
    find: "(waits ? [UNREACHABLE] : done(arena, sharedAddress))",
    replace: "done(arena, sharedAddress)",
    caughtBy: [ALIASED, "H23"],
  },
  {
    name: "F23: an answer that rests on a region does not wait for what others have ordered",
    file: "host/invocation/instance-end.ts",
    find: "    if (this.#runRegions.used) {",
    replace: "    if (steps.position < 0) {",
    caughtBy: [INVOCATION, "an answer"],
  },
  {
    name: "F23: values from regions are in fingerprints",
    file: "host/invocation/execution.ts",
    find: "    steps.leaveOutValues();",
    replace: "",
    caughtBy: [INVOCATION, "what a region holds"],
  },
  {
    name: "F23: keys from regions are in no fingerprint",
    file: "state/protocols/step-stream.ts",
    find: "theirs.target !== ours.target || !sameValue",
    replace: "(this.#comparesValues && theirs.target !== ours.target) || !sameValue",
    caughtBy: [INVOCATION, "another key"],
  },
  {
    name: "F23: a call whose regions are gone goes on",
    file: "host/invocation/instance-run.ts",
    find: "!artefact.regionSafe",
    replace: "artefact.regionSafe",
    caughtBy: [INVOCATION, "a call that was interrupted"],
  },
  {
    name: "F23: a call whose regions are gone with its process goes on",
    file: "host/invocation/instance-run.ts",
    find: "!(isFirst || areGone)",
    replace: "!isFirst",
    caughtBy: [INVOCATION, "a call whose process is gone"],
  },
  {
    name: "F23: a tenant's memory is taken for one that is there when its process is gone",
    file: "state/regions/regions.ts",
    find: "this.#apps.get(tenant) === app && this.#options.reaches(tenant, app.arena.memory)",
    replace: "this.#apps.get(tenant) === app",
    caughtBy: [REGIONS, "a memory that is gone"],
  },
  {
    name: "H23: a notification is missed that comes while the value is looked at",
    file: "state/regions/session.ts",
    find: "!== expected && waiter.leave() ? null : waiter",
    replace: "!== expected ? null : waiter",
    caughtBy: [REGIONS, "H23: misses no notification"],
  },
  {
    name: "F23: a posted write is not ordered when the guest goes on",
    file: "host/abi/requests.ts",
    find: "  if (guest.reachesRegions) {",
    replace: "  if (operation < 0) {",
    caughtBy: ["test/unit/host/abi/regions.test.ts", "F23"],
  },
  {
    name: "H10: a lock is free as soon as the attempt has ended",
    file: "host/invocation/execution.ts",
    find: "  attempts.delete(shard, attempt);",
    replace: "  attempts.delete(shard, attempt);\n  regions?.guestGone();",
    caughtBy: [INVOCATION, "H10"],
  },
  {
    name: "H10: a lock stays with a guest that is gone",
    file: "state/regions/session.ts",
    find: "        region.lock.release(this, false);",
    replace: "",
    caughtBy: [REGIONS, "H10"],
  },
  {
    name: "H20: a part of a call that uses regions is pushed down",
    file: "host/invocation/part-operations.ts",
    find: "    if (usesRegions(this.#artefact)) {",
    replace: "    if (this.#offers < 0) {",
    caughtBy: [INVOCATION, "H20"],
  },
  {
    name: "H21: the end of an access is not checked",
    file: PASS,
    find: "const end = m.i64.add(m.i64.extend_u(m.local.get(1, i32)), m.i64.extend_u(bytes()));",
    replace: "const end = m.i64.extend_u(m.local.get(1, i32));",
    caughtBy: [ACCESSES, "end the call just outside"],
  },
  {
    name: "H21: the end of an access wraps",
    file: PASS,
    find: "m.i64.add(m.i64.extend_u(m.local.get(1, i32)), m.i64.extend_u(bytes()))",
    replace: "m.i64.extend_u(m.i32.add(m.local.get(1, i32), bytes()))",
    caughtBy: [ACCESSES, "end the call just outside"],
  },
  {
    name: "H21: any handle is looked up",
    file: PASS,
    find: "m.if(isNoHandle(m), fault()), m.local.set",
    replace: "m.local.set",
    caughtBy: [ACCESSES, "find no region"],
  },
  {
    name: "H21: a region shows what lay in its place before",
    file: "host/sandbox/arenas/thread-arena.ts",
    find: "    new Uint8Array(this.memory.buffer, from, to - from).fill(0);",
    replace: "",
    caughtBy: [REGIONS, "are zeros"],
  },
];
