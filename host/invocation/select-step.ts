/** The step that says which of several calls has ended first. */
import { ByteReader, ByteWriter } from "../../state/bytes.ts";
import type { SeqNum } from "../../state/ids.ts";
import { RecordKind } from "../../state/logbook/index.ts";
import { decodeStep, fingerprint } from "../../state/logbook/step-record.ts";
import type { StepStream } from "../../state/protocols/index.ts";
import type { AttemptWait } from "./attempt-wait.ts";

export interface Contender {
  readonly handle: number;
  /** null: it could not even be started, which counts as ended. */
  readonly ended: Promise<{ readonly seqnum: SeqNum; readonly dependency: SeqNum }> | null;
}

/**
 * Waits until one has ended and logs which. A replay takes the logged choice and waits for none. The choice rests on the end of the
 * chosen one, which is in the log before it.
 *
 * @returns index into `contenders`
 */
export async function selectFirst(contenders: readonly Contender[], steps: StepStream, wait: AttemptWait): Promise<number> {
  for (const { ended } of contenders) {
    // Of those that lose, nobody may ever ask.
    ended?.catch(() => {});
  }
  const chosen = steps.replaying ? 0 : await first(contenders, steps, wait);
  const { theirs } = await steps.step({
    kind: RecordKind.select,
    fingerprint: fingerprint("", Buffer.from(contenders.map(({ handle }) => handle).join(" "))),
    payload: new ByteWriter(4).u32(chosen).take(),
  });
  return theirs === null ? chosen : new ByteReader(decodeStep(theirs.data).payload).u32();
}

async function first(contenders: readonly Contender[], steps: StepStream, wait: AttemptWait): Promise<number> {
  const refused = contenders.findIndex(({ ended }) => ended === null);
  if (refused >= 0) {
    return refused;
  }
  const races = contenders.map(async ({ ended }, index) => ({ index, dependency: (await ended)?.dependency }));
  const { index, dependency } = await wait.for(Promise.race(races));
  if (dependency !== undefined) {
    steps.consulted(dependency);
  }
  return index;
}
