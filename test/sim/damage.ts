/** A bit of what was acknowledged flips while the owner is down. The opening must refuse it, or nothing may be lost by it (F33). */
import type { MemoryDisk } from "../support/memory-disk.ts";
import type { Prng } from "../support/prng.ts";

/** A frame's header and padding are smaller. */
const AROUND_BYTES = 256;

export class Damage {
  readonly #name: string;
  readonly #offset: number;
  readonly #bit: number;

  private constructor(name: string, offset: number, bit: number) {
    this.#name = name;
    this.#offset = offset;
    this.#bit = bit;
  }

  /**
   * Flips a bit before the last frame on the disk: that one alone may be taken for torn.
   * @param newest  payloads of frames, newest first
   * @returns undefined when there is nothing before it
   */
  static do(disk: MemoryDisk, newest: Iterable<Buffer>, random: Prng): Damage | undefined {
    for (const payload of newest) {
      for (const name of disk.list().filter((one) => one.endsWith(".seg"))) {
        const end = disk.bytes(name).indexOf(payload) - AROUND_BYTES;
        if (end > 0) {
          const damage = new Damage(name, random.below(end), random.below(8));
          damage.#flip(disk);
          return damage;
        }
        if (end > -AROUND_BYTES) {
          return undefined;
        }
      }
    }
    return undefined;
  }

  /** As an operator does, from a copy. */
  undo(disk: MemoryDisk): void {
    this.#flip(disk);
  }

  toString(): string {
    return `bit ${this.#bit} of byte ${this.#offset} of ${this.#name}`;
  }

  #flip(disk: MemoryDisk): void {
    disk.flipBit(this.#name, this.#offset, this.#bit);
  }
}
