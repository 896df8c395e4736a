/**
 * Entry of a tenant's process whose guests share memory: executors in threads, and this one, which passes on what the host and they say to
 * each other. No guest runs in this thread, so it always listens, and alone may start threads.
 *
 * Owns: the threads, the memories of regions. Does not own: whose calls run where, which bytes of a memory are whose; the host decides.
 *
 * 1. What the host says is done in its order: a change of a memory before what a guest is told after it.
 * 2. Guests' memories, and ports from thread to thread, never leave the process.
 */
import { Socket } from "node:net";
import type { MessagePort } from "node:worker_threads";
import type { ThreadProgram } from "../../processes/program-text.ts";
import { HubArenas } from "../arenas/hub-arenas.ts";
import { type Frame, FrameType } from "../frames/protocol.ts";
import { endGuestsSoon } from "../limits.ts";

import { HubThread, type HubThreadOptions } from "./hub-thread.ts";
import { ExecutorPipe } from "./pipe-channel.ts";
import { PIPE_DESCRIPTOR } from "./process-worker.ts";

/** What the process is started with. */
export type HubData = Pick<HubThreadOptions, "entry" | "imports" | "flags" | "heapMaxMegabytes">;

/** Serves the pipe until it closes, and ends the process then. */
export function serve(data: HubData, program: ThreadProgram): void {
  endGuestsSoon();
  const socket = new Socket({ fd: PIPE_DESCRIPTOR, readable: true, writable: true });
  const end = () => process.exit(0);
  socket.once("end", end);
  socket.once("error", end);
  const hub = new Hub(new ExecutorPipe(socket, () => performance.now(), true), data, program);
  hub.run();
}

class Hub {
  readonly #pipe: ExecutorPipe;
  readonly #data: HubData;
  readonly #program: ThreadProgram;
  readonly #threads = new Map<number, HubThread>();
  readonly #arenas: HubArenas;
  /** Of threads of calls that wait for the worker that becomes them. `by`: the worker that has started it. */
  readonly #births = new Map<string, { readonly port: MessagePort; readonly by: number }>();

  constructor(pipe: ExecutorPipe, data: HubData, program: ThreadProgram) {
    this.#pipe = pipe;
    this.#data = data;
    this.#program = program;
    this.#arenas = new HubArenas((frame) => pipe.send(frame));
    pipe.send({ type: FrameType.ready });
  }

  readonly run = (): void => {
    for (let frame = this.#pipe.receive(); frame !== undefined; frame = this.#pipe.receive()) {
      this.#take(frame);
    }
    this.#pipe.sleep(false, this.run);
  };

  #take(frame: Frame): void {
    const thread = this.#threads.get(frame.worker);
    switch (frame.type) {
      case FrameType.workerStart:
        this.#start(frame);
        break;
      case FrameType.workerEnd:
        thread?.end();
        break;
      case FrameType.workerInterrupt:
        thread?.interrupt();
        break;
      case FrameType.arenaCreate:
      case FrameType.arenaDrop:
      case FrameType.arenaRequest:
        this.#arenas.take(frame);
        break;
      case FrameType.load:
        thread?.send(frame, { ...(frame.attachment as object), arena: this.#arenas.memory(frame.b) });
        break;
      case FrameType.thread:
        this.#begin(frame, thread);
        break;
      default:
        thread?.send(frame, frame.attachment);
    }
  }

  #start({ worker: number, a: slot, x: sandboxesMax, y: idleMaxBytes }: Frame): void {
    const thread = new HubThread({
      ...this.#data,
      ...{ number, slot, sandboxesMax, idleMaxBytes, program: this.#program },
      onFrame: (frame) => this.#hear(number, frame),
      onServes: () => this.#pipe.send({ type: FrameType.ready, worker: number }),
      onEnd: (message) => {
        this.#threads.delete(number);
        this.#forgetBirths(number);
        this.#pipe.send({ type: FrameType.workerEnded, worker: number, body: Buffer.from(message) });
      },
    });
    this.#threads.set(number, thread);
  }

  #hear(worker: number, frame: Frame): void {
    if (frame.type === FrameType.end || frame.type === FrameType.threadEnd) {
      this.#hearOthers();
    }
    if (frame.type === FrameType.spawn) {
      this.#births.set(birthOf(frame, frame.a), { port: frame.attachment as MessagePort, by: worker });
    }
    this.#pipe.send({ ...frame, worker });
  }

  /** What other threads of the call have said before it ended counts, and comes first. */
  #hearOthers(): void {
    for (const thread of this.#threads.values()) {
      thread.hear();
    }
  }

  /** The worker becomes a thread of a call; of one that is gone, it says that the thread has ended. */
  #begin(frame: Frame, worker: HubThread | undefined): void {
    const name = birthOf(frame, frame.b);
    const birth = this.#births.get(name);
    this.#births.delete(name);
    if (birth === undefined) {
      const { call, attempt } = frame;
      this.#pipe.send({ type: FrameType.threadEnd, call, attempt, worker: frame.worker });
    } else {
      worker?.sendPort(frame, birth.port);
    }
  }

  #forgetBirths(worker: number): void {
    for (const [name, { port, by }] of this.#births) {
      if (by === worker) {
        this.#births.delete(name);
        port.close();
      }
    }
  }
}

function birthOf({ call, attempt }: Frame, thread: number): string {
  return `${call} ${attempt} ${thread}`;
}
