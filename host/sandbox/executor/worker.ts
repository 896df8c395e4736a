/** Entry of a sandbox worker's thread. */
import { readlinkSync } from "node:fs";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { invariant } from "../../../state/errors.ts";
import { type ChannelEnd, openWorkerEnd } from "../frames/channel.ts";
import { SliceMarker } from "../frames/slice-marks.ts";
import type { CreateImports } from "../guest.ts";
import { Executor } from "./executor.ts";
import { threadClock } from "./thread-clock.ts";

export interface WorkerData {
  readonly channel: ChannelEnd;
  /** See `ThreadLife`. */
  readonly life: MessagePort;
  readonly marks: SharedArrayBuffer;
  readonly importsUrl: string;
  readonly sandboxesMax: number;
  readonly idleMaxBytes: number;
}

export interface WorkerReady {
  /** The kernel's id of this thread; undefined where there is no /proc. */
  readonly threadId: number | undefined;
}

const data = workerData as WorkerData;
invariant(parentPort !== null, "worker.ts runs as a worker");
const { createImports } = (await import(data.importsUrl)) as { createImports: CreateImports };
const executor = new Executor({
  channel: openWorkerEnd(data.channel),
  marker: new SliceMarker(data.marks),
  createImports,
  clock: threadClock(),
  sandboxesMax: data.sandboxesMax,
  idleMaxBytes: data.idleMaxBytes,
});
parentPort.postMessage({ threadId: kernelThreadId() } satisfies WorkerReady);
executor.run();

function kernelThreadId(): number | undefined {
  try {
    return Number(readlinkSync("/proc/thread-self").split("/").at(-1));
  } catch {
    return undefined;
  }
}
