/** Preemptible and migratable calls are stopped wherever they compute, and end as if nothing had been (F22). */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findClang } from "../../functions/clang.ts";
import { type Artefact, NO_REWRITING } from "../../host/modules/index.ts";
import type { SandboxEnd, SandboxPool } from "../../host/sandbox/index.ts";
import type { LogBookId } from "../../state/ids.ts";
import { openPool, uploadedGuest } from "./migratable.ts";

const SPINNER = fileURLToPath(new URL("assembly/spinner.ts", import.meta.url));
const CPP_SPINNER = fileURLToPath(new URL("src/spinner.cpp", import.meta.url));
const MOVES = 5;
/** Far more work than there is before the first move. */
const ROUNDS = 1_500;

let pools: readonly SandboxPool[] = [];
/** How often a sandbox has taken a stopped call. */
let begunAgain = 0;
beforeAll(async () => {
  pools = await Promise.all([openPool("here"), openPool("there")]);
});
afterAll(() => Promise.all(pools.map((pool) => pool.close())));

test.each(["stub", "incremental"] as const)(
  "F22: a call that computes is stopped in the middle of its loops and goes on in another pool, with the runtime %s",
  { timeout: 300_000 },
  async (runtime) => {
    await goesOnElsewhere(await uploadedGuest(SPINNER, runtime, { ...NO_REWRITING, preemptible: true, migratable: true }));
  },
);

test("one that computes for long is stopped and goes on in the background, where it is not begun anew", {
  timeout: 300_000,
}, async () => {
  const artefact = await uploadedGuest(SPINNER, "stub", { ...NO_REWRITING, preemptible: true, migratable: true });
  const other = await openPool("other");
  try {
    const { ends, rounds } = await endsAlone(artefact, ROUNDS);
    expect(ends).toEqual(["frozen", "returned"]);
    // One that cannot be stopped is begun anew there, as soon as the background's thread has started.
    while ((await attempt([other], artefact, 0, null, "never", rounds)).kind !== "displaced") {}
  } finally {
    await other.close();
  }
});

/** How its attempts end in a pool of its own, each from where the one before was stopped; and with how many rounds. */
async function endsAlone(artefact: Artefact, rounds: number): Promise<{ ends: string[]; rounds: number }> {
  const pool = await openPool("alone");
  const ends: string[] = [];
  try {
    let end = await attempt([pool], artefact, 0, null, "when it must", rounds);
    ends.push(end.kind);
    while (end.kind === "frozen") {
      end = await attempt([pool], artefact, 0, Uint8Array.from(end.bytes), "when it must", rounds);
      ends.push(end.kind);
    }
  } finally {
    await pool.close();
  }
  // On a fast machine it has ended before it has computed for long; on a busy one, before the pool is let look.
  return ends[0] === "frozen" ? { ends, rounds } : endsAlone(artefact, rounds * 2);
}

test.skipIf(findClang() === null)("F22: so is one in C++", { timeout: 300_000 }, async () => {
  await goesOnElsewhere(await uploadedGuest(CPP_SPINNER, "stub", { ...NO_REWRITING, preemptible: true, migratable: true }));
});

async function goesOnElsewhere(artefact: Artefact): Promise<void> {
  const unmoved = await run(artefact, 0);
  begunAgain = 0;
  const moved = await run(artefact, MOVES);
  expect(unmoved).toMatchObject({ moves: 0, kind: "returned" });
  expect(moved).toEqual({ ...unmoved, moves: expect.any(Number) });
  expect(moved.moves).toBeGreaterThan(0);
  expect(begunAgain).toBeGreaterThanOrEqual(moved.moves);
}

/** Asks the call to stop as soon as it has begun, so many times, each time to go on in the other pool. */
async function run(artefact: Artefact, movesMax: number): Promise<{ kind: string; output: string; moves: number }> {
  let moves = 0;
  let frozen: Uint8Array | null = null;
  for (;;) {
    const end = await attempt(pools, artefact, moves, frozen, moves < movesMax ? "at once" : "never");
    if (end.kind === "frozen") {
      moves += 1;
      frozen = Uint8Array.from(end.bytes);
    } else if (end.kind !== "displaced") {
      const output = end.kind === "returned" ? Buffer.from(end.output).toString() : end.message;
      return { kind: end.kind, output, moves };
    }
  }
}

function attempt(
  among: readonly SandboxPool[],
  artefact: Artefact,
  place: number,
  frozen: Uint8Array | null,
  freezes: "at once" | "when it must" | "never",
  rounds = ROUNDS,
): Promise<SandboxEnd> {
  return new Promise((resolve, reject) => {
    const call = among[place % among.length]?.start(
      {
        tenant: "demo" as LogBookId,
        artefact,
        input: Buffer.from(`${rounds}`),
        commandLine: new Uint8Array(0),
        depth: 0,
        sandboxesMax: 8_000,
        pins: { timeMs: 1_000, seed: new Uint8Array(32).fill(3) },
        limits: { wallTimeMs: 250_000, cpuTimeMs: 250_000, outputMaxBytes: 1 << 20, logMaxBytes: 1 << 16 },
        ...(frozen !== null && { frozen: { bytes: frozen } }),
        ...(freezes === "when it must" && { mayFreeze: true }),
      },
      {
        onOperation: () => reject(new Error("the guest asks nobody")),
        onLog: () => {},
        onEnd: resolve,
        onBegun: () => {
          begunAgain += 1;
        },
      },
    );
    if (freezes === "at once") {
      call?.freeze();
    }
  });
}
