import type { BookPart } from "./book-part.ts";
import { expiring, instances } from "./instances.ts";
import { locks } from "./locks.ts";
import { cells, scopes, snapshots, unlogged, unsettled } from "./objects.ts";
import { scalars } from "./scalars.ts";
import { guestTags, streams, trims, waitingTrims } from "./streams.ts";

export type { BookPart } from "./book-part.ts";

/** Parts hold what they need while an index is saved or loaded: made anew each time. In the order of their numbers. */
export function bookParts(): readonly BookPart[] {
  const ofObjects = [cells, scopes, unsettled, snapshots, unlogged];
  return [scalars, streams, instances(), expiring, trims, guestTags, waitingTrims, locks, ...ofObjects];
}
