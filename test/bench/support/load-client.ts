/** A closed-loop HTTP/1.1 load generator over bare sockets: cheap enough not to be what is measured. */
import { connect, type Socket } from "node:net";

export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  readonly durationMs: number;
  readonly path: string;
  /** Body of each POST; a function is asked before every request. */
  readonly body: string | (() => string);
  readonly headers?: Readonly<Record<string, string>>;
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
}

/** Each connection sends a POST, waits for the whole answer, sends the next. Answers must have a Content-Length. */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const latencies: number[] = [];
  let failed = 0;
  let firstFailure: string | null = null;
  const headers = Object.entries(options.headers ?? {}).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `POST ${options.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${headers.join("")}`;
  const fixed = typeof options.body === "string" ? requestBytes(head, options.body) : undefined;
  const nextRequest = () => fixed ?? requestBytes(head, (options.body as () => string)());
  const startMs = performance.now();
  const endMs = startMs + options.durationMs;
  await Promise.all(
    Array.from({ length: options.connections }, () =>
      drive(options.port, nextRequest, endMs, (status, latencyMs, answer) => {
        latencies.push(latencyMs);
        if (status !== 200) {
          failed += 1;
          firstFailure ??= answer.toString();
        }
      }),
    ),
  );
  const elapsedMs = performance.now() - startMs;
  latencies.sort((a, b) => a - b);
  const quantile = (share: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
  return {
    calls: latencies.length,
    failed,
    firstFailure,
    callsPerSecond: (latencies.length * 1000) / elapsedMs,
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
  };
}

function requestBytes(head: string, body: string): Buffer {
  return Buffer.from(`${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

const HEAD_END = Buffer.from("\r\n\r\n");

/** Sends until `endMs`, then ends the connection after the last answer. Rejects when the connection breaks. */
function drive(
  port: number,
  nextRequest: () => Buffer,
  endMs: number,
  onAnswer: (status: number, latencyMs: number, answer: Buffer) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ port, host: "127.0.0.1", noDelay: true });
    let sentMs = 0;
    let pending: Buffer | undefined;
    const send = () => {
      sentMs = performance.now();
      socket.write(nextRequest());
    };
    socket.on("connect", send);
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
      const nowMs = performance.now();
      onAnswer(Number(head.slice(9, 12)), nowMs - sentMs, answer);
      if (nowMs < endMs) {
        send();
      } else {
        socket.end();
      }
    });
  });
}
