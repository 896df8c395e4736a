/** How often and how soon the host runs a call again after it has ended an attempt of it (F17). */
import type { ByteReader, ByteWriter } from "../../state/bytes.ts";

/** What ends an attempt without being a result. `failure`: an operation or the platform around the attempt failed. */
export const RETRY_CAUSES = ["timeLimit", "stackOverflow", "workerLost", "failure", "cpuLimit"] as const;
export type RetryCause = (typeof RETRY_CAUSES)[number];

export interface RetryPolicy {
  /** Attempts that the host may end before it gives up: 1 … ATTEMPTS_MAX. */
  readonly attemptsMax: number;
  /** Pause before the second attempt; doubled with each further one, up to `backoffMaxMs`. */
  readonly backoffMs: number;
  readonly backoffMaxMs: number;
  /** After any other cause the host gives up at once. */
  readonly causes: readonly RetryCause[];
}

export const ATTEMPTS_MAX = 1000;
export const BACKOFF_MAX_MS = 24 * 60 * 60 * 1000;

/** @param attempt  how many attempts have been ended, from 1 */
export function backoffMs({ backoffMs: first, backoffMaxMs }: RetryPolicy, attempt: number): number {
  return Math.min(first * 2 ** Math.min(attempt - 1, 30), backoffMaxMs);
}

export function writeRetryPolicy(w: ByteWriter, { attemptsMax, backoffMs, backoffMaxMs, causes }: RetryPolicy): void {
  w.u16(attemptsMax).f64(backoffMs).f64(backoffMaxMs);
  w.u8(RETRY_CAUSES.reduce((bits, cause, index) => (causes.includes(cause) ? bits | (1 << index) : bits), 0));
}

export function readRetryPolicy(r: ByteReader): RetryPolicy {
  const [attemptsMax, backoffMs, backoffMaxMs, bits] = [r.u16(), r.f64(), r.f64(), r.u8()];
  return { attemptsMax, backoffMs, backoffMaxMs, causes: RETRY_CAUSES.filter((_, index) => (bits & (1 << index)) !== 0) };
}
