import { OBJECT_TAG_PREFIX } from "../tags.ts";
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

  /** @param tagOrKey  an object's tag, or its key from `from` on */
  read(tagOrKey: string, from: number): void {
    this.#load(tagOrKey, from).reads++;
  }

  wrote({ tags, cell }: NewRecord): void {
    if (cell !== undefined) {
      this.#load(cell.key, 0).writes++;
      return;
    }
    for (const tag of tags) {
      if (tag.charCodeAt(0) === 111 && tag.charCodeAt(1) === 47) {
        this.#load(tag, OBJECT_TAG_PREFIX.length).writes++;
      }
    }
  }

  /** What was counted of a scope. */
  of(scope: string): Load {
    return this.byScope.get(scope) ?? { reads: 0, writes: 0 };
  }

  #load(text: string, from: number): Load {
    const scope = scopeOf(from === 0 ? text : text.slice(from));
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
