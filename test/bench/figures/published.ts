/**
 * What the papers' authors measured, for comparison. Halfmoon: SOSP '23, results in the repository pkusys/Halfmoon-bench, commit 0c30271,
 * figures 13 and 14; only ratios within one run can be compared with another machine's.
 */

export const READ_RATIOS = [0.1, 0.3, 0.5, 0.7, 0.9] as const;

/** Figure 13, 256 B, median without the sleep, by requests per second: the better Halfmoon protocol ÷ Boki, by read ratio. */
export const BEST_TO_BOKI: Readonly<Record<number, readonly number[]>> = {
  100: [0.66, 0.7, 0.76, 0.81, 0.75],
  200: [0.75, 0.72, 0.87, 0.82, 0.78],
  300: [0.73, 0.76, 0.81, 0.87, 0.84],
  400: [0.73, 0.76, 0.86, 0.92, 0.81],
};

/** Of a run with the unsafe baseline (commit d3d40c8), 100 requests per second, median without the sleep, by read ratio. */
export const BOKI_TO_UNSAFE = [2.12, 2.12, 1.86, 1.68, 1.5] as const;
export const BEST_TO_UNSAFE = [1.53, 1.57, 1.48, 1.48, 1.22] as const;

/** Figure 14: time-averaged KB at 100 requests per second, by read ratio. */
export const STORAGE_KB = {
  256: {
    10: {
      boki: [3851, 4078, 4336, 4567, 4799],
      "halfmoon-write": [2789, 3141, 3492, 3844, 4194],
      "halfmoon-read": [4695, 4238, 3780, 3329, 2870],
    },
    60: {
      boki: [10449, 11801, 13336, 14710, 16088],
      "halfmoon-write": [4209, 6289, 8368, 10448, 12525],
      "halfmoon-read": [15413, 12729, 10044, 7375, 4699],
    },
  },
  1024: {
    10: {
      boki: [11855, 13085, 14317, 15533, 16762],
      "halfmoon-write": [10665, 11769, 12866, 13973, 15066],
      "halfmoon-read": [15755, 14493, 13280, 12073, 10848],
    },
    60: {
      boki: [20910, 28181, 35449, 42702, 49969],
      "halfmoon-write": [13929, 20445, 26956, 33473, 39982],
      "halfmoon-read": [43497, 36368, 29248, 22139, 15011],
    },
  },
} as const;
