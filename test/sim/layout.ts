/**
 * Which protocol holds where in a run: the tenant's default, what scopes are chosen for, and the functions' own.
 *
 * Functions meet on objects, so where nobody has chosen for a scope they agree on the place that its objects live in: versions, or cells.
 */
import { DEFAULT_MODE, keepsVersions, MODES, type Mode } from "../../state/logbook/modes.ts";
import type { Prng } from "../support/prng.ts";

export const FUNCTIONS = ["program", "other"] as const;
/** Of the objects in `steps.ts`. */
export const SCOPES = ["", "account", "guarded", "count"] as const;

const LOGGED = MODES.filter((mode) => mode !== "unsafe");

export interface Layout {
  /** Modes that objects may be in. */
  readonly modes: readonly Mode[];
  /** null where a function has none of its own. */
  readonly functions: Readonly<Record<string, Mode | null>>;
  readonly defaultMode: Mode | null;
  /** What is chosen before the first call. */
  readonly scopes: ReadonlyMap<string, Mode>;
  /** Those that are switched while calls go on. */
  readonly switched: readonly string[];
}

const pick = <T>(random: Prng, from: readonly T[]): T => from[random.below(from.length)] as T;

export function drawLayout(random: Prng): Layout {
  if (random.below(10) < 3) {
    return uniform(DEFAULT_MODE);
  }
  const modes = random.below(4) === 0 ? MODES : LOGGED;
  const inVersions = random.below(5) < 2;
  const own: readonly Mode[] = modes.filter((mode) => keepsVersions(mode) === inVersions);
  const defaultMode = random.below(2) === 0 ? null : pick(random, own);
  // A function without one has the default's, so that must be of the same kind.
  const mayHaveNone = keepsVersions(defaultMode ?? DEFAULT_MODE) === inVersions;
  const drawOwn = (): Mode | null => (mayHaveNone && random.below(2) === 0 ? null : pick(random, own));
  const functions = Object.fromEntries(FUNCTIONS.map((name) => [name, drawOwn()]));
  const isSwitching = random.below(2) === 0;
  const chosen = SCOPES.flatMap((scope) => (random.below(2) === 0 ? [] : ([[scope, pick(random, modes)]] as const)));
  const switched = isSwitching ? SCOPES.filter(() => random.below(2) === 0) : [];
  return { modes, functions, defaultMode, scopes: new Map(chosen), switched };
}

/** The same mode everywhere, and nothing is switched. */
export function uniform(mode: Mode): Layout {
  const functions = Object.fromEntries(FUNCTIONS.map((name) => [name, null]));
  return {
    modes: [mode],
    functions,
    defaultMode: mode === DEFAULT_MODE ? null : mode,
    scopes: new Map(),
    switched: [],
  };
}

/** No function, and nothing chosen. */
export const NO_LAYOUT: Layout = { modes: [], functions: {}, defaultMode: null, scopes: new Map(), switched: [] };
