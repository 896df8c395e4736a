/** The machine's network, as far as the broker asks it. */
import { Resolver } from "node:dns/promises";
import { networkInterfaces } from "node:os";

export interface Network {
  /** All addresses of a name, of both families; empty when it has none. May reject, and may take long. */
  resolve(name: string): Promise<readonly string[]>;
  /** The machine's own addresses. */
  ownAddresses(): readonly string[];
}

const NO_ADDRESS: ReadonlySet<string> = new Set(["ENOTFOUND", "ENODATA"]);

/**
 * Asks the servers that the system is set up with, and nothing else: /etc/hosts is not read. That is done without threads, so that a
 * slow server of names holds up nothing that has to do with files. Names below `localhost` are loopback without asking (RFC 6761).
 *
 * @param servers  ask these, "address:port", instead
 */
export function systemNetwork(servers: readonly string[] = []): Network {
  const resolver = new Resolver({ timeout: 2_000, tries: 2 });
  if (servers.length > 0) {
    resolver.setServers(servers);
  }
  const family = async (asked: Promise<string[]>): Promise<string[]> => {
    try {
      return await asked;
    } catch (error) {
      if (NO_ADDRESS.has(String((error as { code?: unknown }).code))) {
        return [];
      }
      throw error;
    }
  };
  return {
    async resolve(name) {
      if (name === "localhost" || name.endsWith(".localhost")) {
        return ["127.0.0.1", "::1"];
      }
      const found = await Promise.allSettled([family(resolver.resolve4(name)), family(resolver.resolve6(name))]);
      const addresses = found.flatMap((one) => (one.status === "fulfilled" ? one.value : []));
      const [failed] = found.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
      if (addresses.length === 0 && failed !== undefined) {
        throw failed;
      }
      return addresses;
    },
    ownAddresses: () => Object.values(networkInterfaces()).flatMap((some) => (some ?? []).map(({ address }) => address)),
  };
}
