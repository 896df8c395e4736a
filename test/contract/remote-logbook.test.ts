import type { Shard } from "../../state/logbook/index.ts";
import { connectNode, startOwner } from "../support/cluster.ts";
import { openTestShard } from "../support/open-shard.ts";
import { describeLogBookContract } from "./logbook/contract.ts";

const TIMEOUT_MS = 10_000;

describeLogBookContract("a LogBook of another node", async () => {
  let owner = await startOwner(await openTestShard());
  const { connection } = connectNode(owner.url);
  return {
    shard: await connection.available(TIMEOUT_MS),
    restart: async (): Promise<Shard> => {
      const previous = owner;
      const session = connection.current();
      const next = await previous.test.crash();
      await previous.stop();
      await session?.ended;
      owner = await startOwner(next, { port: previous.server.port });
      return connection.available(TIMEOUT_MS);
    },
    collect: () => owner.test.shard.collect(),
    advance: (durationMs) => owner.test.time.advance(durationMs),
    stop: async () => {
      await connection.close();
      await owner.stop();
    },
  };
});
