/** A small seeded generator for tests (mulberry32), so that a failing run can be repeated. */
export interface Prng {
  /** 0 ≤ value < limit, whole. */
  below(limit: number): number;
}

export function prng(seed: number): Prng {
  let state = seed >>> 0;
  return {
    below(limit) {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit);
    },
  };
}
