/** Tells the layers below that nobody waits for an answer any more (H28). */
import type { ServerResponse } from "node:http";

/** Aborted when the client's connection closes before the answer was written. */
export function clientSignal(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once("close", () => {
    if (!response.writableEnded) {
      controller.abort();
    }
  });
  return controller.signal;
}
