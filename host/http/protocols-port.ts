/** What the routes of protocols need of the layers below. */
import type { LogBookId } from "../../state/ids.ts";
import type { Mode, ScopeView } from "../../state/logbook/index.ts";

/** Which protocol holds for which objects of a tenant: every method resolves only when what it tells is durable (F8). */
export interface Protocols {
  /** The tenant's default, and the scopes that have a chosen protocol or were used since the owner began. */
  scopes(tenant: LogBookId): Promise<{ readonly defaultMode: Mode; readonly scopes: readonly ScopeView[] }>;
  /**
   * Begins to switch a scope; "automatic" leaves it in its mode and lets the host choose from now on.
   * @throws SWITCH_UNDER_WAY, BAD_KEY when no key can have such a scope
   */
  choose(tenant: LogBookId, scope: string, choice: Mode | "automatic"): Promise<ScopeView>;
  /** For scopes that nobody chooses a protocol for. */
  chooseDefault(tenant: LogBookId, mode: Mode): Promise<void>;
}
