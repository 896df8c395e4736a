/** What a call's folder shows of the shared folder that it lies over, and where its lists go on. */
import { type ListedFile, positionOf } from "../file-messages.ts";
import { fail } from "./errno.ts";
import type { FolderEntry } from "./file-system.ts";
import type { MemoryFolder } from "./memory-folder.ts";
import { inoOf, type SharedFiles } from "./shared-files.ts";
import { FileType } from "./types.ts";

/** Entries of shared folders go on from here; those of the call's own are counted below it. */
const FIRST = 2 ** 32;
/** Entries that a list can go on behind. */
const KEPT_MAX = 128;
const NAME_MAX_BYTES = 255;

interface Kept {
  readonly position: string;
  /** Own names up to here were listed before. */
  readonly listedAt: number;
}

/** The entries of a shared folder behind `after`, asked for piece by piece, without names that no path can hold. */
export function* sharedEntries(shared: SharedFiles, folder: string, after: string): Iterable<ListedFile> {
  for (let position = after; ; ) {
    const page = shared.list(folder, position);
    for (const entry of page) {
      position = positionOf(entry);
      const { name } = entry;
      if (name !== "" && name !== "." && name !== ".." && Buffer.byteLength(name) <= NAME_MAX_BYTES) {
        yield entry;
      }
    }
    if (page.length === 0) {
      return;
    }
  }
}

/** The numbers of entries by which lists of shared folders go on. */
export class FolderListing {
  #last = FIRST;
  #kept = new Map<number, Kept>();

  get last(): number {
    return this.#last;
  }

  get kept(): ReadonlyMap<number, Kept> {
    return this.#kept;
  }

  restore(last: number, kept: Map<number, Kept>): void {
    this.#last = last;
    this.#kept = kept;
  }

  /** @param own  those of the call's own behind `after` @throws WasiError inval for a number that was not given lately */
  *entries(folder: MemoryFolder, own: Iterable<FolderEntry>, after: number): Iterable<FolderEntry> {
    if (after < FIRST) {
      yield* own;
    }
    yield* this.shared(folder.scratch.shared, folder.lower ?? "", after, folder.lastAt, ({ name }, listedAt) => {
      const entry = folder.names.get(name);
      return folder.gone.has(name) || (entry !== undefined && entry.node.place === null && entry.at <= listedAt);
    });
  }

  isEmpty({ scratch, lower, gone }: MemoryFolder): boolean {
    for (const { name } of sharedEntries(scratch.shared, lower ?? "", "")) {
      if (!gone.has(name)) {
        return false;
      }
    }
    return true;
  }

  /** @param isHidden  whether an entry is not to be seen @throws WasiError inval */
  *shared(
    files: SharedFiles,
    folder: string,
    after: number,
    lastAt: number,
    isHidden: (entry: ListedFile, listedAt: number) => boolean,
  ): Iterable<FolderEntry> {
    const from = after < FIRST ? { position: "", listedAt: lastAt } : (this.#kept.get(after) ?? fail("inval"));
    const given: Kept[] = [];
    try {
      for (const entry of sharedEntries(files, folder, from.position)) {
        if (!isHidden(entry, from.listedAt)) {
          given.push({ position: positionOf(entry), listedAt: from.listedAt });
          const type = entry.isFolder ? FileType.folder : FileType.file;
          const ino = BigInt(inoOf(`${folder}${entry.name}`));
          yield { name: entry.name, ino, type, next: this.#last + given.length };
        }
      }
    } catch (error) {
      // The import runs again, and gives the same numbers.
      given.length = 0;
      throw error;
    } finally {
      this.#keep(given);
    }
  }

  #keep(given: readonly Kept[]): void {
    for (const kept of given) {
      this.#last += 1;
      this.#kept.set(this.#last, kept);
    }
    for (const number of this.#kept.keys()) {
      if (this.#kept.size <= KEPT_MAX) {
        break;
      }
      this.#kept.delete(number);
    }
  }
}
