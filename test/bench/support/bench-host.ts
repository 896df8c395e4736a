/** The host under test, in a process of its own, and requests to it. */
import { Agent, request } from "node:http";
import { join } from "node:path";
import { type HostOptions, type RunningHost, startHost, upload } from "../../support/host-process.ts";
import type { Bench } from "../bench-case.ts";
import type { LoadSample } from "./load-client.ts";
import type { LoadOrder } from "./load-thread.ts";
import type { Measurement } from "./measurement.ts";

export const TENANT = "bench";
const OUTPUT_SHOWN_CHARACTERS = 2_000;

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  readonly latencyMs: number;
}

export class BenchHost {
  readonly #host: RunningHost;
  readonly #load: Bench["load"];
  /** Connections stay open; whoever sends one request after the other always uses the same. */
  readonly #agent = new Agent({ keepAlive: true });

  /** Starts a host for the time of the case. `name` is that of its data folder. */
  static async start({ load, folder, cleanup }: Bench, name: string, options: Partial<HostOptions> = {}): Promise<BenchHost> {
    const flags = ["--log-level", "error", ...(options.flags ?? [])];
    const running = await startHost({ dataDirectory: join(folder, name), ...options, flags });
    const host = new BenchHost(running, load);
    cleanup.defer(async () => {
      host.#agent.destroy();
      await running.stop();
    });
    return host;
  }

  private constructor(host: RunningHost, load: Bench["load"]) {
    this.#host = host;
    this.#load = load;
  }

  get port(): number {
    return Number(new URL(this.#host.url).port);
  }

  get clusterUrl(): string {
    return this.#host.clusterUrl;
  }

  get processId(): number {
    return this.#host.process.pid ?? 0;
  }

  upload(functionName: string, module: Uint8Array, { tenant = TENANT, query = "" } = {}): Promise<void> {
    return this.#explained(upload(this.#host.url, tenant, functionName, module, query));
  }

  /** Calls with one of the bodies each, over as many connections. @throws when one fails */
  load(connections: number, durationMs: number, bodies: readonly string[]): Promise<Measurement> {
    return this.#explained(this.#load.run({ port: this.port, path: "/f/", connections, durationMs, bodies }));
  }

  /** As `load`, with every answer. @throws when one fails */
  samples(order: Omit<LoadOrder, "port" | "path">): Promise<readonly LoadSample[]> {
    return this.#explained(this.#load.samples({ ...order, port: this.port, path: "/f/" }));
  }

  /** A call that is open until it is answered, however, or given up by `signal`. @throws when it is given up */
  async open(body: string, signal: AbortSignal): Promise<void> {
    await (await fetch(`${this.#host.url}/f/`, { method: "POST", body, signal })).text();
  }

  /** One call. @throws unless it is answered 2xx */
  call(body: string): Promise<Reply> {
    return this.request("POST", "/f/", body);
  }

  /** @throws unless it is answered 2xx */
  request(method: string, path: string, body: string | Uint8Array = ""): Promise<Reply> {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    const startMs = performance.now();
    const headers = { "Content-Length": Buffer.byteLength(body) };
    const sent = request({ port: this.port, host: "127.0.0.1", agent: this.#agent, method, path, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const reply = {
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks),
          latencyMs: performance.now() - startMs,
        };
        if (reply.status >= 200 && reply.status < 300) {
          resolve(reply);
        } else {
          reject(new Error(`${method} ${path} was answered ${reply.status}: ${reply.body}`));
        }
      });
    });
    sent.on("error", reject);
    sent.end(body);
    return this.#explained(promise);
  }

  /** Adds what the host wrote to a failure. */
  #explained<T>(outcome: Promise<T>): Promise<T> {
    return outcome.catch((error: unknown) => {
      throw new Error(`${error}\nThe host wrote last:\n${this.#host.output().slice(-OUTPUT_SHOWN_CHARACTERS)}`, { cause: error });
    });
  }
}

/** The body of a call through the Faasm-compatible route. */
export function callBody(functionName: string, input: string, fields: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({ user: TENANT, function: functionName, async: false, input_data: input, ...fields });
}
