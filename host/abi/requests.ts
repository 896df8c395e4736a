/** How imports ask the host's main thread. */
import type { Guest } from "../sandbox/guest.ts";
import type { OperationReply } from "../sandbox/sandbox.ts";
import type { Operation } from "./operations.ts";

/** Suspends the guest until the answer is there; from then on its clock is not behind the record that the answer rests on (F35). */
export async function request(guest: Guest, operation: Operation, args: Uint8Array): Promise<OperationReply> {
  const { call } = guest;
  const reply = await guest.request(operation, args);
  call.lastTimeMs = Math.max(call.lastTimeMs, reply.timeMs);
  return reply;
}

/**
 * Posts a step whose outcome the guest cannot see (H5) and gives `result` to the guest, at once unless the window is full.
 *
 * A guest that reaches memory regions waits until the step is ordered: whoever sees there what it writes next, and answers, then waits
 * for the step to be durable (F23).
 */
export function post(guest: Guest, operation: Operation, args: Uint8Array, result: number): number | Promise<number> {
  if (guest.reachesRegions) {
    return request(guest, operation, args).then(() => result);
  }
  const windowOpens = guest.post(operation, args);
  return windowOpens === undefined ? result : windowOpens.then(() => result);
}
