/** Reads request bodies: never more than a limit, never for ever. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { NeapError } from "../../state/errors.ts";
import type { Clock } from "../../state/ports.ts";

export interface BodyLimit {
  readonly maxBytes: number;
  /** Code of the refusal. */
  readonly code: "BODY_TOO_LARGE" | "MODULE_TOO_LARGE" | "OBJECT_TOO_LARGE";
  readonly what: string;
}

/** A client that sends less than this over `idleMs` holds a connection and a buffer for nothing (H27). */
const BODY_MIN_BYTES_PER_SECOND = 256;

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

const EMPTY = Buffer.alloc(0);

/** The whole body. @throws the limit's code, also before the first byte is asked for; CANCELLED when the client goes away */
export function readBody(exchange: Exchange, limit: BodyLimit, pace: Pace): Promise<Buffer> {
  const { request } = exchange;
  return new Promise((resolve, reject) => {
    admit(exchange, limit);
    let only: Buffer | undefined;
    let chunks: Buffer[] | undefined;
    const meter = new Meter(exchange, limit, pace);
    const onData = (chunk: Buffer) => {
      try {
        meter.take(chunk.length);
      } catch (error) {
        request.off("data", onData);
        reject(error);
        return;
      }
      if (only === undefined) {
        only = chunk;
      } else {
        chunks ??= [only];
        chunks.push(chunk);
      }
    };
    request.on("data", onData);
    request.on("end", () => resolve(chunks === undefined ? (only ?? EMPTY) : Buffer.concat(chunks)));
    request.on("close", () => {
      if (!request.complete) {
        reject(clientGone());
      }
    });
  });
}

/** The body in chunks, as fast as they are taken. Throws as `readBody` does; the answer can still be written then. */
export async function* streamBody(exchange: Exchange, limit: BodyLimit, pace: Pace): AsyncGenerator<Buffer> {
  const { request } = exchange;
  admit(exchange, limit);
  const meter = new Meter(exchange, limit, pace);
  const chunks: AsyncIterator<Buffer> = request.iterator({ destroyOnReturn: false });
  while (true) {
    let next: IteratorResult<Buffer>;
    try {
      next = await chunks.next();
    } catch {
      throw clientGone();
    }
    if (next.done) {
      break;
    }
    meter.take(next.value.length);
    yield next.value;
  }
  if (!request.complete) {
    throw clientGone();
  }
}

/** Refuses a body that says it is too large, or lets a client that asked first (`Expect: 100-continue`) send it. */
function admit({ request, response }: Exchange, limit: BodyLimit): void {
  if (Number(request.headers["content-length"] ?? 0) > limit.maxBytes) {
    throw tooLarge(limit);
  }
  if (expectsContinue(request)) {
    response.writeContinue();
  }
}

export function expectsContinue(request: IncomingMessage): boolean {
  return request.headers.expect !== undefined && request.headers.expect.toLowerCase() === "100-continue";
}

export interface Pace {
  readonly clock: Clock;
  readonly idleMs: number;
}

/** Counts what arrived against the limit and the least rate. */
class Meter {
  readonly #exchange: Exchange;
  readonly #limit: BodyLimit;
  readonly #pace: Pace;
  readonly #startMs: number;
  #sizeBytes = 0;

  constructor(exchange: Exchange, limit: BodyLimit, pace: Pace) {
    this.#exchange = exchange;
    this.#limit = limit;
    this.#pace = pace;
    this.#startMs = pace.clock.monotonic();
  }

  take(sizeBytes: number): void {
    this.#sizeBytes += sizeBytes;
    if (this.#sizeBytes > this.#limit.maxBytes) {
      throw tooLarge(this.#limit);
    }
    const elapsedMs = this.#pace.clock.monotonic() - this.#startMs;
    if (elapsedMs > this.#pace.idleMs && (this.#sizeBytes * 1000) / elapsedMs < BODY_MIN_BYTES_PER_SECOND) {
      dropSlowClient(this.#exchange);
      throw clientGone();
    }
  }
}

/** Ends the connection of a client that is too slow, with a 408 if its answer has not begun. */
export function dropSlowClient({ request, response }: Exchange): void {
  if (!response.headersSent) {
    request.socket.end("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  }
  request.socket.destroySoon();
}

const LINGER_MS = 1000;

/**
 * After an answer that came before the end of the body: goes on reading for a moment, so that the client sees the answer and not
 * a reset connection, then ends the connection.
 */
export function discardRest(request: IncomingMessage): void {
  if (request.complete) {
    return;
  }
  request.resume();
  const timer = setTimeout(() => request.socket.destroy(), LINGER_MS);
  const stop = () => clearTimeout(timer);
  request.once("end", stop);
  request.once("close", stop);
}

function tooLarge(limit: BodyLimit): NeapError {
  return new NeapError(limit.code, `${limit.what} is larger than the limit of ${limit.maxBytes} bytes`);
}

function clientGone(): NeapError {
  return new NeapError("CANCELLED", "the client went away before its request was complete");
}
