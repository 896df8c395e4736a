/** A guest's sleep. */

import { RecordKind } from "../../state/logbook/index.ts";
import { fingerprint } from "../../state/logbook/step-record.ts";
import type { StepStream } from "../../state/protocols/index.ts";
import { Operation, sleepArgs } from "../abi/operations.ts";
import type { OperationReply } from "../sandbox/sandbox.ts";
import type { AttemptWait } from "./attempt-wait.ts";
import { plainReply } from "./object-operations.ts";
import { pause, type Time } from "./pause.ts";

export class SleepOperations {
  readonly #steps: StepStream;
  readonly #time: Time;
  readonly #wait: AttemptWait;

  constructor(steps: StepStream, time: Time, wait: AttemptWait) {
    this.#steps = steps;
    this.#time = time;
    this.#wait = wait;
  }

  /** @returns null when `operation` is not sleep */
  perform(operation: number, args: Uint8Array): Promise<OperationReply> | null {
    return operation === Operation.sleep ? this.#sleep(args) : null;
  }

  async #sleep(args: Uint8Array): Promise<OperationReply> {
    const { durationMs } = sleepArgs.decode(args);
    const { record } = await this.#steps.step({
      kind: RecordKind.sleep,
      fingerprint: fingerprint("", durationMs),
      payload: new Uint8Array(0),
    });
    const wakeMs = record.timeMs + durationMs;
    // The record's time is the owner's; a clock that is behind it must not make the guest sleep longer than it asked for.
    const restMs = Math.min(wakeMs - this.#time.clock.now(), durationMs);
    if (restMs > 0) {
      await this.#wait.for(pause(this.#time, restMs), restMs);
    }
    return plainReply(0, wakeMs);
  }
}
