/** Reads request bodies: never more than a limit, never for ever. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { invariant, NeapError } from "../../state/errors.ts";
import type { Clock } from "../../state/ports.ts";
import type { BodyRoom } from "./body-room.ts";

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

/** Bodies up to this size may be held in one piece: joining it takes a fraction of a millisecond (H27). */
export const WHOLE_BODY_MAX_BYTES = 1024 * 1024;
/** Size of the blocks that a longer body is held in. */
export const BODY_BLOCK_BYTES = 1024 * 1024;

/** In one piece, or in blocks of BODY_BLOCK_BYTES with a buffer of their own each; only the last one is shorter. */
export type Body =
  | { readonly kind: "whole"; readonly bytes: Buffer }
  | { readonly kind: "blocks"; readonly blocks: readonly Uint8Array<ArrayBuffer>[] };

/**
 * The body in one piece if it has at most `wholeMaxBytes`. @throws the limit's code, also before the first byte is asked for;
 * CANCELLED when the client goes away; OVERLOADED
 */
export function readBody(exchange: Exchange, limit: BodyLimit, reading: Reading, wholeMaxBytes: number): Promise<Body> {
  const { request, response } = exchange;
  return new Promise((resolve, reject) => {
    admit(exchange, limit);
    const gathered = new Gathering(wholeMaxBytes);
    const meter = new Meter(exchange, limit, reading);
    const makeRoom = reading.bodies.forBodyOf(response);
    const onData = (chunk: Buffer) => {
      try {
        makeRoom(meter.take(chunk.length));
      } catch (error) {
        request.off("data", onData);
        reject(error);
        return;
      }
      gathered.add(chunk);
    };
    request.on("data", onData);
    request.on("end", () => resolve(gathered.body()));
    request.on("close", () => {
      if (!request.complete) {
        reject(clientGone());
      }
    });
  });
}

/** A body with a limit of at most WHOLE_BODY_MAX_BYTES. @throws as `readBody` does */
export async function readSmallBody(exchange: Exchange, limit: BodyLimit, reading: Reading): Promise<Buffer> {
  const body = await readBody(exchange, limit, reading, limit.maxBytes);
  invariant(body.kind === "whole", "a body within its limit came in blocks");
  return body.bytes;
}

const EMPTY = Buffer.alloc(0);

/** Puts chunks together, a chunk at a time once there are many: no call takes long. */
class Gathering {
  readonly #wholeMaxBytes: number;
  readonly #chunks: Buffer[] = [];
  #sizeBytes = 0;
  readonly #blocks: Uint8Array<ArrayBuffer>[] = [];
  /** Of the last block. */
  #usedBytes = BODY_BLOCK_BYTES;

  constructor(wholeMaxBytes: number) {
    this.#wholeMaxBytes = wholeMaxBytes;
  }

  add(chunk: Buffer): void {
    this.#sizeBytes += chunk.length;
    this.#chunks.push(chunk);
    if (this.#sizeBytes > this.#wholeMaxBytes) {
      for (const kept of this.#chunks.splice(0)) {
        this.#copy(kept);
      }
    }
  }

  body(): Body {
    const last = this.#blocks.at(-1);
    if (last !== undefined) {
      return { kind: "blocks", blocks: [...this.#blocks.slice(0, -1), last.subarray(0, this.#usedBytes)] };
    }
    const [only = EMPTY] = this.#chunks;
    return { kind: "whole", bytes: this.#chunks.length > 1 ? Buffer.concat(this.#chunks) : only };
  }

  #copy(chunk: Uint8Array): void {
    for (let rest = chunk; rest.byteLength > 0; ) {
      let block = this.#blocks.at(-1);
      if (block === undefined || this.#usedBytes === BODY_BLOCK_BYTES) {
        block = new Uint8Array(BODY_BLOCK_BYTES);
        this.#blocks.push(block);
        this.#usedBytes = 0;
      }
      const part = rest.subarray(0, BODY_BLOCK_BYTES - this.#usedBytes);
      block.set(part, this.#usedBytes);
      this.#usedBytes += part.byteLength;
      rest = rest.subarray(part.byteLength);
    }
  }
}

/** A body that says that it is short in one piece, any other one as a stream. */
export async function takeBody(
  exchange: Exchange,
  limit: BodyLimit,
  reading: Reading,
): Promise<Uint8Array | AsyncIterable<Uint8Array>> {
  const { headers } = exchange.request;
  if (headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > WHOLE_BODY_MAX_BYTES) {
    return streamBody(exchange, limit, reading);
  }
  const body = await readBody(exchange, limit, reading, WHOLE_BODY_MAX_BYTES);
  invariant(body.kind === "whole", "a body is not longer than its Content-Length");
  return body.bytes;
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

/** Of a body that is read whole. */
export interface Reading extends Pace {
  readonly bodies: BodyRoom;
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

  /** @returns the size so far */
  take(sizeBytes: number): number {
    this.#sizeBytes += sizeBytes;
    if (this.#sizeBytes > this.#limit.maxBytes) {
      throw tooLarge(this.#limit);
    }
    const elapsedMs = this.#pace.clock.monotonic() - this.#startMs;
    if (elapsedMs > this.#pace.idleMs && (this.#sizeBytes * 1000) / elapsedMs < BODY_MIN_BYTES_PER_SECOND) {
      dropSlowClient(this.#exchange);
      throw clientGone();
    }
    return this.#sizeBytes;
  }
}

/** Ends the connection of a client that is too slow, with a 408 if its answer has not begun: it would not take the rest of one either. */
export function dropSlowClient({ request, response }: Exchange): void {
  if (response.headersSent) {
    request.socket.destroy();
    return;
  }
  request.socket.end("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
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
