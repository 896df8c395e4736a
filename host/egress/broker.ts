/**
 * Sends requests of guests to other systems.
 *
 * Owns: which requests are under way, their time, redirects. Does not own: that a request leaves only when its record is durable, and
 * what becomes of the answer (host/invocation).
 *
 * B1. Each connection goes to an address that was checked for it, also after a redirect (`destination`).
 * B2. An exchange is over in its time, whatever the other side does, and takes no more memory than a few pieces of a body.
 * B3. A tenant has so many exchanges under way at most; those of others go on beside them.
 */
import { NeapError } from "../../state/errors.ts";
import type { LogBookId } from "../../state/ids.ts";
import type { Timers } from "../../state/ports.ts";
import type { AllowList } from "./allow-list.ts";
import { destination } from "./destination.ts";
import type { Egress, EgressRequest, EgressResponse, Header } from "./egress.ts";
import { exchangeHop } from "./hop.ts";
import type { Network } from "./network.ts";
import { Slots } from "./slots.ts";

export interface EgressOptions {
  readonly allowPrivate: boolean;
  readonly timeoutMs: number;
  readonly answerMaxBytes: number;
  /** Exchanges under way, of each tenant. */
  readonly tenantMax: number;
}

export interface BrokerParts {
  readonly allow: (tenant: LogBookId) => AllowList;
  readonly network: Network;
  readonly timers: Timers;
  /** Where this process listens, at the moment. */
  readonly ownPorts: () => readonly number[];
  /** Certificates that vouch for servers, PEM. Default: those that Node comes with. */
  readonly authorities?: readonly string[];
}

const REDIRECTS_MAX = 5;
/** Of all tenants: each is a connection. */
const ALL_MAX = 512;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** What a server learns is not for another one. */
const PRIVATE_HEADERS: ReadonlySet<string> = new Set(["authorization", "cookie"]);
/** About a body that is no longer sent. */
const BODY_HEADERS: ReadonlySet<string> = new Set(["content-type", "content-encoding", "content-language", "content-location"]);

type Leg = Pick<EgressRequest, "method" | "headers" | "body"> & { readonly url: URL };

type Reached<T> =
  | { readonly kind: "answered"; readonly value: T }
  | { readonly kind: "redirected"; readonly location: string; readonly status: number };

export class Broker implements Egress {
  readonly #options: EgressOptions;
  readonly #parts: BrokerParts;
  readonly #slots: Slots;

  constructor(options: EgressOptions, parts: BrokerParts) {
    this.#options = options;
    this.#parts = parts;
    this.#slots = new Slots(options.tenantMax, ALL_MAX);
  }

  async exchange<T>(
    request: EgressRequest,
    atMostMs: number,
    signal: AbortSignal,
    use: (response: EgressResponse) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted();
    const { tenant } = request;
    const timeMs = Math.min(atMostMs, this.#options.timeoutMs);
    const over = new AbortController();
    let reason = new NeapError(
      "EGRESS_OVERLOADED",
      `the requests of tenant ${tenant} that are under way took all of ${timeMs} ms`,
    );
    const cancelTimer = this.#parts.timers.after(timeMs, () => over.abort(reason));
    const stop = () => over.abort(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    try {
      await this.#slots.take(tenant, over.signal);
      try {
        reason = new NeapError("EGRESS_TIMEOUT", `${new URL(request.url).host} has not answered within ${timeMs} ms`);
        return await this.#follow(request, timeMs, over.signal, use);
      } finally {
        this.#slots.give(tenant);
      }
    } finally {
      cancelTimer();
      signal.removeEventListener("abort", stop);
    }
  }

  async #follow<T>(
    request: EgressRequest,
    atMostMs: number,
    signal: AbortSignal,
    use: (response: EgressResponse) => Promise<T>,
  ): Promise<T> {
    let leg: Leg = { ...request, url: new URL(request.url), headers: completed(request) };
    for (let redirects = 0; redirects <= REDIRECTS_MAX; redirects += 1) {
      const addresses = await this.#addresses(request.tenant, leg.url, signal);
      const { answerMaxBytes } = this.#options;
      const { authorities } = this.#parts;
      const reached = await exchangeHop({ ...leg, addresses, authorities, answerMaxBytes, atMostMs }, signal, (response) =>
        reach(response, use),
      );
      if (reached.kind === "answered") {
        return reached.value;
      }
      leg = redirected(leg, reached.status, reached.location);
    }
    throw new NeapError("EGRESS_FAILED", `${leg.url.host} redirects more than ${REDIRECTS_MAX} times`);
  }

  #addresses(tenant: LogBookId, url: URL, signal: AbortSignal): Promise<readonly string[]> {
    const { network, ownPorts, allow } = this.#parts;
    const rules = { list: allow(tenant), allowPrivate: this.#options.allowPrivate, ownPorts: ownPorts() };
    const aborted = Promise.withResolvers<never>();
    const abort = () => aborted.reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    const found = destination(url, rules, network);
    return Promise.race([found, aborted.promise]).finally(() => signal.removeEventListener("abort", abort));
  }
}

async function reach<T>(response: EgressResponse, use: (response: EgressResponse) => Promise<T>): Promise<Reached<T>> {
  const { status, headers } = response;
  const location = REDIRECTS.has(status) ? headers.find(([name]) => name.toLowerCase() === "location")?.[1] : undefined;
  return location === undefined ? { kind: "answered", value: await use(response) } : { kind: "redirected", location, status };
}

/** With what the host adds where the guest says nothing. */
function completed({ headers, idempotencyKey }: EgressRequest): readonly Header[] {
  const own: readonly Header[] = [
    ["Idempotency-Key", idempotencyKey],
    ["Accept-Encoding", "identity"],
    ["User-Agent", "neap"],
  ];
  return [...headers, ...own.filter(([name]) => !has(headers, name))];
}

function has(headers: readonly Header[], wanted: string): boolean {
  return headers.some(([name]) => name.toLowerCase() === wanted.toLowerCase());
}

/** RFC 9110, 15.4: after 303 it is read, after 301 and 302 too where it was a POST; else it is the same request elsewhere. */
function redirected(leg: Leg, status: number, location: string): Leg {
  const { url: from } = leg;
  if (!URL.canParse(location, from.href)) {
    throw new NeapError("EGRESS_FAILED", `${from.host} redirects to ${JSON.stringify(location.slice(0, 200))}, which is no URL`);
  }
  const url = new URL(location, from);
  url.username = "";
  url.password = "";
  if (!/^https?:$/.test(url.protocol) || (from.protocol === "https:" && url.protocol === "http:")) {
    throw new NeapError("EGRESS_DENIED", `${from.host} redirects from ${from.protocol} to ${url.protocol}`);
  }
  const isRead = (status === 303 && leg.method !== "HEAD") || (status < 303 && leg.method === "POST");
  const isElsewhere = url.origin !== from.origin;
  const headers = leg.headers.filter(([given]) => {
    const name = given.toLowerCase();
    return !(isElsewhere && PRIVATE_HEADERS.has(name)) && !(isRead && BODY_HEADERS.has(name));
  });
  return isRead ? { url, headers, method: "GET", body: new Uint8Array(0) } : { ...leg, url, headers };
}
