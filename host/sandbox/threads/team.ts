/** The threads of one call, as one of them has them: how a further one is started, and the state of the call that they share. */
import { createHash } from "node:crypto";
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { WASM_PAGE_BYTES } from "../../modules/artefact.ts";
import { type CallPins, CallState, outputTooLarge } from "../executor/guest-call.ts";
import { isShared, shared } from "../frames/shared-bytes.ts";
import type { GuestTeam, JoinableStart, ThreadStack, ThreadStart } from "../guest.ts";
import { Crew } from "./crew.ts";
import { createTeamMemory, type TeamMemory, TeamWords } from "./team-words.ts";

const MAIN_HANDLE = 1;
/** Of a thread that the host gives one: 1 MiB. */
const STACK_PAGES = 16;
export const STACK_BYTES = STACK_PAGES * WASM_PAGE_BYTES;

/** What a new thread is told. It goes from thread to thread: the main thread of the host passes the port on, and holds no guest's memory. */
export interface ThreadBirth {
  readonly memory: WebAssembly.Memory;
  readonly team: TeamMemory;
  readonly pins: CallPins;
  readonly threadsMax: number;
  readonly start: ThreadStart;
}

/** Hands a port to the host, in which a ThreadBirth waits for the worker that becomes the thread. */
export type SendBirth = (thread: number, birth: MessagePort) => void;

export class Team implements GuestTeam {
  readonly thread: number;
  readonly handle: number;
  readonly threadsMax: number;
  readonly words: TeamWords;
  readonly crew: Crew;
  readonly #birth: Omit<ThreadBirth, "start">;
  readonly #send: SendBirth;

  /** @param handle  0: it was not started by `startJoinable`  @param rank  in the crew */
  constructor(thread: number, handle: number, birth: Omit<ThreadBirth, "start">, send: SendBirth, rank = 0) {
    this.thread = thread;
    this.handle = handle;
    this.threadsMax = birth.threadsMax;
    this.words = new TeamWords(birth.team);
    this.crew = new Crew(rank, thread === 0, birth.team.crew, (next, seen, grow) => this.#startMember(next, seen, grow));
    this.#birth = birth;
    this.#send = send;
  }

  /** Of a call that begins with its main thread. */
  static begin(memory: WebAssembly.Memory, pins: CallPins, threadsMax: number, send: SendBirth): Team {
    const input = isShared(pins.input) ? pins.input : shared(Uint8Array.from(pins.input));
    const commandLine = Uint8Array.from(pins.commandLine);
    const seed = Uint8Array.from(pins.seed);
    const team = createTeamMemory(pins.outputMaxBytes);
    return new Team(0, MAIN_HANDLE, { memory, team, pins: { ...pins, input, commandLine, seed }, threadsMax }, send);
  }

  start(start: ThreadStart): number {
    const thread = this.words.start(this.threadsMax);
    if (thread > 0) {
      const { port1, port2 } = new MessageChannel();
      port1.postMessage({ ...this.#birth, start } satisfies ThreadBirth);
      this.#send(thread, port2);
    }
    return thread;
  }

  startJoinable({ tableIndex, argument, isDetached }: JoinableStart, grow: (pages: number) => number): number {
    return this.#startOnStack(isDetached, grow, (stack) => ({ kind: "function", argument, tableIndex, stack }));
  }

  get critical(): Int32Array {
    return this.words.critical;
  }

  join(handle: number): number | null {
    return handle === this.handle ? null : this.words.slots.join(handle);
  }

  detach(handle: number): boolean {
    return this.words.slots.detach(handle);
  }

  createKey(destructor: number): number {
    return this.words.createKey(destructor);
  }

  destructorOf(key: number): number {
    return this.words.destructorOf(key);
  }

  deleteKey(key: number): void {
    this.words.deleteKey(key);
  }

  #startMember(rank: number, seen: number, grow: (pages: number) => number): boolean {
    return this.#startOnStack(true, grow, (stack) => ({ kind: "crew", rank, seen, stack })) > 0;
  }

  /** @returns the thread's handle; 0: there is no room for it */
  #startOnStack(isDetached: boolean, grow: (pages: number) => number, startOf: (stack: ThreadStack) => ThreadStart): number {
    const { slots } = this.words;
    const slot = slots.claim();
    if (slot < 0) {
      return 0;
    }
    const page = slots.stackPage(slot, STACK_PAGES, grow);
    const top = (page + STACK_PAGES) * WASM_PAGE_BYTES;
    const handle = this.words.nextHandle() + MAIN_HANDLE;
    slots.begin(slot, handle, isDetached);
    if (page < 0 || this.start(startOf({ top, slot, handle })) === 0) {
      slots.giveBack(slot);
      return 0;
    }
    return handle;
  }
}

/** Output of all threads is one, in the order in which they write it. */
export class TeamCallState extends CallState {
  readonly #words: TeamWords;

  constructor(pins: CallPins, words: TeamWords) {
    super(pins);
    this.#words = words;
  }

  override appendOutput(bytes: Uint8Array): void {
    const sizeBytes = this.#words.append(bytes);
    if (sizeBytes > this.outputMaxBytes) {
      throw outputTooLarge(sizeBytes, this.outputMaxBytes);
    }
  }

  override replaceOutput(bytes: Uint8Array): void {
    const sizeBytes = this.#words.outputBytes + bytes.byteLength;
    if (sizeBytes > this.outputMaxBytes) {
      throw outputTooLarge(sizeBytes, this.outputMaxBytes);
    }
    super.replaceOutput(bytes);
  }

  override get heldBytes(): number {
    return super.heldBytes + this.#words.outputBytes;
  }

  override output(): Uint8Array {
    return Buffer.concat([this.#words.output(), super.output()]);
  }
}

/** Clock and randomness of a thread are its own: they follow from the call's pins and its number. */
export function pinsOfThread(pins: CallPins, thread: number): CallPins {
  return { ...pins, seed: createHash("sha256").update(pins.seed).update(`thread ${thread}`).digest() };
}
