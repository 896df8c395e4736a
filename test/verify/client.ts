/** A client that asks under one idempotency key until its call has ended. */
import { setTimeout as pause } from "node:timers/promises";
import { call } from "../support/host-process.ts";

const RETRY_MS = 20;

export interface Ended {
  /** Whether the function returned 0. */
  readonly ok: boolean;
  readonly body: string;
}

/**
 * @param url  asked before each try
 * @param isOver  asked before each try: true gives up
 * @returns null when given up
 * @throws for an answer that no crash explains
 */
export async function callUntilEnded(
  url: () => string,
  isOver: () => boolean,
  request: { readonly key: string; readonly user: string; readonly function: string; readonly input_data: string },
): Promise<Ended | null> {
  const { key, ...body } = request;
  while (!isOver()) {
    const answer = await call(url(), body, { "idempotency-key": key }).catch(unlessConnectionBroke);
    if (answer?.status === 200 || answer?.body.startsWith("Call failed")) {
      return { ok: answer.status === 200, body: answer.body };
    }
    if (answer !== undefined && answer.status !== 503 && answer.status !== 504) {
      throw new Error(`${key} was answered ${answer.status}: ${answer.body}`);
    }
    await pause(RETRY_MS);
  }
  return null;
}

function unlessConnectionBroke(error: unknown): undefined {
  // What fetch throws when the connection breaks.
  if (!(error instanceof TypeError)) {
    throw error;
  }
}
