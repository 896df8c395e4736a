import type { Peer } from "./peer.ts";

/**
 * Makes large answers one after the other, each when the earlier ones have been sent but for a few MiB: however much a node asks
 * for at once, only that much is in memory.
 */
export class Lane {
  readonly #peer: Peer;
  #last: Promise<unknown> = Promise.resolve();

  constructor(peer: Peer) {
    this.#peer = peer;
  }

  run<T>(make: () => Promise<T>): Promise<T> {
    const made = this.#last.then(() => this.#peer.room()).then(make);
    this.#last = made.then(
      () => {},
      () => {},
    );
    return made;
  }
}
