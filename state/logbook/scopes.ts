/**
 * The scopes that somebody has chosen a mode for: a fold over mode and migrated records, and over all writes of their objects.
 *
 * M1. Between BEGIN and END the scope's objects may change in their streams, in their cells, or in both. `unsettled` holds every
 *     object whose two places may differ, so that bringing them together costs what was written, not what is there.
 */
import { NO_SEQNUM, type SeqNum } from "../ids.ts";
import { DEFAULT_MODE, type Mode, type ModeRecord, scopeOf } from "./modes.ts";

export class Scope {
  /** Null until the first switch has ended. */
  mode: Mode | null = null;
  /** While it is being switched. */
  to: Mode | null = null;
  automatic = false;
  /** Of the last BEGIN; 0 when it has ended. */
  begin: SeqNum = NO_SEQNUM;
  /** The last record's time. */
  changedMs = 0;
  /** Objects written since the first BEGIN in one of their places only, and not brought together since. */
  readonly unsettled = new Set<string>();
  /** During the first switch: objects up to this name were looked at; null when all were. */
  walkedTo: string | null = null;
}

export class Scopes {
  readonly byName = new Map<string, Scope>();
  /** For scopes that nobody has chosen a mode for. */
  defaultMode: Mode = DEFAULT_MODE;

  get(name: string): Scope | undefined {
    return this.byName.get(name);
  }

  /** @returns the position below which nothing of the scope may begin any more, when the record ends a switch */
  apply(name: string, { mode, to, automatic }: ModeRecord, seqnum: SeqNum, timeMs: number): SeqNum {
    let scope = this.byName.get(name);
    if (scope === undefined) {
      scope = new Scope();
      scope.walkedTo = "";
      this.byName.set(name, scope);
    }
    let floor = NO_SEQNUM;
    if (to !== null && scope.to === null) {
      scope.begin = seqnum;
    } else if (to === null && scope.to !== null) {
      floor = scope.begin;
      scope.begin = NO_SEQNUM;
    }
    scope.mode = mode;
    scope.to = to;
    scope.automatic = automatic;
    scope.changedMs = timeMs;
    return floor;
  }

  /** The object was written in one of its places only. */
  unsettle(key: string): void {
    if (this.byName.size > 0) {
      this.byName.get(scopeOf(key))?.unsettled.add(key);
    }
  }

  /** The object is the same in both places. */
  settle(key: string): void {
    if (this.byName.size > 0) {
      this.byName.get(scopeOf(key))?.unsettled.delete(key);
    }
  }
}
