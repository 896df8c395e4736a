/** The step stream of an attempt that began at another node. */
import type { InstanceId } from "../../state/ids.ts";
import { type LogBook, type NewRecord, RecordKind } from "../../state/logbook/index.ts";
import { type Origin, StepStream, type StepStreamState } from "../../state/protocols/index.ts";
import { stepTag } from "../../state/tags.ts";
import { type InstanceInit, payloadBlobs } from "./instance-record.ts";

/** @param encoded  `init`, as its record has it: the attempt may still have to log it */
export async function resumeSteps(
  book: LogBook,
  instance: InstanceId,
  state: StepStreamState,
  init: InstanceInit,
  encoded: Uint8Array,
): Promise<StepStream> {
  const { pins } = state;
  if (state.origin === "unlogged") {
    const record: NewRecord = {
      kind: RecordKind.init,
      tags: [stepTag(instance)],
      data: encoded,
      blobs: payloadBlobs(init.input),
    };
    return StepStream.resume(book, instance, { kind: "unlogged", pins, init: () => record }, state, []);
  }
  const origin: Origin =
    state.origin === "pinned" ? { kind: "pinned", pins, isChild: state.isChild } : { kind: "initialised", pins };
  const { records } = await book.readStream(stepTag(instance), state.position);
  return StepStream.resume(book, instance, origin, state, records);
}
