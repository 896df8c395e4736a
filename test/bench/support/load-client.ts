/** A closed-loop HTTP/1.1 load generator over bare sockets: cheap enough not to be what is measured. */
import { connect, type Socket } from "node:net";

export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  readonly durationMs: number;
  readonly path: string;
  /** Each POST has one of them. */
  readonly bodies: readonly string[];
  /** A whole number from 0 to below the limit: which body comes next. */
  readonly draw: (limit: number) => number;
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
  const { draw } = options;
  const requests = options.bodies.map((body) => requestBytes(options.path, body));
  const nextRequest = () => requests[draw(requests.length)] ?? NOTHING;
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

function requestBytes(path: string, body: string): Buffer {
  const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`;
  return Buffer.from(`${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

const NOTHING = Buffer.alloc(0);
const HEAD_END = Buffer.from("\r\n\r\n");
/** As both servers write it. */
const CONTENT_LENGTH = Buffer.from("\r\nContent-Length: ");
const READ_BYTES = 16 * 1024;

/**
 * Sends until `endMs`, then ends the connection after the last answer. Rejects when the connection breaks.
 *
 * @param onAnswer  `answer` is a view that the next answer overwrites
 */
function drive(
  port: number,
  nextRequest: () => Buffer,
  endMs: number,
  onAnswer: (status: number, latencyMs: number, answer: Buffer) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let sentMs = 0;
    let pending = NOTHING;
    const received = (chunk: Buffer) => {
      const answer = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      const sizeBytes = answerBytes(answer);
      if (Number.isNaN(sizeBytes)) {
        socket.destroy(new Error(`an answer without Content-Length: ${answer}`));
      } else if (answer.length < sizeBytes) {
        pending = Buffer.from(answer);
      } else {
        pending = NOTHING;
        const nowMs = performance.now();
        onAnswer(Number(answer.toString("latin1", 9, 12)), nowMs - sentMs, answer);
        if (nowMs < endMs) {
          sentMs = nowMs;
          socket.write(nextRequest());
        } else {
          socket.end();
        }
      }
    };
    // Into one buffer for good: what a client allocates is what it takes from the server on the same cores.
    const buffer = Buffer.alloc(READ_BYTES);
    const callback = (sizeBytes: number) => {
      received(buffer.subarray(0, sizeBytes));
      return true;
    };
    const socket: Socket = connect({ port, host: "127.0.0.1", noDelay: true, onread: { buffer, callback } });
    socket.on("connect", () => {
      sentMs = performance.now();
      socket.write(nextRequest());
    });
    socket.on("error", reject);
    socket.on("close", () => resolve());
  });
}

/** Size of the answer that `bytes` begin with: infinite until its head is there, NaN when that does not say. */
function answerBytes(bytes: Buffer): number {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd < 0) {
    return Number.POSITIVE_INFINITY;
  }
  const at = bytes.indexOf(CONTENT_LENGTH);
  const bodyBytes =
    at < 0 || at > headEnd ? Number.NaN : Number.parseInt(bytes.toString("latin1", at + CONTENT_LENGTH.length, headEnd), 10);
  return headEnd + HEAD_END.length + bodyBytes;
}
