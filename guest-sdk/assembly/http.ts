/** Requests to other systems. What happens there may happen more than once; what came of it is fixed once. */
import { toBytes, toText } from "./bytes";
import * as host from "./host";

const HEAD: i32 = 0;
const BODY: i32 = 1;
const FIRST_READ_BYTES: i32 = 4096;
const ONCE: i32 = 1;

/** What came of a request: an answer of whatever status, or why there is none. */
export class HttpResponse {
  constructor(
    /** 0 when there is no answer. */
    readonly status: i32,
    /** Lines "name: value", as they came. */
    readonly headers: string,
    /** As it came: a compressed body is still compressed. */
    readonly bytes: Uint8Array,
    /** Why there is no answer: EGRESS_DENIED, EGRESS_TIMEOUT … (docs/reference/errors.md), and "" when there is one. */
    readonly error: string,
    /** The same for people. */
    readonly message: string,
  ) {}

  /** Whether the status is 200 to 299. */
  get ok(): bool {
    return this.status >= 200 && this.status < 300;
  }

  /** `bytes` as text. */
  get text(): string {
    return toText(this.bytes);
  }

  /** The value of a header, or null. The case of names does not count; of several the first. */
  header(name: string): string | null {
    const wanted = name.toLowerCase();
    const lines = this.headers.split("\n");
    for (let i = 0; i < lines.length; i++) {
      const colon = lines[i].indexOf(":");
      if (colon > 0 && lines[i].substring(0, colon).toLowerCase() == wanted) return lines[i].substring(colon + 1).trim();
    }
    return null;
  }
}

export namespace http {
  /** Asks for a URL. */
  export function get(url: string): HttpResponse {
    return request("GET", url, [], new Uint8Array(0));
  }

  /** Sends a text. */
  export function post(url: string, text: string, contentType: string = "text/plain; charset=utf-8"): HttpResponse {
    return request("POST", url, ["Content-Type: " + contentType], toBytes(text));
  }

  /**
   * Sends a request and waits for its answer. `headers`: each "name: value". The host follows redirects, and adds the header
   * `Idempotency-Key` unless it is among `headers`. When this call is cut off before the answer is logged, the request is sent again,
   * with the same key: a system that knows such keys does it once. Whoever asks again after a failure gives a key of their own, made of
   * `random`: the failed request may have been carried out. Not possible inside `storage.run`, nor in a transaction.
   */
  export function request(method: string, url: string, headers: string[], body: Uint8Array): HttpResponse {
    return sent(method, url, headers, body, 0);
  }

  /** Like `request`, for systems that do not know such keys: it is not sent again, and the error is EGRESS_UNKNOWN_OUTCOME then. */
  export function requestOnce(method: string, url: string, headers: string[], body: Uint8Array): HttpResponse {
    return sent(method, url, headers, body, ONCE);
  }
}

function sent(method: string, url: string, headers: string[], body: Uint8Array, flags: i32): HttpResponse {
  const name = toBytes(method);
  const place = toBytes(url);
  const lines = toBytes(headers.join("\n"));
  const status = host.httpRequest(
    name.dataStart,
    name.byteLength,
    place.dataStart,
    place.byteLength,
    lines.dataStart,
    lines.byteLength,
    body.dataStart,
    body.byteLength,
    flags,
  );
  if (status < 0 && status != host.NO_ANSWER) throw new Error("http " + method + " " + url + ": " + reason(status));
  const head = toText(part(HEAD));
  const rest = part(BODY);
  if (status == host.NO_ANSWER) return new HttpResponse(0, "", new Uint8Array(0), head, toText(rest));
  return new HttpResponse(status, head, rest, "", "");
}

/** The size is known only when the beginning was read. */
function part(which: i32): Uint8Array {
  const room = new Uint8Array(FIRST_READ_BYTES);
  const size = <i32>host.httpRead(which, 0, room.dataStart, room.byteLength);
  if (size <= room.byteLength) return room.subarray(0, size);
  const whole = new Uint8Array(size);
  memory.copy(whole.dataStart, room.dataStart, room.byteLength);
  host.httpRead(which, room.byteLength, whole.dataStart + room.byteLength, size - room.byteLength);
  return whole;
}

function reason(code: i32): string {
  if (code == host.NOT_IN_PART) return "requests are not possible inside storage.run";
  if (code == host.IN_TRANSACTION) return "requests are not possible in a transaction, as they cannot be taken back";
  if (code == host.TOO_LARGE) return "the body is larger than 1 MiB";
  return "method, URL or headers are too long";
}
