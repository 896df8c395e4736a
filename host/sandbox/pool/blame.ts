/**
 * Whose doing it is that a worker was lost. Where that shows, its call ends. Where somebody else may have ended it, all its calls have
 * the benefit of the doubt, and run again, their functions one call at a time for a while; after DOUBTS times in a minute one is to blame,
 * so that no guest is displaced for ever.
 */
import type { CarrierEnd } from "../frames/carrier.ts";
import type { Attempt } from "./attempt.ts";
import type { SuspectList } from "./suspect-list.ts";

/** So many lost workers in a minute may be somebody else's doing. */
const DOUBTS = 3;

export class Blame {
  readonly suspects: SuspectList;
  /** Of these ends somebody has been found to blame: one for each, however many workers have ended. */
  readonly #settled = new WeakSet<object>();

  constructor(suspects: SuspectList) {
    this.suspects = suspects;
  }

  /** Undefined when nobody is to blame yet. @param ran  the one that ran, as far as it is known */
  culprit(attempts: Iterable<Attempt>, ran: Attempt | undefined, end: CarrierEnd): Attempt | undefined {
    if (!end.isKilled && ran !== undefined) {
      return ran;
    }
    const death = end.death ?? end;
    const live = Array.from(attempts).filter(({ ended }) => !ended);
    const functions = new Set(live.map(({ module }) => module.artefact.hash));
    const isDoubtful = Array.from(functions).some((hash) => this.suspects.lossesBefore(hash, death) < DOUBTS);
    for (const hash of functions) {
      this.suspects.addLoss(hash, death);
    }
    if (isDoubtful || this.#settled.has(death)) {
      return undefined;
    }
    this.#settled.add(death);
    return ran ?? live.at(-1);
  }
}
