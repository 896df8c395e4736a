/** Entry of an executor in a thread of a tenant's process. Who starts it is `hub.ts`. */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { invariant } from "../../../state/errors.ts";
import { Executor } from "../executor/executor.ts";
import { threadClock } from "../executor/thread-clock.ts";
import { type ChannelEnd, openWorkerEnd } from "../frames/channel.ts";
import type { CreateImports } from "../guest.ts";
import { type ProcessData, SLICES_DESCRIPTOR } from "./process-worker.ts";
import { SliceFileMarker } from "./slice-file.ts";

export interface ThreadData extends ProcessData {
  readonly channel: ChannelEnd;
  /** See `ThreadLife`. */
  readonly life: MessagePort;
  /** Where its slice marks are. */
  readonly slot: number;
  /** Name of the module that makes imports. */
  readonly imports: string;
}

const { channel, slot, imports, sandboxesMax, idleMaxBytes } = workerData as ThreadData;
invariant(parentPort !== null, "thread-worker.ts runs as a worker");
const { createImports } = (await import(imports)) as { createImports: CreateImports };
const executor = new Executor({
  channel: openWorkerEnd(channel),
  marker: new SliceFileMarker(SLICES_DESCRIPTOR, slot, true),
  createImports,
  clock: threadClock(),
  sandboxesMax,
  idleMaxBytes,
});
parentPort.postMessage("serves");
executor.run();
