/** In which of an object's two places a write goes: its stream of versions, its cell. */
import { NeapError } from "../errors.ts";
import { quote, type Tag } from "../ids.ts";
import { isObjectTag, objectKeyOf, objectTag } from "../tags.ts";
import type { BookState } from "./book-state.ts";
import type { NewRecord } from "./logbook.ts";
import { keepsVersions, scopeOf } from "./modes.ts";

/** Where a write of an object goes: to its stream of versions, its cell, or both. */
export type Place = "versions" | "cell" | "both";

/**
 * The records as they are journalled: those from outside of functions with the place of their object.
 * @throws PROTOCOL_MISMATCH  a write goes to one place while the newest write is in the other one
 */
export function placed(book: BookState, records: readonly NewRecord[]): readonly NewRecord[] {
  let changed: NewRecord[] | null = null;
  for (let i = 0; i < records.length; i++) {
    const record = records[i] as NewRecord;
    if (record.place !== undefined) {
      changed ??= [...records];
      changed[i] = withPlace(book, record, record.place);
    } else if (book.cells.size > 0 || record.cell !== undefined) {
      checkPlace(book, record);
    }
  }
  return changed ?? records;
}

export function mismatch(key: string, livesIn: "cell" | "versions"): NeapError {
  const other =
    livesIn === "cell"
      ? "a cell, and the function's protocol keeps versions"
      : "versions, and the function's protocol keeps a cell";
  return new NeapError(
    "PROTOCOL_MISMATCH",
    `object ${quote(key)} lives in ${other}; choose one protocol for scope ${quote(scopeOf(key))}`,
  );
}

function withPlace(book: BookState, { kind, tags, data, blobs }: NewRecord, key: string): NewRecord {
  const object = objectTag(key);
  const where = placeOf(book, key, object);
  return {
    kind,
    data,
    tags: where === "cell" ? tags : [...tags, object],
    ...(blobs !== undefined && { blobs }),
    ...(where !== "versions" && { cell: { key, version: null } }),
  };
}

function placeOf(book: BookState, key: string, object: Tag): Place {
  const scope = book.scopes.get(scopeOf(key));
  if (scope !== undefined && scope.to !== null) {
    return "both";
  }
  const { home } = book.newest(object);
  if (scope === undefined && (home === "versions" || home === "cell")) {
    return home;
  }
  return keepsVersions(scope?.mode ?? book.scopes.defaultMode) ? "versions" : "cell";
}

function checkPlace(book: BookState, { tags, cell }: NewRecord): void {
  for (const tag of tags) {
    if (isObjectTag(tag) && objectKeyOf(tag) !== cell?.key && book.newest(tag).home === "cell") {
      throw mismatch(objectKeyOf(tag), "cell");
    }
  }
  if (cell !== undefined) {
    const object = objectTag(cell.key);
    if (!tags.includes(object) && book.newest(object).home === "versions") {
      throw mismatch(cell.key, "versions");
    }
  }
}
