/** The contract of requests to the outside. */
import { NeapError } from "../../state/errors.ts";
import type { LogBookId } from "../../state/ids.ts";

/** Name and value; a name may be there more than once. */
export type Header = readonly [name: string, value: string];

export interface EgressRequest {
  readonly tenant: LogBookId;
  readonly method: string;
  readonly url: string;
  readonly headers: readonly Header[];
  readonly body: Uint8Array;
  /** Sent as `Idempotency-Key`, unless `headers` has one. */
  readonly idempotencyKey: string;
}

export interface EgressResponse {
  readonly status: number;
  readonly headers: readonly Header[];
  /** To be read once, and as fast as is convenient. Throws as `exchange` does. */
  readonly body: AsyncIterable<Uint8Array>;
}

export interface Egress {
  /**
   * Sends a request that `wrongWith` finds nothing wrong with, and hands the response to `use`. Nothing of the exchange is open any
   * more when this settles.
   *
   * @param atMostMs  for all of it, `use` included; the host's own limit holds besides
   * @throws EGRESS_DENIED  host, address or port is not allowed, of the URL or of a redirect: nothing was sent there
   * @throws EGRESS_OVERLOADED  others were in the way all the time: nothing was sent
   * @throws EGRESS_UNRESOLVED  the name has no address
   * @throws EGRESS_FAILED  no connection, or what came over it is no answer
   * @throws EGRESS_TIMEOUT, EGRESS_TOO_LARGE
   * @throws what `signal` was aborted with, or `use` has thrown
   */
  exchange<T>(
    request: EgressRequest,
    atMostMs: number,
    signal: AbortSignal,
    use: (response: EgressResponse) => Promise<T>,
  ): Promise<T>;
}

/** Whether it says what came of a request, and not that the host could not do its work. */
export function isEgressFailure(error: unknown): error is NeapError {
  return error instanceof NeapError && error.code.startsWith("EGRESS_");
}
