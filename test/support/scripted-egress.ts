/** The outside as a test wants it. */
import type { Egress, EgressRequest, EgressResponse } from "../../host/egress/index.ts";

export type Answer = Omit<EgressResponse, "body"> & { readonly body: string };

export class ScriptedEgress implements Egress {
  /** All requests that have left, oldest first. */
  readonly sent: EgressRequest[] = [];
  /** What the other side does. May throw as `exchange` may. */
  answer: (request: EgressRequest, signal: AbortSignal) => Answer | Promise<Answer> = ({ method, url }) => ({
    status: 200,
    headers: [["Content-Type", "text/plain"]],
    body: `${method} ${url} ${this.sent.length}`,
  });

  async exchange<T>(
    request: EgressRequest,
    _atMostMs: number,
    signal: AbortSignal,
    use: (response: EgressResponse) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted();
    this.sent.push(request);
    const { body, ...head } = await this.answer(request, signal);
    return use({ ...head, body: oneChunk(body) });
  }
}

async function* oneChunk(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}
