/** Names that are looked at in one go, and that are sorted in one go (H27). */
const SLICE_NAMES = 2_000;
export const PAGE_NAMES = 500;

/**
 * The first of the names after `after`, in their order, found in slices.
 * @param after  null for all
 * @param most  at most so many, and never more than PAGE_NAMES
 * @param pause  lets others have their turn
 */
export async function namesAfter(
  names: Iterable<string>,
  after: string | null,
  most: number,
  pause: () => Promise<void>,
): Promise<readonly string[]> {
  const wanted = Math.min(most, PAGE_NAMES);
  let found: string[] = [];
  let last: string | null = null;
  let left = SLICE_NAMES;
  for (const name of names) {
    if ((after === null || name > after) && (last === null || name < last)) {
      found.push(name);
      if (found.length >= 2 * PAGE_NAMES) {
        found = found.sort().slice(0, wanted);
        last = found.at(-1) ?? null;
      }
    }
    left -= 1;
    if (left === 0) {
      await pause();
      left = SLICE_NAMES;
    }
  }
  return found.sort().slice(0, wanted);
}
