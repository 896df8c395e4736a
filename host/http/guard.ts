/**
 * Keeps web pages of other origins out (H25): a browser on this machine reaches loopback too, and sends a POST anywhere without
 * asking first. Applies to every route and verb, whatever the content type.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { isIP } from "node:net";
import { quote } from "../../state/ids.ts";
import { type AccessConfig, isLoopback } from "../config/index.ts";

export class Guard {
  readonly #access: AccessConfig;
  readonly #names: ReadonlySet<string>;
  readonly #origins: ReadonlySet<string>;
  #lastGoodHost: string | undefined;

  /** @param host  the address that is listened on: a name this host goes by */
  constructor(access: AccessConfig, host: string) {
    this.#access = access;
    this.#names = new Set([host, ...access.allowedHosts].map((name) => name.toLowerCase()));
    this.#origins = new Set(access.corsOrigins);
  }

  /** Why the request is refused, or null. Answers to configured origins get their CORS headers here. */
  refusal(request: IncomingMessage, response: ServerResponse): string | null {
    const { host, origin } = request.headers;
    if (this.#access.tokens === null && (host === undefined || !this.#isOwnHost(host))) {
      return `the request names the host ${quote(host ?? "")}, which is not this one; --allowed-hosts adds names`;
    }
    if (origin !== undefined && this.#origins.has(origin)) {
      response.setHeader("Access-Control-Allow-Origin", origin);
      response.setHeader("Access-Control-Expose-Headers", EXPOSED_HEADERS);
      response.setHeader("Vary", "Origin");
      return null;
    }
    if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`) {
      return `the request comes from a page of ${quote(origin)}; --cors-origins admits origins`;
    }
    const site = request.headers["sec-fetch-site"];
    if (site === "cross-site" || site === "same-site") {
      return `the request comes from a page of another origin (Sec-Fetch-Site: ${site}); --cors-origins admits origins`;
    }
    return null;
  }

  /** Answers OPTIONS, a browser's question before a request included. */
  answerOptions(request: IncomingMessage, response: ServerResponse): void {
    const headers: Record<string, string> = { Allow: METHODS, "Content-Length": "0" };
    if (response.hasHeader("Access-Control-Allow-Origin")) {
      headers["Access-Control-Allow-Methods"] = METHODS;
      headers["Access-Control-Allow-Headers"] =
        "Authorization, Content-Type, Idempotency-Key, Neap-Push-Down, Neap-Trace, Prefer";
      headers["Access-Control-Max-Age"] = "600";
    }
    request.resume();
    response.writeHead(200, headers).end();
  }

  #isOwnHost(header: string): boolean {
    if (header === this.#lastGoodHost) {
      return true;
    }
    const name = (/^(\[[0-9a-fA-F:.]+\]|[^:]+)(:[0-9]{1,5})?$/.exec(header)?.[1] ?? "").toLowerCase();
    const address = name.startsWith("[") ? name.slice(1, -1) : name;
    // Whoever chose --insecure-open reaches the host by addresses it cannot know; an address in the header is never a rebound name.
    const own = isLoopback(address) || this.#names.has(address) || (this.#access.insecureOpen && isIP(address) !== 0);
    if (own) {
      this.#lastGoodHost = header;
    }
    return own;
  }
}

const METHODS = "GET, POST, PUT, DELETE, OPTIONS";
const EXPOSED_HEADERS =
  "Location, Neap-Cpu-Ms, Neap-Error, Neap-Executed-At, Neap-Instance, Neap-Moved-Bytes, Neap-Moves, Neap-Operations, Neap-Output, Neap-Parked, Neap-Parts, Neap-Return-Value";
