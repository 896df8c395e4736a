/** The load generator in a thread of its own, so that it shares no event loop with the benchmark. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { LoadResult, LoadSample } from "./load-client.ts";
import type { Measurement } from "./measurement.ts";

/** What the thread is asked: a LoadOptions that can be cloned. */
export interface LoadOrder {
  readonly port: number;
  readonly path: string;
  readonly connections: number;
  readonly durationMs: number;
  /** Each request's body is one of them, drawn uniformly. */
  readonly bodies: readonly string[];
  /** The duration is divided evenly: `bodies` in its first part, these in those that follow. */
  readonly laterBodies?: readonly (readonly string[])[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly perSecond?: number;
}

export class LoadThread implements AsyncDisposable {
  readonly #worker = new Worker(new URL("load-worker.ts", import.meta.url));

  /** One order at a time. @throws when a call is not answered 200, or the connection breaks */
  async run(order: LoadOrder): Promise<Measurement> {
    const { calls, callsPerSecond, p50Ms, p99Ms } = await this.#result(order);
    return { count: calls, perSecond: callsPerSecond, p50Ms, p99Ms };
  }

  /** Every answer. Throws as `run`. */
  async samples(order: LoadOrder): Promise<readonly LoadSample[]> {
    return (await this.#result(order)).samples;
  }

  async #result(order: LoadOrder): Promise<LoadResult> {
    this.#worker.postMessage(order);
    const [result] = (await once(this.#worker, "message")) as [LoadResult | Error];
    if (result instanceof Error) {
      throw result;
    }
    if (result.failed > 0) {
      throw new Error(`${result.failed} of ${result.calls} calls were not answered 200, the first:\n${result.firstFailure}`);
    }
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }
}
