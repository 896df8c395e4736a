/**
 * Functions that have lately run too long in one go, or were in a worker that was lost: their calls run one at a time (H7).
 */
import type { Clock } from "../../../state/ports.ts";

const SUSPECT_FOR_MS = 60_000;

interface Suspicion {
  /** Monotonic ms. */
  readonly untilMs: number;
  /** Workers in which it was when somebody ended them. */
  readonly losses: number;
  /** The last of these. */
  readonly death: object | undefined;
}

export class SuspectList {
  readonly #clock: Clock;
  /** The one that ends first is the first. */
  readonly #suspicions = new Map<string, Suspicion>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(hash: string): void {
    const { losses = 0, death } = this.#current(hash) ?? {};
    this.#renew(hash, losses, death);
  }

  /** It was in a worker that was lost, and nobody knows by whose doing. @param death  several workers may be lost by one */
  addLoss(hash: string, death: object): void {
    this.#renew(hash, this.lossesBefore(hash, death) + 1, death);
  }

  has(hash: string): boolean {
    return this.#current(hash) !== undefined;
  }

  /** Lately, that one not counted. */
  lossesBefore(hash: string, death: object): number {
    const { losses = 0, death: last } = this.#current(hash) ?? {};
    return last === death ? losses - 1 : losses;
  }

  #current(hash: string): Suspicion | undefined {
    const suspicion = this.#suspicions.get(hash);
    return suspicion !== undefined && suspicion.untilMs > this.#clock.monotonic() ? suspicion : undefined;
  }

  #renew(hash: string, losses: number, death: object | undefined): void {
    const now = this.#clock.monotonic();
    for (const [known, { untilMs }] of this.#suspicions) {
      if (untilMs > now) {
        break;
      }
      this.#suspicions.delete(known);
    }
    this.#suspicions.delete(hash);
    this.#suspicions.set(hash, { untilMs: now + SUSPECT_FOR_MS, losses, death });
  }
}
