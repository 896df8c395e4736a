/** From a thrown error to an answer: text with the code in `Neap-Error` for Faasm's routes, problem+json for the native ones. */
import type { ServerResponse } from "node:http";
import { pipeline, type Readable } from "node:stream";
import { InvariantBroken, NeapError } from "../../state/errors.ts";
import { ERRORS } from "../errors.ts";
import type { Log } from "../telemetry/index.ts";

export interface Failure {
  readonly code: string;
  readonly status: number;
  /** For the caller: names field, value and limit. */
  readonly message: string;
}

/**
 * What the client is told. Errors without a documented code are logged and told as INTERNAL without their text.
 */
export function toFailure(error: unknown, log: Log): Failure {
  if (error instanceof InvariantBroken) {
    // Not ours to catch: it has to reach the process-wide handler, which stops the host.
    queueMicrotask(() => {
      throw error;
    });
  }
  if (error instanceof NeapError) {
    const failure = failureOf(error.code, error.message);
    if (failure !== undefined) {
      if (error.cause !== undefined) {
        log.warn("a request failed", { code: error.code, error });
      }
      return failure;
    }
  }
  log.error("a request failed unexpectedly", { code: "INTERNAL", error });
  return { code: "INTERNAL", status: 500, message: "an unexpected error, the host's log has the details" };
}

/** undefined when the code is not documented. */
export function failureOf(code: string, message: string): Failure | undefined {
  const spec = Object.hasOwn(ERRORS, code) ? ERRORS[code] : undefined;
  return spec && { code, status: spec.status, message };
}

/** Of a call that did not return 0: the limit that its trap says it was over, if the host says so and not the guest, else CALL_FAILED. */
export function resultCode(trap: string | undefined): string {
  const code = /^[A-Z_]+(?=: )/.exec(trap ?? "")?.[0];
  return code !== undefined && Object.hasOwn(ERRORS, code) ? code : "CALL_FAILED";
}

/** A body of problem+json (RFC 9457). `type` names the code, whose text is in docs/reference/errors.md. */
export function problem(failure: Failure, members: object = {}): object {
  const { code, status, message } = failure;
  return { type: `urn:neap:error:${code}`, title: ERRORS[code]?.meaning ?? code, status, code, detail: message, ...members };
}

/** Headers of any failure, flat: name, value, name, value … */
export function failureHeaders(failure: Failure): string[] {
  const headers = ["Neap-Error", failure.code];
  if (failure.status === 401) {
    headers.push("WWW-Authenticate", "Bearer");
  }
  if (failure.status === 503) {
    headers.push("Retry-After", "1");
  }
  return headers;
}

/** Writes a text answer; harmless when the answer has already begun or the client has gone. */
export function sendText(
  response: ServerResponse,
  status: number,
  body: string | Uint8Array | Readable,
  headers: readonly string[],
): void {
  if (response.headersSent || response.destroyed) {
    return;
  }
  if (typeof body !== "string" && !(body instanceof Uint8Array)) {
    response.writeHead(status, ["Content-Type", "text/plain", ...headers]);
    // A client that goes away ends both.
    pipeline(body, response, () => {});
    return;
  }
  const sizeBytes = typeof body === "string" ? Buffer.byteLength(body) : body.byteLength;
  response.writeHead(status, ["Content-Type", "text/plain", "Content-Length", `${sizeBytes}`, ...headers]);
  if (typeof body !== "string" && sizeBytes <= ONE_WRITE_MAX_BYTES) {
    // As text, byte for byte, it leaves in one write with its headers; as bytes it would take a second one.
    response.end(Buffer.from(body.buffer, body.byteOffset, sizeBytes).toString("latin1"), "latin1");
  } else {
    response.end(body);
  }
}

const ONE_WRITE_MAX_BYTES = 4096;

export function sendFailure(response: ServerResponse, failure: Failure): void {
  sendText(response, failure.status, failure.message, failureHeaders(failure));
}
