/** Another system: it answers every request differently, or not at all, and keeps what has arrived. */
import type { Egress } from "../../host/egress/index.ts";
import { NeapError } from "../../state/errors.ts";
import { RecordKind } from "../../state/logbook/index.ts";
import type { FinalLog } from "./final-log.ts";
import type { SimProcess } from "./process.ts";
import { Broken } from "./verdict.ts";

interface Arrival {
  readonly key: string;
  readonly url: string;
}

export class Outside {
  readonly arrivals: Arrival[] = [];

  /** As a process reaches it. @param isCalm  it always answers */
  egress(process: SimProcess, isCalm: boolean): Egress {
    return {
      exchange: async (request, _atMostMs, signal, use) => {
        await process.point("outside: arrives");
        signal.throwIfAborted();
        this.arrivals.push({ key: request.idempotencyKey, url: request.url });
        const body = `answer ${this.arrivals.length}`;
        await process.point("outside: answers", process.random.below(300));
        signal.throwIfAborted();
        if (!isCalm && process.random.below(5) === 0) {
          throw new NeapError("EGRESS_TIMEOUT", body);
        }
        return use({ status: 200, headers: [], body: oneChunk(body) });
      },
    };
  }

  /**
   * F15: of what has arrived a record tells; under one key there was one request, however often it has arrived.
   * @returns how often one has arrived again
   * @throws Broken
   */
  judge(log: FinalLog): number {
    const urls = new Map<string, string>();
    for (const { key, url } of this.arrivals) {
      const [, instance = "", position = ""] = /^(.+)-([0-9]+)$/.exec(key) ?? [];
      if (log.stream(`i/${instance}`)[Number(position)]?.kind !== RecordKind.outside) {
        throw new Broken(`F15: the request ${url} of ${instance} arrived, and no record tells of it`);
      }
      if ((urls.get(key) ?? url) !== url) {
        throw new Broken(`F15: ${url} and ${urls.get(key)} arrived under one key`);
      }
      urls.set(key, url);
    }
    return this.arrivals.length - urls.size;
  }
}

async function* oneChunk(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}
