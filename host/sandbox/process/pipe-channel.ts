/** The two ends of a pipe between the main thread and an executor in a process (H11). */
import type { Socket } from "node:net";
import type { ExecutorChannel, HostChannel, OutgoingFrame } from "../carrier.ts";
import { ControlWord } from "../control-word.ts";
import { GuestFault } from "../guest.ts";
import { type Frame, FrameType } from "../protocol.ts";
import { BrokenFrame, FrameReader, FrameWriter } from "./frames.ts";

/** So many bytes wait for the next turn of the event loop, not more. */
const GATHER_MAX_BYTES = 32 * 1024;
/** A reader that has so much to do reads no more for now. */
const READ_AHEAD_MAX_BYTES = 1024 * 1024;
/** A guest that computes for longer must not keep back what it has said before. */
const GATHER_MAX_MS = 1;

class PipeEnd {
  protected readonly socket: Socket;
  protected readonly writer: FrameWriter;
  protected readonly reader: FrameReader;
  protected wake: (() => void) | undefined;
  protected isClosed = false;
  #flushes = false;
  readonly #flush = (): void => {
    this.#flushes = false;
    this.flush();
  };

  constructor(socket: Socket, reader: FrameReader) {
    this.socket = socket;
    this.reader = reader;
    this.writer = new FrameWriter((bytes) => socket.write(bytes));
    socket.on("data", (chunk: Buffer) => {
      reader.push(chunk);
      if (reader.pendingBytes > READ_AHEAD_MAX_BYTES) {
        socket.pause();
      }
      const { wake } = this;
      this.wake = undefined;
      wake?.();
    });
  }

  flush(): void {
    if (!this.isClosed) {
      this.writer.flush();
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
    if (this.socket.isPaused() && this.reader.pendingBytes < READ_AHEAD_MAX_BYTES / 2) {
      this.socket.resume();
    }
    return frame;
  }
}

export class HostPipe extends PipeEnd implements HostChannel {
  readonly #onReady: () => void;
  readonly #onBroken: (message: string) => void;

  /**
   * @param onReady   the process serves its end
   * @param onBroken  what came cannot be read; nothing more will be
   */
  constructor(socket: Socket, bodyMaxBytes: number, onReady: () => void, onBroken: (message: string) => void) {
    super(socket, new FrameReader(bodyMaxBytes, false));
    this.#onReady = onReady;
    this.#onBroken = onBroken;
    // The process has ended, which is told elsewhere.
    socket.on("error", () => {});
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
      if (frame?.type !== FrameType.ready) {
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

  interrupt(): void {}

  close(): void {
    this.isClosed = true;
    this.wake = undefined;
    this.socket.destroy();
  }
}

export class ExecutorPipe extends PipeEnd implements ExecutorChannel {
  readonly control = new ControlWord();
  readonly #now: () => number;
  /** When this turn of the event loop began, or later. */
  #turnMs = 0;

  constructor(socket: Socket, now: () => number) {
    super(socket, new FrameReader(2 ** 32 - 1, true));
    this.#now = now;
  }

  send(frame: OutgoingFrame): void {
    this.writer.add(frame);
    if (this.#now() - this.#turnMs > GATHER_MAX_MS) {
      this.flush();
    } else {
      this.sent();
    }
  }

  sendPort(): void {
    throw new GuestFault("threads: the call runs in a process of its tenant, which has none");
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
