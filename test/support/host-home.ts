/** A data folder of its own, and the hosts that are started on it one after the other. */
import { type HostOptions, type RunningHost, removeFolder, startHost, temporaryFolder } from "./host-process.ts";

export class HostHome {
  readonly folder = temporaryFolder("home");
  #host: RunningHost | undefined;

  /** The one before must have ended. */
  async start(options: Partial<HostOptions> = {}): Promise<RunningHost> {
    this.#host = await startHost({ dataDirectory: this.folder, ...options });
    return this.#host;
  }

  /** Kills what runs and removes the data. */
  async close(): Promise<void> {
    await this.#host?.kill();
    removeFolder(this.folder);
  }
}
