/**
 * What carries frames to an executor and back: a thread with rings in shared memory, or a process with a pipe (H11). The pool and the
 * executor know these interfaces only.
 */
import type { MessagePort } from "node:worker_threads";
import type { ControlWord } from "./control-word.ts";
import type { Frame, FrameType } from "./protocol.ts";
import type { SliceView } from "./slice-marks.ts";

export type OutgoingFrame = Partial<Omit<Frame, "type" | "attachment">> & {
  readonly type: FrameType;
  /** Follows the body, and arrives as a part of it. */
  readonly tail?: Uint8Array;
};

export type Transfer = (ArrayBuffer | MessagePort)[];

/** Both ends. Messages arrive in the order they were sent, whatever their size. */
interface FrameChannel {
  /** Bytes in shared memory must not be changed any more; others are the caller's again when this returns. */
  send(frame: OutgoingFrame): void;
  /** The next message, or undefined. The object is reused by the next `receive`, its body is not. */
  receive(): Frame | undefined;
}

/** The main thread's end: never blocks. */
export interface HostChannel extends FrameChannel {
  /** Sends a frame with an object beside it, which the receiver finds in `attachment`, or in `body` if it is bytes. */
  sendAttached(frame: OutgoingFrame, attachment: unknown, transfer?: Transfer): void;
  /**
   * Calls `wake` once a message may be there; false when one is there already. Only after `receive` has returned undefined. Does not
   * keep the event loop alive.
   */
  sleepAsync(wake: () => void): boolean;
  /** Asks the guest that runs to give way, which it does if it is preemptible. */
  interrupt(): void;
  /** Drops what was not sent and all that is sent later; a pending `sleepAsync` ends. */
  close(): void;
}

/** The executor's end. */
export interface ExecutorChannel extends FrameChannel {
  /** Raised from outside: with each frame where there is memory to share, else when the guest that runs is asked to give way. */
  readonly control: ControlWord;
  /** Sends a frame with a port beside it. @throws GuestFault  the process has no other thread */
  sendPort(frame: OutgoingFrame, port: MessagePort): void;
  /**
   * Waits until a message may be there: false when it has blocked for that long, or need not wait; true when it will call `wake`.
   * Only after `receive` has returned undefined.
   *
   * @param isOwed  the other side owes an answer
   */
  sleep(isOwed: boolean, wake: () => void): boolean;
}

/** An executor that was started, as the main thread sees it. */
export interface Carrier {
  readonly channel: HostChannel;
  readonly marks: SliceView;
  /**
   * Whether it shares the memory of this process: then a compiled module is handed over instead of its bytes, and what it says is not
   * checked, as it could do anything else as well.
   */
  readonly sharesMemory: boolean;
  /** Resolves when the executor serves its channel; never if it ends before. */
  readonly ready: Promise<void>;
  /** Resolves when it has ended, whoever ended it. */
  readonly ended: Promise<CarrierEnd>;
  /** CPU time that its JavaScript thread has used so far, where the system tells. */
  cpuMs(): number | undefined;
  /** Lowers its priority for good, where the system allows it (H7). */
  renice(): void;
  /** Ends it: resolves when it runs nothing any more. Nothing it has said or says need be heard from now on. */
  terminate(): Promise<void>;
  /** Ends it, with all that is in its hands: it has said what no executor would. Left out: `terminate` does that. */
  breached?(): void;
}

export interface CarrierEnd {
  /** A sentence without a full stop. */
  readonly message: string;
  /** Whether something other than the executor itself may have ended it. */
  readonly isKilled: boolean;
  readonly cause?: unknown;
  /** Of several executors that have ended at once, by one death: the same for all. */
  readonly death?: object;
}
