/**
 * One WebAssembly instance and the stack it lives on; runs one call after the other.
 *
 * Owns: the operations its guest waits for, the CPU time and the end of its call.
 * Does not own: which call runs in it and when it is dropped (`executor.ts`).
 *
 * 1. Each call ends with exactly one `ended`, before anything is reset (H9).
 * 2. Once an import has ended the call (exit, fault, kill, cancellation) every import throws the same again, whatever the guest
 *    catches, and that is the call's outcome (H3).
 * 3. Right before guest code runs, the call is marked as the running slice (H7).
 * 4. A guest whose suspending imports are answered at once passes through the message loop every 64 imports, or 1 ms (H4).
 */
import { InvariantBroken, invariant } from "../../state/errors.ts";
import { TABLE_EXPORT } from "../modules/artefact.ts";
import { type CreateImports, type Guest, GuestExit, GuestFault, type GuestImport } from "./guest.ts";
import { type CallPins, CallState, GuestKill } from "./guest-call.ts";
import { InstanceState } from "./instance-state.ts";
import type { MemoryImage } from "./memory-image.ts";
import { OperationWindow } from "./operation-window.ts";
import { isTrap, type Outcome, outcomeOf } from "./outcome.ts";
import type { GuestState, OperationReply } from "./sandbox.ts";
import { enterResidentStack, runOnOwnStack } from "./trampoline.ts";
import type { WorkerModule } from "./worker-module.ts";

const AT_ONCE_MAX = 64;
const AT_ONCE_MAX_MS = 1;
const NO_CALL = new CallState({
  input: new Uint8Array(0),
  startTimeMs: 0,
  seed: new Uint8Array(0),
  outputMaxBytes: 0,
  logMaxBytes: 0,
});

/** What a sandbox needs of the worker it lives in. */
export interface SandboxHost {
  /** Counts the rounds of the worker's message loop. */
  readonly turn: number;
  /** Runs `resume` in the next round. */
  onNextTurn(resume: () => void): void;
  /** Monotonic, ms. */
  now(): number;
  /** The sandbox's guest runs from now on. */
  markSlice(sandbox: SandboxInstance): void;
  /** Nothing of a guest runs from now on. */
  markIdle(): void;
  sendOperation(sandbox: SandboxInstance, operation: number, args: Uint8Array, waits: boolean): void;
  sendLog(sandbox: SandboxInstance, text: Uint8Array): void;
  /** `reusable`: after a reset. `state`: of a part that ran here. */
  ended(sandbox: SandboxInstance, outcome: Outcome, reusable: boolean, state?: GuestState): void;
}

interface Waiting<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

export class SandboxInstance implements Guest {
  readonly module: WorkerModule;
  /** Names the attempt that runs here to the main thread. */
  slot = -1;
  attempt = 0;
  call: CallState = NO_CALL;
  cpuMs = 0;
  readonly #host: SandboxHost;
  readonly #exports: WebAssembly.Exports;
  readonly #state: InstanceState;
  readonly #suspends: boolean;
  readonly #mark = () => this.#startSlice();
  #window = new OperationWindow();
  #running = false;
  /** What ended the call, thrown again by every import. */
  #ending: unknown;
  #value = 0;
  #trapped = false;
  #dropped = false;
  #pending: Waiting<OperationReply> | undefined;
  #windowOpens: Waiting<void> | undefined;
  /** Leaves the parking place of the resident stack: 1 runs a call, 0 ends the stack. */
  #wake: ((run: number) => void) | undefined;
  #sliceStartMs = Number.NaN;
  /** Times the guest was resumed in this turn of the message loop, and since when. */
  #burst = 0;
  #burstTurn = -1;
  #burstStartMs = 0;

  /** @throws WebAssembly.LinkError for a module whose imports are not offered, RangeError when there is no memory for it */
  constructor(module: WorkerModule, createImports: CreateImports, host: SandboxHost) {
    this.module = module;
    this.#host = host;
    const offered = createImports(this);
    const imports: Record<string, Record<string, WebAssembly.Suspending | GuestImport["run"]>> = {};
    let suspends = false;
    for (const { module: group, name } of module.imports) {
      const found = offered[`${group}.${name}`];
      if (found === undefined) {
        throw new WebAssembly.LinkError(`the import ${group}.${name} is not offered`);
      }
      suspends ||= found.suspends;
      imports[group] ??= {};
      imports[group][name] = found.suspends ? new WebAssembly.Suspending(this.#suspending(found.run)) : this.#plain(found.run);
    }
    this.#suspends = suspends;
    this.#exports = new WebAssembly.Instance(module.loaded.module, imports).exports;
    this.#state = new InstanceState(module, this.#exports);
  }

  get idleBytes(): number {
    return this.#state.idleBytes;
  }

  /** Starts a call. Without suspending imports it has ended when this returns. */
  start(slot: number, attempt: number, pins: CallPins): void {
    if (this.#suspends && this.#wake === undefined) {
      this.#enterStack();
    }
    this.#begin(slot, attempt, pins);
    if (!this.#suspends) {
      this.#startSlice();
      try {
        this.#value = Number(entryOf(this.#exports, this.module.loaded.entry)()) | 0;
        this.#end();
      } catch (error) {
        this.#endThrown(error);
      }
      return;
    }
    queueMicrotask(this.#mark);
    this.#wake?.(1);
  }

  /** Runs a part of a call that began elsewhere, from its state (H15). It ends with the state it leaves behind. */
  startPart(
    slot: number,
    attempt: number,
    pins: CallPins,
    part: { readonly tableIndex: number; readonly state: GuestState },
  ): void {
    this.#begin(slot, attempt, pins);
    let base: MemoryImage;
    try {
      const { runs, pages } = this.#restore(part.state);
      base = this.module.image.with(runs, pages);
    } catch (error) {
      this.#endThrown(error);
      return;
    }
    this.call.inPart = true;
    this.#startSlice();
    this.runTableFunction(part.tableIndex).then(
      (value) => {
        this.#value = value;
        this.#end(base);
      },
      (error) => this.#endThrown(error),
    );
  }

  /** False when it shall be dropped instead of running another call. */
  reset(): boolean {
    this.call = NO_CALL;
    return this.#state.reset();
  }

  /** Gives up the stack of a sandbox that runs no call: a parked stack is never collected (H2). */
  drop(): void {
    this.#dropped = true;
    this.#wake?.(0);
  }

  reply(reply: OperationReply): void {
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending !== undefined) {
      queueMicrotask(this.#mark);
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

  /** Ends the call as soon as the guest lets it: what it waits for is rejected, and from now on every import throws (H3). */
  cancel(): void {
    this.#ending ??= new GuestKill("cancelled", "the attempt was cancelled");
    const waiting = this.#pending ?? this.#windowOpens;
    this.#pending = undefined;
    this.#windowOpens = undefined;
    if (waiting !== undefined) {
      queueMicrotask(this.#mark);
      waiting.reject(this.#ending);
    }
  }

  // Guest

  memory(): Uint8Array {
    return this.#state.view();
  }

  request(operation: number, args: Uint8Array): Promise<OperationReply> {
    invariant(this.#pending === undefined, "a guest waits for one operation at a time");
    this.#host.sendOperation(this, operation, args, true);
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject };
    });
  }

  post(operation: number, args: Uint8Array): Promise<void> | undefined {
    this.#host.sendOperation(this, operation, args, false);
    this.#window.add(args.byteLength);
    if (!this.#window.full) {
      return undefined;
    }
    return new Promise((resolve, reject) => {
      this.#windowOpens = { resolve, reject };
    });
  }

  log(text: string): void {
    const { call } = this;
    const bytes = Buffer.from(text).subarray(0, Math.max(0, call.logMaxBytes - call.logBytes));
    if (bytes.byteLength > 0) {
      call.logBytes += bytes.byteLength;
      this.#host.sendLog(this, bytes);
    }
  }

  capture(): GuestState {
    return { delta: this.#state.capture(this.module.image), hostState: this.call.encode() };
  }

  restore(state: GuestState): void {
    this.#restore(state);
  }

  async runTableFunction(tableIndex: number): Promise<number> {
    const table = this.#exports[TABLE_EXPORT];
    const f = table instanceof WebAssembly.Table && tableIndex < table.length ? table.get(tableIndex) : null;
    if (typeof f !== "function") {
      throw new GuestFault(`the table has no function at ${tableIndex}`);
    }
    try {
      return await runOnOwnStack(f);
    } catch (error) {
      if (error instanceof WebAssembly.LinkError) {
        throw new GuestFault(`the function at ${tableIndex} of the table does not take nothing and return an i32`);
      }
      if (isTrap(error)) {
        this.#trapped = true;
      }
      throw error;
    }
  }

  // calls

  #begin(slot: number, attempt: number, pins: CallPins): void {
    this.slot = slot;
    this.attempt = attempt;
    this.call = new CallState(pins);
    this.cpuMs = 0;
    this.#running = true;
    this.#ending = undefined;
    this.#value = 0;
    this.#window = new OperationWindow();
  }

  #enterStack(): void {
    const { entry, entryReturns } = this.module.loaded;
    const stack = enterResidentStack(
      {
        run: entryOf(this.#exports, entry),
        next: () => {
          if (this.#running) {
            this.#end();
          }
          if (this.#dropped) {
            return Promise.resolve(0);
          }
          return new Promise((resolve) => {
            this.#wake = resolve;
          });
        },
        returned: (value) => {
          this.#value = value;
        },
        threw: () => {
          this.#ending ??= new GuestFault("the guest threw an exception of its own and did not catch it");
        },
      },
      entryReturns,
    );
    stack.catch((error: unknown) => {
      this.#wake = undefined;
      this.#endThrown(error);
    });
  }

  #endThrown(error: unknown): void {
    this.#trapped ||= isTrap(error);
    this.#ending ??= error;
    this.#end();
  }

  /** @param partBase the state that the part which ends here started from */
  #end(partBase?: MemoryImage): void {
    this.#endSlice();
    this.#running = false;
    const outcome: Outcome = this.#ending === undefined ? { kind: "returned", value: this.#value } : outcomeOf(this.#ending);
    const state =
      partBase === undefined || outcome.kind !== "returned"
        ? undefined
        : { delta: this.#state.capture(partBase), hostState: this.call.encode() };
    this.#host.ended(this, outcome, !this.#trapped, state);
  }

  #restore(state: GuestState) {
    try {
      const delta = this.#state.apply(state.delta);
      this.call.restore(state.hostState);
      return delta;
    } catch (error) {
      throw new GuestKill(
        "cancelled",
        `the state of a storage part is damaged: ${error instanceof Error ? error.message : error}`,
      );
    }
  }

  // slices

  #startSlice(): void {
    this.#endSlice();
    this.#sliceStartMs = this.#host.now();
    this.#host.markSlice(this);
  }

  #endSlice(): void {
    if (!Number.isNaN(this.#sliceStartMs)) {
      this.cpuMs += this.#host.now() - this.#sliceStartMs;
      this.#sliceStartMs = Number.NaN;
      this.#host.markIdle();
    }
  }

  // imports

  /** A guest's import, with what may be thrown remembered. */
  #plain(run: GuestImport["run"]): GuestImport["run"] {
    return (...args: never[]) => {
      if (this.#ending !== undefined) {
        throw this.#ending;
      }
      try {
        return run(...args);
      } catch (error) {
        throw this.#failed(error);
      }
    };
  }

  #suspending(run: GuestImport["run"]): GuestImport["run"] {
    const plain = this.#plain(run);
    return (...args: never[]) => {
      const result = plain(...args);
      this.#endSlice();
      if (result instanceof Promise) {
        return new Promise((resolve, reject) => {
          result.then(
            (value) => this.#resume(value, resolve, reject),
            (error) => {
              this.#failed(error);
              this.#resume(undefined, resolve, reject);
            },
          );
        });
      }
      if (this.#mayGoOn()) {
        queueMicrotask(this.#mark);
        return result;
      }
      return new Promise((resolve, reject) => this.#resumeInNextTurn(result, resolve, reject));
    };
  }

  #resume(result: unknown, resolve: (value: unknown) => void, reject: (error: unknown) => void): void {
    if (this.#mayGoOn()) {
      queueMicrotask(this.#mark);
      if (this.#ending === undefined) {
        resolve(result);
      } else {
        reject(this.#ending);
      }
    } else {
      this.#resumeInNextTurn(result, resolve, reject);
    }
  }

  #resumeInNextTurn(result: unknown, resolve: (value: unknown) => void, reject: (error: unknown) => void): void {
    this.#host.onNextTurn(() => this.#resume(result, resolve, reject));
  }

  /** False when the guest has been resumed so often, or so long, since the messages were last looked at that they come first (H4). */
  #mayGoOn(): boolean {
    if (this.#burstTurn !== this.#host.turn) {
      this.#burstTurn = this.#host.turn;
      this.#burstStartMs = this.#host.now();
      this.#burst = 0;
    }
    this.#burst += 1;
    return this.#burst <= AT_ONCE_MAX && this.#host.now() - this.#burstStartMs < AT_ONCE_MAX_MS;
  }

  /** What the guest gets to see of an error, now and at every later import. */
  #failed(error: unknown): unknown {
    if (error instanceof InvariantBroken) {
      queueMicrotask(() => {
        throw error;
      });
    }
    if (error instanceof GuestExit && this.call.inPart) {
      this.#ending ??= new GuestFault("the guest exited inside a storage part");
    }
    this.#ending ??= error;
    return this.#ending;
  }
}

function entryOf(exports: WebAssembly.Exports, name: string) {
  const entry = exports[name];
  if (typeof entry !== "function") {
    throw new WebAssembly.LinkError(`the module exports no function ${name}`);
  }
  return entry;
}
