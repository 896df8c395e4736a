/**
 * Which tenants' guests run in processes of their own.
 *
 * Owns: who is known to be a tenant here. With `auto` one tenant alone runs in threads of this process; from the second one on all run in
 * processes (H24), for good: a tenant is not forgotten before the next start.
 */

export type IsolationChoice = "auto" | "threads" | "process";

export class TenantIsolation {
  readonly #choiceOf: (tenant: string) => IsolationChoice;
  readonly #tenants = new Set<string>();

  constructor(choiceOf: (tenant: string) => IsolationChoice) {
    this.#choiceOf = choiceOf;
  }

  /** Tenants that have functions or calls here. */
  get tenants(): number {
    return this.#tenants.size;
  }

  note(tenant: string): void {
    this.#tenants.add(tenant);
  }

  isIsolated(tenant: string): boolean {
    const choice = this.#choiceOf(tenant);
    return choice === "auto" ? this.#tenants.size > 1 : choice === "process";
  }
}
