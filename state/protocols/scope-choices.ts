/** The choice of protocols as an administrator makes it. */
import { invariant } from "../errors.ts";
import { type LogBookId, MAX_SEQNUM } from "../ids.ts";
import type { Mode, ScopeView, Shard, ShardSource } from "../logbook/index.ts";

/** Every method resolves only when what it tells is durable (F8), and throws OWNER_UNAVAILABLE or EPOCH_CHANGED without an owner. */
export class ScopeChoices {
  readonly #source: ShardSource;
  readonly #ownerTimeoutMs: number;

  /** @param ownerTimeoutMs  how long a request waits for an owner that is out of reach */
  constructor(source: ShardSource, ownerTimeoutMs: number) {
    this.#source = source;
    this.#ownerTimeoutMs = ownerTimeoutMs;
  }

  /** The tenant's default, and its scopes in the order of their names. */
  async scopes(tenant: LogBookId): Promise<{ readonly defaultMode: Mode; readonly scopes: readonly ScopeView[] }> {
    const shard = await this.#shard();
    const scopes = await shard.scopes(tenant);
    const { defaultMode } = await shard.book(tenant).modeAt("", MAX_SEQNUM);
    await shard.whenDurable(await shard.book(tenant).tail());
    return { defaultMode, scopes };
  }

  /**
   * Begins to switch a scope. "automatic" keeps its mode, or the tenant's default, and lets the host choose from now on.
   * @throws SWITCH_UNDER_WAY, BAD_KEY
   */
  async choose(tenant: LogBookId, scope: string, choice: Mode | "automatic"): Promise<ScopeView> {
    const shard = await this.#shard();
    const { mode, to, defaultMode } = await shard.book(tenant).modeAt(scope, MAX_SEQNUM);
    const wanted = choice === "automatic" ? (to ?? mode ?? defaultMode) : choice;
    await shard.switchMode(tenant, scope, wanted, choice === "automatic");
    const view = (await shard.scopes(tenant)).find((one) => one.scope === scope);
    invariant(view !== undefined, `scope ${scope} was chosen a mode for and is not there`);
    await shard.whenDurable(await shard.book(tenant).tail());
    return view;
  }

  /** For scopes that nobody chooses a mode for. */
  async chooseDefault(tenant: LogBookId, mode: Mode): Promise<void> {
    const shard = await this.#shard();
    await shard.whenDurable(await shard.chooseDefault(tenant, mode));
  }

  async #shard(): Promise<Shard> {
    return this.#source.current() ?? this.#source.available(this.#ownerTimeoutMs);
  }
}
