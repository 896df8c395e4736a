import type { LogBookId } from "../../state/ids.ts";

/** One thing after the other for each tenant, so that none takes all the places or memory there are. */
export class TenantTurns {
  readonly #last = new Map<LogBookId, Promise<unknown>>();

  /** Calls `run` when all of the tenant that came before is over. @throws what `run` throws */
  async run<T>(tenant: LogBookId, run: () => Promise<T>): Promise<T> {
    const before = this.#last.get(tenant);
    const turn = before === undefined ? run() : before.then(run, run);
    this.#last.set(tenant, turn);
    try {
      return await turn;
    } finally {
      if (this.#last.get(tenant) === turn) {
        this.#last.delete(tenant);
      }
    }
  }
}
