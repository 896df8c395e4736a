/** One attempt as the main thread knows it, from `start` to its only `onEnd`. */

import { AcknowledgementBatch } from "../frames/operation-window.ts";
import { EMPTY, FrameType, type SharedReply } from "../frames/protocol.ts";
import type { FrozenStart, OperationReply, SandboxCall, SandboxEnd, SandboxHandler, SandboxStart } from "../sandbox.ts";
import type { AttemptQueue } from "./attempt-queue.ts";
import type { MemoryBudget, MemoryClaim } from "./memory-budget.ts";
import type { ModuleEntry } from "./module-cache.ts";
import { outputBytes } from "./sandbox-end.ts";
import type { SandboxWorker } from "./sandbox-worker.ts";

/**
 * 1. `handler.onEnd` is called once; after it the handler hears nothing more, whatever the worker still says (H6).
 * 2. An attempt that has ended here keeps its slot until its worker has let go of it: only then may the slot be used again.
 */
export class Attempt implements SandboxCall {
  /** Without `frozen`. */
  readonly start: SandboxStart;
  /** The call as it was stopped, until a worker has it. */
  frozen: FrozenStart | undefined;
  readonly handler: SandboxHandler;
  readonly module: ModuleEntry;
  /** Monotonic, ms. */
  readonly deadlineMs: number;
  /** Names the attempt to workers, see `protocol.ts`. */
  readonly slot: number;
  readonly attempt: number;
  /** Once it is read. */
  input: Uint8Array | undefined;
  /** Where it waits for a worker. */
  queue: AttemptQueue | undefined;
  /** Its part of the pool's memory, from when it could begin on. */
  memory: MemoryClaim | undefined;
  /** The worker that has it. */
  worker: SandboxWorker | undefined;
  ended = false;
  /** Its guest is suspended until `reply`. */
  waiting = false;
  /** It shall be stopped in the middle. */
  freezeAsked = false;
  /** CPU time after which it is no longer waited for that it is. */
  freezeMaxCpuMs: number | undefined;
  #isGone = false;
  /** CPU time as far as it is known here. */
  cpuMs = 0;
  /** What it has printed. */
  logBytes = 0;
  readonly #onCancel: (attempt: Attempt) => void;
  readonly #acknowledgements = new AcknowledgementBatch();

  constructor(
    place: { readonly slot: number; readonly attempt: number },
    module: ModuleEntry,
    start: SandboxStart,
    handler: SandboxHandler,
    deadlineMs: number,
    onCancel: (attempt: Attempt) => void,
  ) {
    this.slot = place.slot;
    this.attempt = place.attempt;
    this.module = module;
    this.start = start.frozen === undefined ? start : withoutFrozen(start);
    this.frozen = start.frozen;
    this.input = start.input instanceof Uint8Array ? start.input : undefined;
    this.handler = handler;
    this.deadlineMs = deadlineMs;
    this.#onCancel = onCancel;
  }

  /** It has posted more than its window lets through. */
  get isOverrun(): boolean {
    return this.#acknowledgements.isOverrun;
  }

  /** @throws what reading it throws */
  async readInput(): Promise<void> {
    const { input } = this.start;
    this.input = input instanceof Uint8Array ? input : await input.read();
  }

  /** A worker has it. */
  begun(): void {
    this.input = undefined;
    if (this.frozen !== undefined) {
      this.frozen = undefined;
      this.handler.onBegun?.();
    }
  }

  reply({ code, timeMs, bytes, state }: OperationReply): void {
    this.waiting = false;
    if (state === undefined) {
      this.#tell(FrameType.reply, code, timeMs, bytes);
    } else if (!this.ended) {
      const frame = { type: FrameType.reply, call: this.slot, attempt: this.attempt, a: code, x: timeMs };
      this.worker?.channel.sendAttached(frame, { bytes: Uint8Array.from(bytes), state } satisfies SharedReply);
    }
  }

  acknowledge(): void {
    const count = this.#acknowledgements.carriedOut();
    if (count > 0) {
      this.#tell(FrameType.acknowledge, count, 0, EMPTY);
    }
  }

  cancel(): void {
    this.#onCancel(this);
  }

  freeze(): void {
    this.freezeAsked = true;
    this.#tell(FrameType.freeze, 0, 0, EMPTY);
  }

  onOperation(operation: number, args: Uint8Array, waits: boolean, cpuMs: number): void {
    this.cpuMs = cpuMs;
    this.waiting = waits;
    if (!waits) {
      this.#acknowledgements.posted(args.byteLength);
    }
    this.handler.onOperation(operation, args, waits);
  }

  /** Reports the end, unless one was reported before. */
  end(end: SandboxEnd): void {
    if (!this.ended) {
      this.ended = true;
      this.handler.onEnd(end);
    }
  }

  /** The end as its owner gets it: an output for which there is no room is lost, and with it the attempt. */
  endWithin(budget: MemoryBudget, end: SandboxEnd): SandboxEnd {
    const bytes = outputBytes(end);
    if (bytes === 0 || this.memory === undefined || budget.mayEndWith(this.memory, bytes)) {
      return end;
    }
    const reason = bytes > budget.maxBytes ? "tooLarge" : "overloaded";
    const message = `an output of ${bytes} bytes, for which too few are left of the ${budget.maxBytes} that all sandboxes together may have`;
    return { kind: "killed", reason, message, cpuMs: end.cpuMs };
  }

  /** Gives back its part of the memory; what an end with a long output needs of it when that is used. */
  leaveMemory(budget: MemoryBudget, end: SandboxEnd | undefined): void {
    const bytes = this.ended ? 0 : outputBytes(end);
    if (this.memory !== undefined && bytes === 0) {
      budget.leave(this.memory);
    } else if (this.memory !== undefined) {
      void budget.leaveAfter(this.handler.outputUsed, this.memory, bytes);
    }
  }

  /** Its guest can run no more: it never began, or its worker has let go of it, or its thread has ended. */
  gone(): void {
    if (!this.#isGone) {
      this.#isGone = true;
      this.handler.onGone?.();
    }
  }

  #tell(type: FrameType, a: number, x: number, body: Uint8Array): void {
    if (!this.ended) {
      this.worker?.channel.send({ type, call: this.slot, attempt: this.attempt, a, x, body });
    }
  }
}

function withoutFrozen({ frozen: _, ...others }: SandboxStart): SandboxStart {
  return others;
}
