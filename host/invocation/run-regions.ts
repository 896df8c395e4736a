/**
 * The memory regions that the attempts of one run have opened: they stay until it is over, so that each attempt finds what the one
 * before has left. What the host knows of another run's is nothing.
 */
import type { LogBookId } from "../../state/ids.ts";
import type { RegionSession, Regions } from "../../state/regions/index.ts";

export class RunRegions {
  readonly #sessions: RegionSession[] = [];
  #areGone = false;

  /** Whether an attempt could reach regions. */
  get used(): boolean {
    return this.#areGone || this.#sessions.length > 0;
  }

  /**
   * For an attempt that begins now: its pool must say when its guest is gone. Null when what the attempts before have left is gone:
   * `letGo` comes first then.
   * @throws REGIONS_FULL, OVERLOADED
   */
  session(regions: Regions, tenant: LogBookId): RegionSession | null {
    const session = regions.session(tenant);
    if (this.#sessions.some(({ isCurrent }) => !isCurrent)) {
      session.guestGone();
      session.close();
      return null;
    }
    this.#sessions.push(session);
    return session;
  }

  /** Whether what attempts of this run have left is gone, with the process that held it; it is known then. */
  letGo(): boolean {
    const gone = this.#sessions.filter(({ isCurrent }) => !isCurrent);
    for (const session of gone) {
      session.close();
      this.#sessions.splice(this.#sessions.indexOf(session), 1);
    }
    this.#areGone ||= gone.length > 0;
    return gone.length > 0;
  }

  /** The run is over. */
  close(): void {
    for (const session of this.#sessions) {
      session.close();
    }
  }
}
