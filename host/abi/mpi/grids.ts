/** Grids of ranks: rank and place, the last dimension being the fastest. */
import type { Grid } from "./communicators.ts";

/** @returns null for a place beyond an edge that is not joined to the other one */
export function rankAt({ dims, periods }: Grid, place: readonly number[]): number | null {
  let rank = 0;
  for (const [at, dim] of dims.entries()) {
    const coordinate = place[at] ?? 0;
    const within = periods[at] === true ? ((coordinate % dim) + dim) % dim : coordinate;
    if (within < 0 || within >= dim) {
      return null;
    }
    rank = rank * dim + within;
  }
  return rank;
}

export function placeOf({ dims }: Grid, rank: number): number[] {
  const place: number[] = [];
  let rest = rank;
  for (const dim of dims.toReversed()) {
    place.unshift(rest % dim);
    rest = Math.floor(rest / dim);
  }
  return place;
}

/**
 * The dimensions that are 0 filled in so that all together have `count` places: the larger ones first, as near each other as possible.
 * @returns null when the others do not divide it
 */
export function filledDims(count: number, dims: readonly number[]): number[] | null {
  const rest = count / dims.filter((dim) => dim > 0).reduce((product, dim) => product * dim, 1);
  const free = dims.filter((dim) => dim === 0).length;
  if (!Number.isInteger(rest) || (free === 0 && rest !== 1)) {
    return null;
  }
  const found: number[] = [];
  let left = rest;
  for (let missing = free; missing > 0; missing -= 1) {
    let dim = Math.max(1, Math.round(left ** (1 / missing)));
    while (left % dim !== 0) {
      dim += 1;
    }
    found.push(dim);
    left /= dim;
  }
  found.sort((a, b) => b - a);
  return dims.map((dim) => (dim === 0 ? (found.shift() ?? 1) : dim));
}
