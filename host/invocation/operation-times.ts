import type { Clock } from "../../state/ports.ts";
import { Operation } from "../abi/operations.ts";
import type { PerformOperation } from "./attempt.ts";
import type { OperationTrace } from "./invocation.ts";

const NAMES = new Map<number, string>(Object.entries(Operation).map(([name, number]) => [number, name]));

/** The same, with the time each operation takes added to `times`, which is emptied first. Those that fail are left out. */
export function measured(perform: PerformOperation, clock: Pick<Clock, "monotonic">, times: OperationTrace[]): PerformOperation {
  times.length = 0;
  return async (operation, args) => {
    const startMs = clock.monotonic();
    const reply = await perform(operation, args);
    times.push({ kind: NAMES.get(operation) ?? "unknown", durationMs: clock.monotonic() - startMs });
    return reply;
  };
}
