/** Memory for bodies that are read whole: those of all requests that have no answer yet have so much together, and no more. */
import type { ServerResponse } from "node:http";
import { NeapError } from "../../state/errors.ts";

/** Of each body this much does not count: connections bound it. */
const FREE_BYTES = 64 * 1024;

export class BodyRoom {
  readonly #maxBytes: number;
  #usedBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /**
   * For the body of one request, whose sizes are to be told: it has its room until the exchange is over, as its call may keep it so long.
   * @throws OVERLOADED  from what is returned
   */
  forBodyOf(response: ServerResponse): (sizeBytes: number) => void {
    let heldBytes = 0;
    return (sizeBytes) => {
      if (sizeBytes <= FREE_BYTES) {
        return;
      }
      if (this.#usedBytes + sizeBytes - heldBytes > this.#maxBytes) {
        throw new NeapError(
          "OVERLOADED",
          `the bodies of requests that have no answer yet have all of their ${this.#maxBytes} bytes`,
        );
      }
      if (heldBytes === 0) {
        response.once("close", () => {
          this.#usedBytes -= heldBytes;
        });
      }
      this.#usedBytes += sizeBytes - heldBytes;
      heldBytes = sizeBytes;
    };
  }
}
