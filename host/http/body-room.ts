/**
 * Memory for bodies that are read whole, and for outputs that no disk has: those of all exchanges that are not over have so much
 * together, and no more. A client that does not take its answer keeps it there.
 *
 * What an exchange holds counts for a party: the address of its client, or its tenant from when that is known. None may have more than
 * is still free (dynamic thresholds: Choudhury and Hahne, 1998): the first has at most half of the room, the next at least half of the rest.
 */
import type { ServerResponse } from "node:http";
import { NeapError } from "../../state/errors.ts";
import type { LogBookId } from "../../state/ids.ts";
import type { CallAnswer } from "../invocation/invocation.ts";

/** Of each body this much does not count: connections bound it. */
const FREE_BYTES = 64 * 1024;

/** What one exchange has. */
interface Holding {
  /** No tenant's name has a blank, as those of addresses have. */
  party: string;
  sizeBytes: number;
}

export class BodyRoom {
  readonly #maxBytes: number;
  #usedBytes = 0;
  /** Only of those that have some. */
  readonly #partyBytes = new Map<string, number>();
  readonly #holdings = new WeakMap<ServerResponse, Holding>();

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** What the exchange holds, and will hold, counts for the tenant from now on. @throws OVERLOADED */
  giveTo(tenant: LogBookId, response: ServerResponse): void {
    const holding = this.#of(response);
    const { sizeBytes } = holding;
    this.#add(holding, -sizeBytes);
    holding.party = tenant;
    this.#grow(holding, sizeBytes);
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
    const holding = this.#of(response);
    let heldBytes = 0;
    return (sizeBytes) => {
      if (sizeBytes > FREE_BYTES && !response.closed) {
        this.#grow(holding, sizeBytes - heldBytes);
        heldBytes = sizeBytes;
      }
    };
  }

  #of(response: ServerResponse): Holding {
    const known = this.#holdings.get(response);
    if (known !== undefined) {
      return known;
    }
    const holding = { party: `address ${response.req.socket.remoteAddress}`, sizeBytes: 0 };
    this.#holdings.set(response, holding);
    response.once("close", () => this.#add(holding, -holding.sizeBytes));
    return holding;
  }

  #grow(holding: Holding, moreBytes: number): void {
    const { party } = holding;
    const partyBytes = (this.#partyBytes.get(party) ?? 0) + moreBytes;
    const freeBytes = this.#maxBytes - this.#usedBytes - moreBytes;
    if (moreBytes > 0 && partyBytes > freeBytes) {
      const text = `bodies of requests and answers of ${party} would have ${partyBytes} bytes, more than the ${Math.max(0, freeBytes)} that would be left for others`;
      throw new NeapError("OVERLOADED", text);
    }
    this.#add(holding, moreBytes);
  }

  #add(holding: Holding, moreBytes: number): void {
    const { party } = holding;
    holding.sizeBytes += moreBytes;
    this.#usedBytes += moreBytes;
    const partyBytes = (this.#partyBytes.get(party) ?? 0) + moreBytes;
    if (partyBytes === 0) {
      this.#partyBytes.delete(party);
    } else {
      this.#partyBytes.set(party, partyBytes);
    }
  }
}
