/** Calls that are stopped in the middle and go on elsewhere end as if nothing had been (F22). */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findClang } from "../../functions/clang.ts";
import type { Artefact } from "../../host/modules/index.ts";
import type { SandboxPool } from "../../host/sandbox/index.ts";
import { firstSeed } from "../sim/seeds.ts";
import { prng } from "../support/prng.ts";
import { travel } from "./journey.ts";
import { openPool, RUNTIMES, uploadedGuest } from "./migratable.ts";

const WANDERER = fileURLToPath(new URL("assembly/wanderer.ts", import.meta.url));
const C_WANDERER = fileURLToPath(new URL("src/wanderer.c", import.meta.url));
/** With each runtime. The thousand: MIGRATION_MOVES=350, a minute or so. */
const MOVES = Number(process.env.MIGRATION_MOVES ?? 30);
const FIRST_SEED = firstSeed();

describe("F22: a call that is stopped at random places and goes on in another pool", () => {
  let pools: readonly SandboxPool[] = [];
  beforeAll(async () => {
    pools = await Promise.all([openPool("here"), openPool("there")]);
  });
  afterAll(() => Promise.all(pools.map((pool) => pool.close())));

  it.each(RUNTIMES)("ends like one that was never moved, with the runtime %s", { timeout: 600_000 }, async (runtime) => {
    await endsAsUnmoved(await uploadedGuest(WANDERER, runtime), `runtime ${runtime}`);
  });

  it.skipIf(findClang() === null)("ends like one that was never moved, in C", { timeout: 600_000 }, async () => {
    await endsAsUnmoved(await uploadedGuest(C_WANDERER), "C");
  });

  async function endsAsUnmoved(artefact: Artefact, what: string): Promise<void> {
    const places = { answered: 0, askedAgain: 0, withResult: 0 };
    let moves = 0;
    const isShown = () => Math.min(places.answered, places.askedAgain) > 0;
    // Some seeds have few of the one sort or the other.
    for (let seed = FIRST_SEED; moves < MOVES || (!isShown() && moves < 20 * MOVES); seed++) {
      const input = String(seed % 1000);
      const { moves: none, ...unmoved } = await travel(pools, artefact, input, () => null);
      const { moves: some, ...moved } = await travel(pools, artefact, input, () => prng(seed));
      expect(none).toBe(0);
      expect(moved.end, `seed ${seed}, ${some} moves`).toEqual({ ...unmoved.end, cpuMs: expect.any(Number) });
      expect([moved.logs, moved.done], `seed ${seed}`).toEqual([unmoved.logs, unmoved.done]);
      moves += some;
      places.answered += moved.places.answered;
      places.askedAgain += moved.places.askedAgain;
      places.withResult += moved.places.withResult;
    }
    console.log(`${moves} moves with ${what} from seed ${FIRST_SEED}`, places);
    expect(isShown()).toBe(true);
  }
});
