/** Another system that fails often: what its callers shall have done there once each, however often they had to ask. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Prng } from "../support/prng.ts";

export class SideEffects {
  readonly #server: Server;
  readonly #random: Prng;
  /** By the key of the request that did it. */
  readonly #done = new Map<string, number>();
  /** Requests that failed. */
  failed = 0;

  private constructor(random: Prng) {
    this.#random = random;
    this.#server = createServer((request, response) => {
      const key = String(request.headers["idempotency-key"]);
      if (!this.#done.has(key) && this.#random.below(2) === 0) {
        this.failed += 1;
        if (this.#random.below(2) === 0) {
          request.socket.destroy();
        } else {
          response.writeHead(500).end();
        }
        return;
      }
      this.#done.set(key, Number(request.url?.slice(1)));
      response.end();
    });
  }

  static async open(random: Prng): Promise<SideEffects> {
    const effects = new SideEffects(random);
    await new Promise<void>((resolve) => effects.#server.listen(0, "127.0.0.1", resolve));
    effects.#server.unref();
    return effects;
  }

  /** Host and port. */
  get place(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** How often each was done. */
  get sums(): Map<number, number> {
    const sums = new Map<number, number>();
    for (const effect of this.#done.values()) {
      sums.set(effect, (sums.get(effect) ?? 0) + 1);
    }
    return sums;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
