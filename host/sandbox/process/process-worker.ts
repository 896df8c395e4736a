/** Entry of an executor in a process of its own. What it is started with is in `process-reserve.ts`. */
import { Socket } from "node:net";
import { Executor } from "../executor/executor.ts";
import { threadClock } from "../executor/thread-clock.ts";
import { FrameType } from "../frames/protocol.ts";
import type { CreateImports } from "../guest.ts";
import { endGuestsSoon } from "../limits.ts";
import { hearInterrupts } from "./interrupts.ts";
import { ExecutorPipe } from "./pipe-channel.ts";
import { SliceFileMarker } from "./slice-file.ts";

/** Descriptors that the process is born with. */
export const PIPE_DESCRIPTOR = 3;
export const INTERRUPTS_DESCRIPTOR = 4;
export const SLICES_DESCRIPTOR = 5;

export interface ProcessData {
  readonly sandboxesMax: number;
  readonly idleMaxBytes: number;
}

/** Serves the pipe until it closes, and ends the process then. */
export function serve(createImports: CreateImports, { sandboxesMax, idleMaxBytes }: ProcessData): void {
  endGuestsSoon();
  const clock = threadClock();
  const socket = new Socket({ fd: PIPE_DESCRIPTOR, readable: true, writable: true });
  const end = () => process.exit(0);
  socket.once("end", end);
  socket.once("error", end);
  const channel = new ExecutorPipe(socket, () => clock.now());
  hearInterrupts(INTERRUPTS_DESCRIPTOR, channel.control);
  const marker = new SliceFileMarker(SLICES_DESCRIPTOR, 0, false);
  const executor = new Executor({ channel, marker, createImports, clock, sandboxesMax, idleMaxBytes });
  channel.send({ type: FrameType.ready });
  executor.run();
}
