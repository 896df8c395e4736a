/** A client that asks under one idempotency key until there is an answer, as clients with retries do. */
import { setTimeout as pause } from "node:timers/promises";
import { call } from "./host-process.ts";

const RETRY_MS = 20;

export interface KeyedCall {
  readonly key: string;
  readonly tenant: string;
  readonly functionName: string;
  readonly input: string;
}

/**
 * @param url  asked before each try
 * @returns the body of the answer
 * @throws for any other answer than 200, 503 and 504
 */
export async function askUntilAnswered(url: () => string, { key, tenant, functionName, input }: KeyedCall): Promise<string> {
  for (;;) {
    try {
      const request = { user: tenant, function: functionName, input_data: input };
      const { status, body } = await call(url(), request, { "idempotency-key": key });
      if (status === 200) {
        return body;
      }
      if (status !== 503 && status !== 504) {
        throw new Error(`${functionName} ${input} was answered ${status}: ${body}`);
      }
    } catch (error) {
      // What fetch throws when the connection breaks.
      if (!(error instanceof TypeError)) {
        throw error;
      }
    }
    await pause(RETRY_MS);
  }
}
