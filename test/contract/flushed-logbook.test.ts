import type { LogBook, Shard } from "../../state/logbook/index.ts";
import { FlushedLogBook } from "../../state/protocols/index.ts";
import { openTestShard } from "../support/open-shard.ts";
import { describeLogBookContract } from "./logbook/contract.ts";

/** The shard, its LogBooks without run-ahead. */
function flushing(shard: Shard): Shard {
  return new Proxy(shard, {
    get(_, name) {
      const value: unknown = Reflect.get(shard, name, shard);
      if (typeof value !== "function") {
        return value;
      }
      return (...args: unknown[]): unknown => {
        const answer: unknown = value.apply(shard, args);
        return name === "book" ? new FlushedLogBook(answer as LogBook, shard) : answer;
      };
    },
  });
}

describeLogBookContract("a LogBook without run-ahead", async () => {
  let current = await openTestShard();
  return {
    shard: flushing(current.shard),
    restart: async (): Promise<Shard> => {
      const next = await current.crash();
      await current.shard.close();
      current = next;
      return flushing(next.shard);
    },
    collect: () => current.shard.collect(),
    advance: (durationMs) => current.time.advance(durationMs),
    stop: () => current.shard.close(),
  };
});
