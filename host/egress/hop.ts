/** One HTTP request over one connection, to an address that was checked. */
import type { LookupFunction } from "node:net";
import { isIPv6 } from "node:net";
import type { Client, Dispatcher } from "undici";
import { NeapError } from "../../state/errors.ts";
import type { EgressRequest, EgressResponse, Header } from "./egress.ts";

/** Status line and headers of an answer. */
const HEAD_MAX_BYTES = 32 * 1024;
/** Answers of status 1xx before the one that counts. */
const INTERIM_MAX = 16;

export interface Hop extends Pick<EgressRequest, "method" | "headers" | "body"> {
  readonly url: URL;
  /** Where the connection goes, whatever the name is by then. */
  readonly addresses: readonly string[];
  /** Certificates that vouch for servers, PEM; undefined: those that Node comes with. */
  readonly authorities: readonly string[] | undefined;
  readonly answerMaxBytes: number;
  readonly atMostMs: number;
}

/**
 * Compressed bodies stay as they are. The connection is closed when this settles.
 * @throws EGRESS_FAILED, EGRESS_TOO_LARGE; what `signal` was aborted with, or `use` has thrown
 */
export async function exchangeHop<T>(
  { url, addresses, authorities, method, headers, body, answerMaxBytes, atMostMs }: Hop,
  signal: AbortSignal,
  use: (response: EgressResponse) => Promise<T>,
): Promise<T> {
  // Loaded by the first request: most hosts send none, and its files are a tenth of what a host's start would load.
  const undici = await import("undici");
  const client = new undici.Client(url.origin, {
    allowH2: false,
    maxHeaderSize: HEAD_MAX_BYTES,
    connectTimeout: atMostMs,
    // The signal ends what takes too long.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: { lookup: lookupIn(addresses), ...(authorities !== undefined && { ca: [...authorities] }) },
  });
  // Also while it connects, when a request does not listen to a signal yet.
  const abort = () => {
    const reason: Error = signal.reason;
    client.destroy(reason).catch(() => {});
  };
  signal.addEventListener("abort", abort, { once: true });
  try {
    signal.throwIfAborted();
    const failed = (error: unknown): never => {
      throw signal.aborted ? signal.reason : failure(error, url.host);
    };
    const request: Dispatcher.RequestOptions = {
      path: url.pathname + url.search,
      method: method as Dispatcher.HttpMethod,
      headers: headers.flat(),
      body: body.byteLength === 0 ? null : body,
      responseHeaders: "raw",
      onInfo: countInterim(client),
    };
    const answer = await client.request(request).catch(failed);
    // Nobody may be reading when the connection is closed.
    answer.body.on("error", () => {});
    return await use({
      status: answer.statusCode,
      headers: pairs(answer.headers as unknown as readonly string[]),
      body: bounded(answer.body, answerMaxBytes, url.host, failed),
    });
  } finally {
    signal.removeEventListener("abort", abort);
    client.destroy().catch(() => {});
  }
}

/** A resolver that knows one name. */
function lookupIn(addresses: readonly string[]): LookupFunction {
  const all = addresses.map((address) => ({ address, family: isIPv6(address) ? 6 : 4 }));
  return (_name, { all: wantsAll }, done) => {
    const [first] = all;
    if (wantsAll === true) {
      done(null, all);
    } else {
      done(null, first?.address ?? "", first?.family ?? 0);
    }
  };
}

function countInterim(client: Client): () => void {
  let count = 0;
  return () => {
    count += 1;
    if (count > INTERIM_MAX) {
      client.destroy(new Error(`more than ${INTERIM_MAX} interim answers`)).catch(() => {});
    }
  };
}

function pairs(flat: readonly string[]): Header[] {
  const headers: Header[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) {
    headers.push([flat[i] ?? "", flat[i + 1] ?? ""]);
  }
  return headers;
}

async function* bounded(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
  place: string,
  failed: (error: unknown) => never,
): AsyncGenerator<Uint8Array> {
  let sizeBytes = 0;
  try {
    for await (const chunk of body) {
      sizeBytes += chunk.byteLength;
      if (sizeBytes > maxBytes) {
        throw tooLarge(`the answer of ${place} is larger than ${maxBytes} bytes, the limit of --egress-answer-max-bytes`);
      }
      yield chunk;
    }
  } catch (error) {
    failed(error);
  }
}

function failure(error: unknown, place: string): unknown {
  if (error instanceof NeapError) {
    return error;
  }
  const { code, message } = error as { code?: unknown; message?: unknown };
  return code === "UND_ERR_HEADERS_OVERFLOW"
    ? tooLarge(`the headers of the answer of ${place} are larger than ${HEAD_MAX_BYTES} bytes`)
    : new NeapError("EGRESS_FAILED", `${place} did not answer: ${message}`, { cause: error });
}

function tooLarge(message: string): NeapError {
  return new NeapError("EGRESS_TOO_LARGE", message);
}
