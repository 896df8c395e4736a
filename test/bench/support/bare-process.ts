import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { atLeast, type Bar, type Bench, type Row } from "../bench-case.ts";
import { clients, type Measurement } from "./measurement.ts";

/** What the bare server made at 64 clients, at least, on the machine where the bars in calls per second were set. */
const BARE_PER_SECOND = 74_000;

/** A server that reads and parses the same POST, and answers it at once. Warm when this resolves. */
export class BareServer {
  readonly #bench: Bench;
  readonly #port: number;
  readonly #bodies: readonly string[];

  private constructor(bench: Bench, port: number, body: string) {
    this.#bench = bench;
    this.#port = port;
    this.#bodies = [body];
  }

  /** For the time of the case. */
  static async start(bench: Bench, body: string): Promise<BareServer> {
    const server = new BareServer(bench, await startProcess(bench), body);
    await server.load(16, bench.warmUpMs);
    return server;
  }

  load(connections: number, durationMs: number): Promise<Measurement> {
    return this.#bench.load.run({ port: this.#port, path: "/f/", connections, durationMs, bodies: this.#bodies });
  }
}

/** A rate at 64 clients and its bar, in units of the bare server's: they hold on slower machines as well. */
export function besideBare(what: string, { perSecond }: Measurement, bare: Measurement, bar: Bar): Row {
  const source = `${bar.value.toLocaleString("en")} calls/s where the bare server makes ${BARE_PER_SECOND.toLocaleString("en")}`;
  return {
    what: `${what}, ${clients(64)}, ÷ bare`,
    value: perSecond / bare.perSecond,
    unit: "×",
    bar: atLeast(bar.value / BARE_PER_SECOND, source),
  };
}

/** @returns its port */
async function startProcess({ cleanup }: Bench): Promise<number> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "bare-server.ts")], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  cleanup.defer(async () => {
    child.kill();
    await exited;
  });
  const [line] = (await Promise.race([once(child.stdout, "data"), exited])) as [unknown];
  const port = Number(String(line));
  if (!Number.isInteger(port) || port === 0) {
    throw new Error("the bare server did not start");
  }
  return port;
}
