/**
 * Memory for bodies that are read whole, and for outputs that no disk has: those of all exchanges that are not over have so much
 * together, and no more. A client that does not take its answer keeps it there.
 */
import type { ServerResponse } from "node:http";
import { NeapError } from "../../state/errors.ts";
import type { CallAnswer } from "../invocation/invocation.ts";

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

  /** Of the answer to a call of which nothing is stored: without room for it, nothing has happened. @throws OVERLOADED */
  holdOutput(answer: CallAnswer, response: ServerResponse): void {
    if (answer.kind === "completed" && answer.result.output instanceof Uint8Array) {
      this.forBodyOf(response)(answer.result.output.byteLength);
    }
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
        throw new NeapError("OVERLOADED", `bodies of other requests and answers have all of their ${this.#maxBytes} bytes`);
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
