import type { BlobName, SeqNum } from "../ids.ts";
import type { BlobRefLike } from "./logbook.ts";

/** Which blobs are named by records that are not collected. */
export class LiveBlobs {
  readonly #namesOf = new Map<SeqNum, readonly BlobName[]>();
  readonly #records = new Map<BlobName, number>();
  #dead: BlobName[] = [];

  add(seqnum: SeqNum, blobs: readonly BlobRefLike[]): void {
    this.addNames(
      seqnum,
      blobs.map((blob) => blob.name),
    );
  }

  addNames(seqnum: SeqNum, names: readonly BlobName[]): void {
    this.#namesOf.set(seqnum, names);
    for (const name of names) {
      this.#records.set(name, (this.#records.get(name) ?? 0) + 1);
    }
  }

  /** The record is collected. */
  drop(seqnum: SeqNum): void {
    const names = this.#namesOf.get(seqnum);
    if (names === undefined) {
      return;
    }
    this.#namesOf.delete(seqnum);
    for (const name of names) {
      const left = (this.#records.get(name) ?? 0) - 1;
      if (left > 0) {
        this.#records.set(name, left);
      } else {
        this.#records.delete(name);
        this.#dead.push(name);
      }
    }
  }

  /** Calls `visit` for each record that names blobs. */
  visit(visit: (seqnum: SeqNum, names: readonly BlobName[]) => void): void {
    for (const [seqnum, names] of this.#namesOf) {
      visit(seqnum, names);
    }
  }

  has(name: BlobName): boolean {
    return this.#records.has(name);
  }

  /** Blobs whose last record was collected since the last call. They may be deleted once what collected it is durable (F4). */
  takeDead(): readonly BlobName[] {
    const dead = this.#dead.filter((name) => !this.#records.has(name));
    this.#dead = [];
    return dead;
  }
}
