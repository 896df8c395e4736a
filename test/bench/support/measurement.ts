/** One measurement of something that is done over and over, and how several are taken fairly. */

export interface Measurement {
  readonly count: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/**
 * Takes every measurement once per round, all of them in each round: what disturbs the machine for a while disturbs all alike.
 *
 * @returns for each measurement the medians over its rounds, and the sum of its counts
 */
export async function alternate(
  rounds: number,
  measurements: readonly (() => Measurement | Promise<Measurement>)[],
): Promise<readonly Measurement[]> {
  const taken = measurements.map((): Measurement[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, measure] of measurements.entries()) {
      taken[index]?.push(await measure());
    }
  }
  return taken.map((all) => ({
    count: all.reduce((sum, { count }) => sum + count, 0),
    perSecond: median(all.map(({ perSecond }) => perSecond)),
    p50Ms: median(all.map(({ p50Ms }) => p50Ms)),
    p99Ms: median(all.map(({ p99Ms }) => p99Ms)),
  }));
}

/** @param latenciesMs  sorted in place */
export function summarize(latenciesMs: number[], elapsedMs: number): Measurement {
  latenciesMs.sort((a, b) => a - b);
  return {
    count: latenciesMs.length,
    perSecond: (latenciesMs.length * 1000) / elapsedMs,
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
  };
}

export function median(values: readonly number[]): number {
  return quantile(
    [...values].sort((a, b) => a - b),
    0.5,
  );
}

/** @throws when there is nothing to take a quantile of */
function quantile(sorted: readonly number[], share: number): number {
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  if (value === undefined) {
    throw new Error("nothing was measured");
  }
  return value;
}

/** Item `index` of what a fixed number of measurements gave. @throws when there is none */
export function nth<T>(values: readonly T[], index: number): T {
  const value = values[index];
  if (value === undefined) {
    throw new Error(`there is no measurement ${index}, only ${values.length}`);
  }
  return value;
}

/** "1 client", "64 clients": so many connections, each of which waits for its answer before it asks again. */
export function clients(connections: number): string {
  return connections === 1 ? "1 client" : `${connections} clients`;
}
