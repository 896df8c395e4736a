/**
 * A process of one tenant with several executors, each in a thread of it (`hub.ts`): they share the memories of the tenant's regions, and
 * the threads of a call its memory.
 *
 * Owns: which thread a frame is to or from, memories in the process, requests to them. Does not own: the process (ProcessCarrier), calls.
 *
 * 1. Numbers of threads and memories name one each for the life of the process.
 * 2. When the process has ended, so have all its threads, memories and requests.
 * 3. A frame is worth no more than any that a process says: a thread may speak for another one of its own tenant, and for nobody else.
 */
import type { Clock } from "../../../state/ports.ts";
import type { ArenaMemory } from "../../../state/regions/index.ts";
import { ArenaRequests, ProcessArena } from "../arenas/index.ts";
import type { CarrierEnd, OutgoingFrame } from "../frames/carrier.ts";
import { FrameType } from "../frames/protocol.ts";
import type { ProcessCarrier } from "./process-carrier.ts";
import { ProcessThread } from "./process-thread.ts";
import type { ProcessData } from "./process-worker.ts";

/** The main thread goes back to its event loop after so much work on messages. */
const DRAIN_MAX_MS = 1;
/** Of frames that one thread has not taken: until it does, nothing more is read. */
const INBOX_MAX_FRAMES = 1024;

export class ThreadedProcess {
  /** Resolves when it has ended, with the memories that are gone with it. */
  readonly lost: Promise<readonly ArenaMemory[]>;
  readonly #carrier: ProcessCarrier;
  readonly #clock: Clock;
  readonly #threads = new Map<number, ProcessThread>();
  readonly #arenas = new Set<ProcessArena>();
  readonly #requests: ArenaRequests;
  /** Of slice marks that no thread has. Slot 0 is the process's own. */
  readonly #freeSlots: number[] = [];
  #slots = 1;
  #numbers = 0;
  #isEnded = false;
  #isFull = false;

  constructor(carrier: ProcessCarrier, clock: Clock) {
    this.#carrier = carrier;
    this.#clock = clock;
    this.#requests = new ArenaRequests((frame) => this.#send(frame));
    this.lost = carrier.ended.then((end) => this.#end(end));
    this.#drain();
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  startThread({ sandboxesMax, idleMaxBytes }: ProcessData): ProcessThread {
    this.#numbers += 1;
    const number = this.#numbers;
    const slot = this.#freeSlots.pop() ?? this.#slots++;
    const thread = new ProcessThread({
      carrier: this.#carrier,
      number,
      slot,
      send: (frame) => this.#send(frame),
      sendAttached: (frame, attachment) => this.#carrier.channel.sendAttached(frame, attachment),
      onRoom: () => this.#goOn(),
    });
    this.#threads.set(number, thread);
    this.#send({ type: FrameType.workerStart, worker: number, a: slot, x: sandboxesMax, y: idleMaxBytes });
    return thread;
  }

  createArena(maxPages: number): ProcessArena {
    this.#numbers += 1;
    const arena = new ProcessArena(this.#numbers, maxPages, (frame) => this.#send(frame), this.#requests);
    this.#arenas.add(arena);
    return arena;
  }

  /** False when it is in another process, or gone. */
  has(arena: ArenaMemory): boolean {
    return arena instanceof ProcessArena && this.#arenas.has(arena);
  }

  /** No attempt will reach it any more. Nothing happens when it is in another process. */
  drop(arena: ArenaMemory): void {
    if (arena instanceof ProcessArena && this.#arenas.delete(arena)) {
      arena.drop();
    }
  }

  /** Memories that were not dropped. */
  get arenas(): number {
    return this.#arenas.size;
  }

  async terminate(): Promise<void> {
    await this.#carrier.terminate();
  }

  #send(frame: OutgoingFrame): void {
    this.#carrier.channel.send(frame);
  }

  readonly #drain = (): void => {
    const untilMs = this.#clock.monotonic() + DRAIN_MAX_MS;
    for (let taken = 1; !this.#isEnded; taken++) {
      const { channel } = this.#carrier;
      const frame = channel.receive();
      if (frame === undefined) {
        channel.sleepAsync(this.#drain);
        return;
      }
      const thread = this.#threads.get(frame.worker);
      if (frame.type === FrameType.arenaAnswer) {
        this.#check(this.#requests.answered(frame));
      } else if (thread === undefined) {
        this.#check(frame.worker === 0 ? `a frame of type ${frame.type} from no thread` : undefined);
      } else if (frame.type === FrameType.workerEnded) {
        this.#threadEnded(thread, Buffer.from(frame.body).toString());
      } else if (thread.take(frame) > INBOX_MAX_FRAMES) {
        this.#isFull = true;
        return;
      }
      if ((taken & 15) === 0 && this.#clock.monotonic() >= untilMs) {
        setImmediate(this.#drain);
        return;
      }
    }
  };

  /** A thread has taken frames. */
  #goOn(): void {
    if (this.#isFull) {
      this.#isFull = false;
      setImmediate(this.#drain);
    }
  }

  #check(wrong: string | undefined): void {
    if (wrong !== undefined) {
      this.#carrier.channel.close();
      this.#carrier.kill(`the worker process broke the protocol: ${wrong}`);
    }
  }

  #threadEnded(thread: ProcessThread, message: string): void {
    this.#threads.delete(thread.number);
    this.#freeSlots.push(thread.slot);
    thread.hasEnded({ message: `a thread of the worker process ended: ${message}`, isKilled: false });
    this.#goOn();
  }

  /** Nobody knows by whose doing: whatever ran in one of its threads may have ended them all. */
  #end(end: CarrierEnd): readonly ArenaMemory[] {
    this.#isEnded = true;
    this.#carrier.channel.close();
    for (const arena of this.#arenas) {
      arena.processEnded();
    }
    for (const thread of this.#threads.values()) {
      thread.hasEnded({ ...end, isKilled: true, death: this });
    }
    this.#threads.clear();
    this.#requests.end();
    const lost = Array.from(this.#arenas);
    this.#arenas.clear();
    return lost;
  }
}
