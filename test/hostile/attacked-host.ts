/** A started host in a folder of its own, and the bystander that calls it. */
import { buildFunctions } from "../../functions/build.ts";
import { Bystander } from "../support/bystander.ts";
import { type RunningHost, removeFolder, startHost, temporaryFolder } from "../support/host-process.ts";

export class AttackedHost {
  readonly host: RunningHost;
  readonly bystander: Bystander;
  readonly #folder: string;

  private constructor(host: RunningHost, bystander: Bystander, folder: string) {
    this.host = host;
    this.bystander = bystander;
    this.#folder = folder;
  }

  static async start(name: string, flags: readonly string[]): Promise<AttackedHost> {
    await buildFunctions({ force: false });
    const folder = temporaryFolder(name);
    const host = await startHost({ dataDirectory: folder, flags });
    return new AttackedHost(host, await Bystander.begin(host), folder);
  }

  /** @throws what was wrong with an answer to the bystander */
  async close(): Promise<void> {
    try {
      await this.bystander.end();
    } finally {
      await this.host.kill();
      removeFolder(this.#folder);
    }
  }
}
