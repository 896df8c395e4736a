import type { LogBookId } from "../../state/ids.ts";

/** How many exchanges may be under way: of a tenant, and of all. Who waits is served in order; a tenant that has all its own is passed over. */
export class Slots {
  readonly #ofTenant: number;
  readonly #ofAll: number;
  readonly #taken = new Map<LogBookId, number>();
  readonly #waiting = new Map<() => void, LogBookId>();
  #all = 0;

  constructor(ofTenant: number, ofAll: number) {
    this.#ofTenant = ofTenant;
    this.#ofAll = ofAll;
  }

  /** Resolves when the tenant has one more; rejects with the signal's reason. */
  async take(tenant: LogBookId, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#isFree(tenant)) {
      this.#count(tenant, 1);
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const abort = () => {
      this.#waiting.delete(resolve);
      reject(signal.reason);
    };
    this.#waiting.set(resolve, tenant);
    signal.addEventListener("abort", abort, { once: true });
    await promise;
    signal.removeEventListener("abort", abort);
  }

  give(tenant: LogBookId): void {
    this.#count(tenant, -1);
    for (const [resolve, waiting] of this.#waiting) {
      if (this.#isFree(waiting)) {
        this.#waiting.delete(resolve);
        this.#count(waiting, 1);
        resolve();
        return;
      }
    }
  }

  #isFree(tenant: LogBookId): boolean {
    return this.#all < this.#ofAll && (this.#taken.get(tenant) ?? 0) < this.#ofTenant;
  }

  #count(tenant: LogBookId, change: 1 | -1): void {
    const taken = (this.#taken.get(tenant) ?? 0) + change;
    this.#all += change;
    if (taken === 0) {
      this.#taken.delete(tenant);
    } else {
      this.#taken.set(tenant, taken);
    }
  }
}
