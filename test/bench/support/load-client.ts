/** An HTTP/1.1 load generator over bare sockets: cheap enough not to be what is measured. */
import { connect, type Socket } from "node:net";

export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  readonly durationMs: number;
  readonly path: string;
  /** Body of each POST; a function is asked before every request. */
  readonly body: string | (() => string);
  readonly headers?: Readonly<Record<string, string>>;
  /** Requests at evenly spaced times, so many per second over all connections. Left out: each connection sends when it has its answer. */
  readonly perSecond?: number;
}

export interface LoadSample {
  /** When it was sent, since the start. */
  readonly atMs: number;
  readonly latencyMs: number;
  /** `Neap-Operations` of the answer; "" when it has none. */
  readonly operations: string;
}

export interface LoadResult {
  readonly calls: number;
  /** Answers with another status than 200. */
  readonly failed: number;
  /** The first of those answers, head and body; null when there was none. */
  readonly firstFailure: string | null;
  readonly callsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** In the order of the answers. */
  readonly samples: readonly LoadSample[];
}

/**
 * Each connection sends a POST, waits for the whole answer, sends the next. Answers must have a Content-Length. A request that its
 * connection was not free for in time counts from when it was due, and is sent also after the end: to leave out what a slow server
 * had no time for would make it look faster.
 */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const samples: LoadSample[] = [];
  let failed = 0;
  let firstFailure: string | null = null;
  const headers = Object.entries(options.headers ?? {}).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `POST ${options.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${headers.join("")}`;
  const fixed = typeof options.body === "string" ? requestBytes(head, options.body) : undefined;
  const nextRequest = () => fixed ?? requestBytes(head, (options.body as () => string)());
  const startMs = performance.now();
  const endMs = startMs + options.durationMs;
  const isTraced = options.headers?.["Neap-Trace"] !== undefined;
  const spacingMs = options.perSecond === undefined ? 0 : 1000 / options.perSecond;
  const intervalMs = spacingMs * options.connections;
  await Promise.all(
    Array.from({ length: options.connections }, (_, i) =>
      drive(options.port, nextRequest, { dueMs: startMs + i * spacingMs, intervalMs, endMs }, (status, sentMs, answer) => {
        const operations = isTraced ? operationsOf(answer) : "";
        samples.push({ atMs: sentMs - startMs, latencyMs: performance.now() - sentMs, operations });
        if (status !== 200) {
          failed += 1;
          firstFailure ??= answer.toString();
        }
      }),
    ),
  );
  const elapsedMs = performance.now() - startMs;
  const latencies = samples.map(({ latencyMs }) => latencyMs).sort((a, b) => a - b);
  const quantile = (share: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
  return {
    calls: latencies.length,
    failed,
    firstFailure,
    callsPerSecond: (latencies.length * 1000) / elapsedMs,
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
    samples,
  };
}

function requestBytes(head: string, body: string): Buffer {
  return Buffer.from(`${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

const HEAD_END = Buffer.from("\r\n\r\n");
const OPERATIONS_HEADER = /^neap-operations: *(.*)$/im;

function operationsOf(answer: Buffer): string {
  return OPERATIONS_HEADER.exec(answer.toString("latin1", 0, answer.indexOf(HEAD_END)))?.[1] ?? "";
}

interface Pace {
  /** When the first request is due. */
  readonly dueMs: number;
  /** From one to the next; 0: as soon as there is an answer. */
  readonly intervalMs: number;
  /** Nothing is due from then on. */
  readonly endMs: number;
}

/** Sends as the pace says, then ends the connection after the last answer. Rejects when the connection breaks. */
function drive(
  port: number,
  nextRequest: () => Buffer,
  { dueMs: firstDueMs, intervalMs, endMs }: Pace,
  onAnswer: (status: number, sentMs: number, answer: Buffer) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ port, host: "127.0.0.1", noDelay: true });
    let sentMs = 0;
    let pending: Buffer | undefined;
    let dueMs = firstDueMs;
    const send = (atMs: number) => {
      sentMs = atMs;
      socket.write(nextRequest());
    };
    const next = () => {
      const nowMs = performance.now();
      if (intervalMs === 0) {
        dueMs = nowMs;
      }
      if (dueMs >= endMs) {
        socket.end();
      } else if (dueMs > nowMs) {
        setTimeout(() => send(performance.now()), dueMs - nowMs);
      } else {
        send(dueMs);
      }
      dueMs += intervalMs;
    };
    // Without a pace each connection has one answer at least, however long it took to connect.
    socket.on("connect", () => (intervalMs === 0 ? send(performance.now()) : next()));
    socket.on("error", reject);
    socket.on("close", () => resolve());
    socket.on("data", (chunk: Buffer) => {
      pending = pending === undefined ? chunk : Buffer.concat([pending, chunk]);
      const headEnd = pending.indexOf(HEAD_END);
      if (headEnd < 0) {
        return;
      }
      const head = pending.toString("latin1", 0, headEnd);
      const length = /content-length: *([0-9]+)/i.exec(head)?.[1];
      if (length === undefined) {
        socket.destroy(new Error(`an answer without Content-Length: ${head}`));
        return;
      }
      if (pending.length < headEnd + HEAD_END.length + Number(length)) {
        return;
      }
      const answer = pending;
      pending = undefined;
      onAnswer(Number(head.slice(9, 12)), sentMs, answer);
      next();
    });
  });
}
