/** Who waits for a notification at an address of one arena, first come first served. No thread is blocked by it (H23). */

export interface Waiter {
  /** Resolves when it was notified. */
  readonly notified: Promise<void>;
  /** Waits no more. False when it was notified, or has left, before. */
  leave(): boolean;
}

export class WaitQueue {
  readonly #waiting = new Map<number, Set<() => void>>();

  wait(address: number): Waiter {
    const { promise, resolve } = Promise.withResolvers<void>();
    const queue = this.#waiting.get(address) ?? new Set();
    this.#waiting.set(address, queue);
    queue.add(resolve);
    return { notified: promise, leave: () => this.#remove(address, queue, resolve) };
  }

  /** Wakes up to `count` of those who wait at the address. @returns how many */
  notify(address: number, count: number): number {
    const queue = this.#waiting.get(address);
    let woken = 0;
    for (const wake of queue ?? []) {
      if (woken >= count) {
        break;
      }
      woken += 1;
      this.#remove(address, queue, wake);
      wake();
    }
    return woken;
  }

  #remove(address: number, queue: Set<() => void> | undefined, wake: () => void): boolean {
    const waited = queue?.delete(wake) ?? false;
    if (queue?.size === 0 && this.#waiting.get(address) === queue) {
      this.#waiting.delete(address);
    }
    return waited;
  }
}
