/** The two ends of a pipe between the main thread and an executor in a process (H11). */
import type { Socket } from "node:net";
import type { ExecutorChannel, HostChannel, OutgoingFrame } from "../frames/carrier.ts";
import { ControlWord } from "../frames/control-word.ts";
import { type Frame, FrameType } from "../frames/protocol.ts";
import { GuestFault } from "../guest.ts";
import { BrokenFrame, FrameReader, FrameWriter } from "./frames.ts";

/** So many bytes wait for the next turn of the event loop, not more. */
const GATHER_MAX_BYTES = 32 * 1024;
/** A reader that has so much to do reads no more for now. */
const READ_AHEAD_MAX_BYTES = 1024 * 1024;
/** A guest that computes for longer must not keep back what it has said before. */
const GATHER_MAX_MS = 1;

class PipeEnd {
  protected socket: Socket | undefined;
  protected readonly writer = new FrameWriter((bytes) => this.#write(bytes));
  protected readonly reader: FrameReader;
  protected wake: (() => void) | undefined;
  protected isClosed = false;
  /** Sent before there was a socket. */
  readonly #early: Uint8Array[] = [];
  #flushes = false;
  readonly #flush = (): void => {
    this.#flushes = false;
    this.flush();
  };

  constructor(reader: FrameReader) {
    this.reader = reader;
  }

  connect(socket: Socket): void {
    if (this.isClosed) {
      socket.destroy();
      return;
    }
    this.socket = socket;
    // The process has ended, which is told elsewhere.
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      this.reader.push(chunk);
      if (this.reader.pendingBytes > READ_AHEAD_MAX_BYTES) {
        socket.pause();
      }
      const { wake } = this;
      this.wake = undefined;
      wake?.();
    });
    for (const bytes of this.#early.splice(0)) {
      socket.write(bytes);
    }
  }

  flush(): void {
    if (!this.isClosed) {
      this.writer.flush();
    }
  }

  #write(bytes: Uint8Array): void {
    if (this.socket === undefined) {
      this.#early.push(bytes);
    } else {
      this.socket.write(bytes);
    }
  }

  /** Sends what was added, at the end of this turn of the event loop at the latest. */
  protected sent(): void {
    if (this.writer.pendingBytes > GATHER_MAX_BYTES) {
      this.flush();
    } else if (!this.#flushes) {
      this.#flushes = true;
      setImmediate(this.#flush);
    }
  }

  protected read(): Frame | undefined {
    const frame = this.reader.next();
    if (this.socket?.isPaused() && this.reader.pendingBytes < READ_AHEAD_MAX_BYTES / 2) {
      this.socket.resume();
    }
    return frame;
  }
}

export class HostPipe extends PipeEnd implements HostChannel {
  readonly interrupt: () => void;
  readonly #onReady: () => void;
  readonly #onBroken: (message: string) => void;

  /**
   * @param interrupt  see `HostChannel`
   * @param onReady    the process serves its end; of a worker in it `receive` tells
   * @param onBroken   what came cannot be read; nothing more will be
   */
  constructor(bodyMaxBytes: number, interrupt: () => void, onReady: () => void, onBroken: (message: string) => void) {
    super(new FrameReader(bodyMaxBytes, false));
    this.interrupt = interrupt;
    this.#onReady = onReady;
    this.#onBroken = onBroken;
  }

  send(frame: OutgoingFrame): void {
    if (!this.isClosed) {
      this.writer.add(frame);
      this.sent();
    }
  }

  sendAttached(frame: OutgoingFrame, attachment: unknown): void {
    if (!this.isClosed) {
      this.writer.addObject(frame, attachment);
      this.sent();
    }
  }

  receive(): Frame | undefined {
    if (this.isClosed) {
      return undefined;
    }
    try {
      const frame = this.read();
      if (frame?.type !== FrameType.ready || frame.worker !== 0) {
        return frame;
      }
      this.#onReady();
      return this.receive();
    } catch (error) {
      if (!(error instanceof BrokenFrame)) {
        throw error;
      }
      this.close();
      this.#onBroken(error.message);
      return undefined;
    }
  }

  sleepAsync(wake: () => void): boolean {
    this.wake = wake;
    return true;
  }

  close(): void {
    this.isClosed = true;
    this.wake = undefined;
    this.socket?.destroy();
  }
}

export class ExecutorPipe extends PipeEnd implements ExecutorChannel {
  readonly control = new ControlWord();
  readonly #now: () => number;
  /** When this turn of the event loop began, or later. */
  #turnMs = 0;

  /** @param sharesObjects  see FrameReader */
  constructor(socket: Socket, now: () => number, sharesObjects = false) {
    super(new FrameReader(2 ** 32 - 1, true, sharesObjects));
    this.#now = now;
    this.connect(socket);
  }

  send(frame: OutgoingFrame): void {
    this.writer.add(frame);
    if (isPosted(frame) || this.#now() - this.#turnMs > GATHER_MAX_MS) {
      this.flush();
    } else {
      this.sent();
    }
  }

  sendPort(): void {
    throw new GuestFault("threads: the call runs in a process that has none");
  }

  receive(): Frame | undefined {
    this.#turnMs = this.#now();
    return this.read();
  }

  sleep(_isOwed: boolean, wake: () => void): boolean {
    this.flush();
    this.wake = wake;
    return true;
  }
}

/** Its guest goes on, perhaps for long, and this thread has no turn before that suspends or ends (H5). */
function isPosted({ type, a }: OutgoingFrame): boolean {
  return type === FrameType.log || (type === FrameType.operation && a === 0);
}
