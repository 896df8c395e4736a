import { type InstanceId, NO_SEQNUM, type SeqNum } from "../ids.ts";

/**
 * The moments that transactions read at: a fold over the steps that begin and end them. One whose end left no record, as it wrote
 * nothing, counts as open until its instance begins another one, waits for long, or ends.
 */
export class Snapshots {
  readonly byInstance = new Map<InstanceId, SeqNum>();
  /** Ascending. */
  readonly #moments: SeqNum[] = [];

  /** @param at  of the begin step: above all there are */
  begin(instance: InstanceId, at: SeqNum): void {
    this.end(instance);
    this.byInstance.set(instance, at);
    this.#moments.push(at);
  }

  end(instance: InstanceId): void {
    const at = this.byInstance.get(instance);
    if (at !== undefined) {
      this.byInstance.delete(instance);
      this.#moments.splice(this.#firstFrom(at), 1);
    }
  }

  isOpen(at: SeqNum): boolean {
    return this.#moments[this.#firstFrom(at)] === at;
  }

  /** Whether somebody reads at `from` or later, and before `to`. */
  hasBetween(from: SeqNum, to: SeqNum): boolean {
    const last = this.#moments.at(-1) ?? NO_SEQNUM;
    return last >= from && last > NO_SEQNUM && (this.#moments[this.#firstFrom(from)] ?? to) < to;
  }

  #firstFrom(at: SeqNum): number {
    let low = 0;
    let high = this.#moments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#moments[middle] ?? at) < at) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
}
