/**
 * What the guest of one call has asked the host for and not been told.
 *
 * Owns: the operation that it waits for, and the window of those that it does not wait for. Does not own: what operations mean, when the
 * guest goes on (`import-gate.ts`).
 */
import { invariant } from "../../../state/errors.ts";
import { OperationWindow } from "../frames/operation-window.ts";
import type { OperationReply } from "../sandbox.ts";
import type { ImportGate } from "./import-gate.ts";
import type { SliceClock } from "./slice-clock.ts";

interface Waiting<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

export class AskedOperations {
  readonly #gate: ImportGate;
  readonly #clock: SliceClock;
  readonly #send: (operation: number, args: Uint8Array, waits: boolean) => void;
  #window = new OperationWindow();
  #pending: Waiting<OperationReply> | undefined;
  #windowOpens: Waiting<void> | undefined;
  /** Of the operation that the guest asks next: it was asked before the call was stopped. */
  #answer: OperationReply | undefined;

  constructor(gate: ImportGate, clock: SliceClock, send: (operation: number, args: Uint8Array, waits: boolean) => void) {
    this.#gate = gate;
    this.#clock = clock;
    this.#send = send;
  }

  /** Another call begins. */
  begin(): void {
    this.#window = new OperationWindow();
    this.#answer = undefined;
  }

  /** The call goes on in the middle. @param answer  of the operation in which it was stopped */
  goOn(answer: OperationReply | undefined): void {
    this.#answer = answer;
  }

  request(operation: number, args: Uint8Array): Promise<OperationReply> {
    invariant(this.#pending === undefined, "a guest waits for one operation at a time");
    this.#gate.operations += 1;
    const answer = this.#answer;
    if (answer !== undefined) {
      this.#answer = undefined;
      return Promise.resolve(answer);
    }
    // Told along: the worker may be lost before the guest asks again.
    this.#clock.count();
    this.#send(operation, args, true);
    this.#clock.stop();
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject };
    });
  }

  /** Undefined: more may be posted at once. */
  post(operation: number, args: Uint8Array): Promise<void> | undefined {
    this.#gate.operations += 1;
    this.#send(operation, args, false);
    this.#window.add(args.byteLength);
    if (!this.#window.full) {
      return undefined;
    }
    this.#clock.stop();
    return new Promise((resolve, reject) => {
      this.#windowOpens = { resolve, reject };
    });
  }

  reply(reply: OperationReply): void {
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending !== undefined) {
      this.#gate.markNext();
      pending.resolve(reply);
    }
  }

  acknowledge(count: number): void {
    this.#window.acknowledge(count);
    if (!this.#window.full) {
      this.#windowOpens?.resolve();
      this.#windowOpens = undefined;
    }
  }

  /** Gives up the operation that the guest waits for, if its import has asked for nothing else: it is asked again. Returns whether it did. */
  breakOff(): boolean {
    if (this.#pending === undefined || this.#gate.operations !== 1) {
      return false;
    }
    this.#pending = undefined;
    return true;
  }

  /** What the guest waits for never comes. */
  reject(ending: unknown): void {
    const waiting = this.#pending ?? this.#windowOpens;
    this.#pending = undefined;
    this.#windowOpens = undefined;
    if (waiting !== undefined) {
      this.#gate.markNext();
      waiting.reject(ending);
    }
  }
}
