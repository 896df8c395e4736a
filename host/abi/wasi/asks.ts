/**
 * How imports that are written as if all files were at hand get at what the main thread has: one that lacks something throws
 * Unanswered; the guest is suspended, the question is asked, and the import runs again from its beginning, with the answer.
 *
 * Q1. An import asks everything before it changes anything here. What its questions themselves do, they do once: an answer is kept
 *     until the import has ended.
 * Q2. Every import begins without answers, so that one which is entered again at another node asks the same first (F22).
 */
import type { Guest, GuestImport } from "../../sandbox/guest.ts";
import { WasiError } from "./errno.ts";

type Answer = { readonly value: unknown } | { readonly refusal: WasiError };

/** Thrown through an import. */
class Unanswered {
  readonly question: string;
  readonly find: () => Promise<unknown>;

  constructor(question: string, find: () => Promise<unknown>) {
    this.question = question;
    this.find = find;
  }
}

export class Asks {
  readonly #guest: Guest;
  readonly #answers = new Map<string, Answer>();

  constructor(guest: Guest) {
    this.#guest = guest;
  }

  /** @param find  asked at most once per import and `question` @throws WasiError that `find` has rejected with */
  ask<T>(question: string, find: () => Promise<T>): T {
    const answer = this.#answers.get(question);
    if (answer === undefined) {
      throw new Unanswered(question, find);
    }
    if ("refusal" in answer) {
      throw answer.refusal;
    }
    return answer.value as T;
  }

  /** The import that waits for what it asks. */
  waiting(run: (...args: never[]) => unknown): GuestImport["run"] {
    const answering = (...args: never[]): unknown => {
      const { clockCount } = this.#guest.call;
      try {
        return run(...args);
      } catch (error) {
        if (error instanceof Unanswered) {
          return this.#again(error, () => run(...args), clockCount);
        }
        throw error;
      }
    };
    // What an import takes is compared with the table of imports.
    return Object.defineProperty(answering, "length", { value: run.length });
  }

  async #again(first: Unanswered, run: () => unknown, clockCount: number): Promise<unknown> {
    try {
      for (let unanswered = first; ; ) {
        this.#answers.set(unanswered.question, await answerOf(unanswered));
        this.#guest.call.clockCount = clockCount;
        try {
          return run();
        } catch (error) {
          if (!(error instanceof Unanswered)) {
            throw error;
          }
          unanswered = error;
        }
      }
    } finally {
      this.#answers.clear();
    }
  }
}

async function answerOf({ find }: Unanswered): Promise<Answer> {
  try {
    return { value: await find() };
  } catch (error) {
    if (error instanceof WasiError) {
      return { refusal: error };
    }
    throw error;
  }
}
