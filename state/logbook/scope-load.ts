import { isObjectTag, objectKeyOf } from "../tags.ts";
import type { NewRecord } from "./logbook.ts";
import { scopeOf } from "./modes.ts";

/** Operations on a scope's objects since the owner has opened the journal. */
export interface Load {
  reads: number;
  writes: number;
}

/** Keys are the guests' choice: further scopes are not counted. */
const SCOPES_MAX = 1_000;

/** Counts reads and writes per scope of one LogBook. Not in the log: another opening begins at 0. */
export class ScopeLoad {
  readonly byScope = new Map<string, Load>();

  read(key: string): void {
    this.#load(key).reads++;
  }

  wrote({ tags, cell }: NewRecord): void {
    if (cell !== undefined) {
      this.#load(cell.key).writes++;
      return;
    }
    for (const tag of tags) {
      if (isObjectTag(tag)) {
        this.#load(objectKeyOf(tag)).writes++;
      }
    }
  }

  /** What was counted of a scope. */
  of(scope: string): Load {
    return this.byScope.get(scope) ?? { reads: 0, writes: 0 };
  }

  #load(key: string): Load {
    const scope = scopeOf(key);
    let load = this.byScope.get(scope);
    if (load === undefined) {
      load = { reads: 0, writes: 0 };
      if (this.byScope.size < SCOPES_MAX) {
        this.byScope.set(scope, load);
      }
    }
    return load;
  }
}
