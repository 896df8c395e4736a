/** Which requests there may be at all. */
import type { EgressRequest } from "./egress.ts";

const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
/** RFC 9110: a token, and visible characters with blanks between them. */
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e]*$/;
/** They belong to the connection, and the host makes them. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** What is wrong with a request, naming field, value and limit; null when nothing is. */
export function wrongWith({ method, url, headers, body }: Omit<EgressRequest, "tenant" | "idempotencyKey">): string | null {
  if (!METHODS.has(method)) {
    return `the method is ${JSON.stringify(method)}, must be one of ${[...METHODS].join(", ")}`;
  }
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    return `the URL is ${JSON.stringify(url)}, must begin with http:// or https://`;
  }
  const { username, password } = new URL(url);
  if (username !== "" || password !== "") {
    return "the URL has a user name or a password, must have neither: use the header Authorization";
  }
  for (const [name, value] of headers) {
    if (!HEADER_NAME.test(name) || !HEADER_VALUE.test(value)) {
      return `the header ${JSON.stringify(name)} has characters that headers may not have`;
    }
    if (OWN_HEADERS.has(name.toLowerCase())) {
      return `the header ${JSON.stringify(name)} is the host's own`;
    }
  }
  return (method === "GET" || method === "HEAD") && body.byteLength > 0 ? `a ${method} request has no body` : null;
}
