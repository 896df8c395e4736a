/**
 * The memory regions that the attempts of one run have opened: they stay until it is over, so that each attempt finds what the one
 * before has left. What the host knows of another run's is nothing.
 */
import type { LogBookId } from "../../state/ids.ts";
import type { RegionSession, Regions } from "../../state/regions/index.ts";

export class RunRegions {
  readonly #sessions: RegionSession[] = [];

  /** Whether an attempt could reach regions. */
  get used(): boolean {
    return this.#sessions.length > 0;
  }

  /** For an attempt that begins now: its pool must say when its guest is gone. @throws REGIONS_FULL */
  session(regions: Regions<WebAssembly.Memory>, tenant: LogBookId): RegionSession<WebAssembly.Memory> {
    const session = regions.session(tenant);
    this.#sessions.push(session);
    return session;
  }

  /** The run is over. */
  close(): void {
    for (const session of this.#sessions) {
      session.close();
    }
  }
}
