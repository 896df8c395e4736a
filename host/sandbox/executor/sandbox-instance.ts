/**
 * One WebAssembly instance and the stack it lives on; runs one call after the other.
 *
 * Owns: the operations its guest waits for and the end of its call.
 * Does not own: which call runs in it and when it is dropped (`executor.ts`), when its guest goes on (`import-gate.ts`).
 *
 * 1. Each call ends with exactly one `ended`, before anything is reset (H9).
 * 2. What an import has thrown is the call's outcome, whatever the guest makes of it (H3).
 * 3. A stack that is parked or suspended is left in the end: by `drop`, by a cancellation, or by a trap (H2).
 */
import {
  CONTROL_IMPORT,
  INTERRUPT_IMPORT,
  SHARED_MEMORY_IMPORT,
  usesSideModules,
  usesThreads,
  WASM_PAGE_BYTES,
} from "../../modules/artefact.ts";
import type { SliceMarks } from "../frames/slice-marks.ts";
import {
  type CreateImports,
  type FunctionType,
  type Guest,
  GuestExit,
  GuestFault,
  type GuestImport,
  type ParallelRegion,
} from "../guest.ts";
import type { FrozenStart, GuestState, OperationReply } from "../sandbox.ts";
import { type SendBirth, Team, TeamCallState } from "../threads/team.ts";
import { ArenaAliases } from "./arena-aliases.ts";
import { AskedOperations } from "./asked-operations.ts";
import { TypedCalls, type TypedHost } from "./entry-points/index.ts";
import { Freezer } from "./freezer.ts";
import { decodeFrozenCall, encodeFrozenCall } from "./frozen-call.ts";
import { type CallPins, CallState, GuestKill } from "./guest-call.ts";
import { ImportGate, type MessageLoop } from "./import-gate.ts";
import { InstanceState } from "./instance-state.ts";
import { linkImports } from "./link-imports.ts";
import { logWithin } from "./log-within.ts";
import type { MemoryImage } from "./memory-image.ts";
import { isTrap, type Outcome, outcomeOf } from "./outcome.ts";
import { shareOf } from "./region-share.ts";
import { SecondStacks } from "./second-stacks.ts";
import { Settling } from "./settling.ts";
import { SideModules } from "./side-modules/index.ts";
import { SliceClock } from "./slice-clock.ts";
import { tableFunction } from "./table-function.ts";
import { enterResidentStack } from "./trampoline.ts";
import { UnwindableStack } from "./unwindable-stack.ts";
import type { WorkerModule } from "./worker-module.ts";

const NO_CALL = new CallState({
  input: new Uint8Array(0),
  commandLine: new Uint8Array(0),
  startTimeMs: 0,
  seed: new Uint8Array(0),
  outputMaxBytes: 0,
  logMaxBytes: 0,
  cpuTimeMs: 0,
});

/** Of an input that is a number. */
const NUMBER_MAX_BYTES = 64;

/** What a sandbox needs of the worker it lives in. */
export interface SandboxHost extends MessageLoop {
  readonly marker: SliceMarks;
  /** What preemptible guests look at. */
  readonly control: WebAssembly.Memory;
  sendOperation(sandbox: SandboxInstance, operation: number, args: Uint8Array, waits: boolean): void;
  /** Its memory has another size than it had when the call began, or than was said last. */
  sendMemory(sandbox: SandboxInstance): void;
  sendLog(sandbox: SandboxInstance, text: Uint8Array): void;
  /** A thread of the sandbox's call shall begin. */
  sendBirth(sandbox: SandboxInstance, ...birth: Parameters<SendBirth>): void;
  /** `reusable`: after a reset. `state`: of a part that ran here. */
  ended(sandbox: SandboxInstance, outcome: Outcome, reusable: boolean, state?: GuestState): void;
}

export class SandboxInstance implements Guest {
  readonly module: WorkerModule;
  /** Names the attempt that runs here to the main thread. */
  slot = -1;
  attempt = 0;
  call: CallState = NO_CALL;
  /** When it was last used. */
  idleSinceMs = 0;
  readonly aliases: ArenaAliases | null;
  readonly sideModules: SideModules | null;
  readonly #host: SandboxHost;
  readonly #clock: SliceClock;
  readonly #gate: ImportGate;
  readonly #freezer: Freezer | null;
  readonly #exports: WebAssembly.Exports;
  readonly #state: InstanceState;
  /** Null: the module has no typed entry points. */
  readonly #typed: TypedCalls | null;
  readonly #suspends: boolean;
  /** Of a module whose calls have threads. */
  readonly #sharedMemory: WebAssembly.Memory | undefined;
  #team: Team | null = null;
  readonly #asked: AskedOperations;
  readonly #stacks: SecondStacks;
  #running = false;
  /** The call runs on a stack of its own, not on the resident one. */
  #onOwnStack = false;
  readonly #settling: Settling;
  #value = 0;
  #trapped = false;
  #dropped = false;
  #toldPages = 0;
  /** Leaves the parking place of the resident stack: 1 runs a call, 0 ends the stack. */
  #wake: ((run: number) => void) | undefined;

  /** @throws WebAssembly.LinkError for a module whose imports are not offered, RangeError when there is no memory for it */
  constructor(module: WorkerModule, createImports: CreateImports, host: SandboxHost) {
    this.module = module;
    const { aliasState, arena } = module.loaded;
    this.aliases = aliasState && arena !== undefined ? new ArenaAliases(arena) : null;
    this.#host = host;
    this.#clock = new SliceClock(host.marker, host.clock);
    this.#gate = new ImportGate(host, this.#clock, () => this.#isOnResidentStack);
    this.#settling = new Settling(this.#gate);
    const { loaded, importNames } = module;
    // What side modules import is not known yet, and must share with the main module's imports whatever they keep of the call.
    const offered = usesSideModules(loaded) ? createImports(this) : createImports(this, importNames);
    const wrapped = (found: GuestImport) => (found.suspends ? this.#gate.suspending(found) : this.#gate.immediate(found.run));
    const rewriting = { control: host.control, interrupt: this.#gate.interrupt(() => this.#tellMemory()) };
    const { memoryMaxPages: maximum, snapshot } = loaded;
    this.#sharedMemory = usesThreads(loaded)
      ? new WebAssembly.Memory({ initial: snapshot.pages, maximum, shared: true })
      : undefined;
    const ofRewriting =
      this.#sharedMemory === undefined
        ? { [CONTROL_IMPORT]: rewriting.control, [INTERRUPT_IMPORT]: rewriting.interrupt }
        : { [SHARED_MEMORY_IMPORT]: this.#sharedMemory };
    const { imports, suspends } = linkImports(module, offered, wrapped, ofRewriting);
    this.#suspends = suspends;
    this.#exports = new WebAssembly.Instance(module.loaded.module, imports).exports;
    this.#state = new InstanceState(module, this.#exports);
    const stack = UnwindableStack.of(this.#exports);
    this.#freezer = stack && new Freezer(stack);
    this.#gate.freezer = this.#freezer;
    this.#asked = new AskedOperations(this.#gate, this.#clock, (operation, args, waits) =>
      this.#sendOperation(operation, args, waits),
    );
    this.#stacks = new SecondStacks(this.#exports, this.#clock, (error) => this.#failed(error));
    const typedHost: TypedHost = {
      call: () => this.call,
      isUnwinding: () => this.#freezer?.isUnwinding === true,
      immediate: (run) => this.#gate.immediate(run),
    };
    this.#typed = module.typed && new TypedCalls(module.typed, this.#exports, typedHost);
    const fault = (text: string) => () => {
      throw new GuestFault(text);
    };
    this.sideModules = usesSideModules(loaded)
      ? new SideModules({
          exports: this.#exports,
          hostImport: (name) => offered[name] && wrapped(offered[name]),
          fault: (text) => this.#gate.immediate(fault(text)),
          rewriting,
          grow: (pages) => this.grow(pages),
          run: (run) => this.#stacks.run(run),
        })
      : null;
  }

  /** Of its memory, and as many as what the host holds for its call would take. */
  get pages(): number {
    return this.#state.pages + Math.floor(this.call.heldBytes / WASM_PAGE_BYTES);
  }

  get idleBytes(): number {
    return this.#state.idleBytes;
  }

  /** CPU time of the call, ms, without what the slice that runs has taken since the guest last waited. */
  get cpuMs(): number {
    return this.#clock.cpuMs;
  }

  /** Threads of the call that ended, which had not ended with it: they may still write into the memory. */
  get threadsLeft(): number {
    return this.#team === null ? 0 : this.#team.words.live - 1;
  }

  /** Has the stack on which calls run, if they can be suspended. */
  enter(): void {
    if (this.#suspends && this.#wake === undefined) {
      this.#enterStack();
    }
  }

  /** Starts a call. Without suspending imports it has ended when this returns. */
  start(slot: number, attempt: number, pins: CallPins, threadsMax = 1): void {
    this.enter();
    this.#begin(slot, attempt, pins, threadsMax);
    if (!this.#suspends) {
      this.#clock.start();
      try {
        this.#value = Number(this.#entry()()) | 0;
        this.#end();
      } catch (error) {
        this.#endThrown(error);
      }
      return;
    }
    this.#gate.markNext();
    this.#wake?.(1);
  }

  /** Starts a call whose entry is the table's function at `tableIndex`. It cannot be stopped in the middle. */
  startAt(slot: number, attempt: number, pins: CallPins, tableIndex: number, threadsMax = 1): void {
    this.#begin(slot, attempt, pins, threadsMax);
    this.#onOwnStack = true;
    this.#clock.start();
    const run = async () => {
      this.#value = await this.#runEntry(tableIndex).finally(() => this.#settle());
    };
    run().then(
      () => this.#end(),
      (error) => this.#endThrown(error),
    );
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
    this.#clock.start();
    const run = async () => {
      this.#value = await this.runTableFunction(part.tableIndex, this.call.partArguments);
      await this.#settle();
      this.call.mappings.endPart(this.memory());
    };
    run().then(
      () => this.#end(base),
      (error) => this.#endThrown(error),
    );
  }

  /** Goes on with a call that was stopped in the middle. */
  goOn(slot: number, attempt: number, pins: CallPins, { bytes, answer }: FrozenStart): void {
    this.enter();
    this.#begin(slot, attempt, pins);
    try {
      const { snapshotHash, result, stack, state } = decodeFrozenCall(bytes);
      if (this.#freezer === null || snapshotHash !== this.module.loaded.snapshot.hash) {
        throw new RangeError(`the call was stopped on snapshot ${snapshotHash}, or of another module`);
      }
      this.#state.apply(state.delta);
      this.call.restore(state.hostState);
      this.#freezer.rewind(stack, result);
      this.#typed?.goOn();
    } catch (error) {
      this.#endThrown(new GuestKill("cancelled", `a frozen call is damaged: ${error instanceof Error ? error.message : error}`));
      return;
    }
    this.#asked.goOn(answer);
    this.#gate.markNext();
    this.#wake?.(1);
  }

  /** False when it shall be dropped instead of running another call. */
  reset(): boolean {
    this.call = NO_CALL;
    this.#team = null;
    return this.sideModules?.isUsed !== true && this.#state.reset();
  }

  /** Gives up the stack of a sandbox that runs no call: a parked stack is never collected (H2). */
  drop(): void {
    this.#dropped = true;
    this.#wake?.(0);
  }

  /** Stops the call in the middle as soon as it can be. */
  freeze(): void {
    if (this.#freezer === null || !this.#running || this.#settling.isUnderWay) {
      return;
    }
    this.#freezer.ask();
    if (this.#freezer.isAsked && this.#isOnResidentStack && this.#asked.breakOff()) {
      this.#gate.leave();
    }
  }

  reply(reply: OperationReply): void {
    this.#asked.reply(reply);
  }

  acknowledge(count: number): void {
    this.#asked.acknowledge(count);
  }

  /** Ends the call as soon as the guest lets it: what it waits for is rejected, and from now on every import throws (H3). */
  cancel(): void {
    this.#asked.reject(this.#gate.end(new GuestKill("cancelled", "the attempt was cancelled")));
  }

  // Guest

  get reachesRegions(): boolean {
    return this.module.loaded.arena !== undefined;
  }

  get team(): Team | null {
    return this.#team;
  }

  memory(): Uint8Array {
    return this.#state.view();
  }

  request(operation: number, args: Uint8Array): Promise<OperationReply> {
    return this.#asked.request(operation, args);
  }

  post(operation: number, args: Uint8Array): Promise<void> | undefined {
    return this.#asked.post(operation, args);
  }

  log(text: string): void {
    const { call } = this;
    const add = (sizeBytes: number): number => {
      const before = this.#team?.words.addLog(sizeBytes, call.logMaxBytes) ?? call.logBytes;
      call.logBytes = Math.max(call.logBytes, before) + sizeBytes;
      return before;
    };
    logWithin(text, call.logMaxBytes, add, (bytes) => this.#host.sendLog(this, bytes));
  }

  beforeEnd(settle: () => Promise<void> | undefined): void {
    this.#settling.add(settle);
  }

  /** Its delta is overwritten by the next capture in this thread. */
  capture(): GuestState {
    return { delta: this.#state.capture(this.module.image), hostState: this.call.encode() };
  }

  restore(state: GuestState): void {
    this.#restore(state);
  }

  grow(pages: number): number {
    return this.#state.grow(pages);
  }

  /** The call ends with it. */
  beforeThreadEnd(): void {}

  callTableFunction(tableIndex: number, ...args: number[]): void {
    tableFunction(this.#exports, tableIndex)(...args);
  }

  async runRegion(region: ParallelRegion): Promise<void> {
    const share = shareOf(this.#exports, this.memory(), region, 0);
    await this.#stacks.run(share.run, share.args);
    share.end();
  }

  async runTableFunction(tableIndex: number, args: readonly number[] = []): Promise<number> {
    try {
      return await this.#stacks.runTableFunction(tableIndex, args);
    } catch (error) {
      if (error instanceof GuestExit && (this.call.inPart || !this.#onOwnStack)) {
        // A part that is shipped could not say so: only its value travels back.
        this.#gate.ending = new GuestFault("the guest exited inside a storage part");
        throw this.#gate.ending;
      }
      throw error;
    }
  }

  callOfType(type: FunctionType, tableIndex: number, args: readonly (number | bigint)[]) {
    return this.#stacks.callOfType(type, tableIndex, args);
  }

  // calls

  async #runEntry(tableIndex: number): Promise<number> {
    const { length } = tableFunction(this.#exports, tableIndex);
    const input = Buffer.from(this.call.input.subarray(0, NUMBER_MAX_BYTES)).toString("latin1");
    return this.runTableFunction(tableIndex, length === 0 ? [] : [Number.parseInt(input, 10) | 0]);
  }

  #begin(slot: number, attempt: number, pins: CallPins, threadsMax = 1): void {
    this.slot = slot;
    this.attempt = attempt;
    this.#team =
      this.#sharedMemory === undefined
        ? null
        : Team.begin(this.#sharedMemory, pins, threadsMax, (...birth) => this.#host.sendBirth(this, ...birth));
    this.call = this.#team === null ? new CallState(pins) : new TeamCallState(pins, this.#team.words);
    this.#clock.reset(slot, attempt);
    this.#gate.cpuTimeMs = pins.cpuTimeMs;
    this.#running = true;
    this.#onOwnStack = false;
    this.#stacks.begin();
    this.#settling.isUnderWay = false;
    this.#gate.ending = undefined;
    this.#freezer?.begin();
    this.#asked.begin();
    this.#toldPages = this.module.loaded.snapshot.pages;
    this.#value = 0;
    this.#typed?.begin(pins.commandLine);
  }

  /** What a call runs. */
  #entry() {
    const run = this.#typed?.run ?? this.#exports[this.module.loaded.entry];
    if (typeof run !== "function") {
      throw new WebAssembly.LinkError(`the module exports no function ${this.module.loaded.entry}`);
    }
    return run;
  }

  /** Whoever gives way may compute for long, beside others, before it asks for anything. */
  #tellMemory(): void {
    if (this.pages !== this.#toldPages) {
      this.#toldPages = this.pages;
      this.#host.sendMemory(this);
    }
  }

  /** Bytes that other threads may change are copied: they are sent as they are. */
  #sendOperation(operation: number, args: Uint8Array, waits: boolean): void {
    const isChanging = args.buffer === this.#sharedMemory?.buffer || args.buffer === this.module.loaded.arena?.buffer;
    this.#host.sendOperation(this, operation, isChanging ? Uint8Array.from(args) : args, waits);
  }

  #enterStack(): void {
    const stack = enterResidentStack(
      {
        run: this.#entry(),
        next: () => {
          const settling = this.#running ? this.#settle() : undefined;
          // The gate has a failure of it: that is the outcome.
          return settling === undefined ? this.#park() : settling.catch(() => {}).then(() => this.#park());
        },
        returned: (value) => {
          this.#value = value;
        },
        threw: () => {
          this.#gate.end(new GuestFault("the guest threw an exception of its own and did not catch it"));
        },
      },
      this.#typed !== null || this.module.loaded.entryReturns,
    );
    stack.catch((error: unknown) => {
      this.#wake = undefined;
      this.#endThrown(error);
    });
  }

  /** Ends the call, if one runs, and resolves when the resident stack has something to do. */
  #park(): Promise<number> {
    if (this.#running) {
      this.#end();
    }
    if (this.#dropped) {
      return Promise.resolve(0);
    }
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #settle(): Promise<void> | undefined {
    return this.#freezer?.isUnwinding === true ? undefined : this.#settling.run();
  }

  /** Where a call can be stopped in the middle. */
  get #isOnResidentStack(): boolean {
    return (
      !this.call.inPart &&
      !this.#onOwnStack &&
      !this.#stacks.isNested &&
      !this.#settling.isUnderWay &&
      this.#typed?.isMaking !== true
    );
  }

  #endThrown(error: unknown): void {
    this.#failed(error);
    this.#end();
  }

  /** The call ends with it, or with what was thrown before. Returns which. */
  #failed(error: unknown): unknown {
    this.#trapped ||= isTrap(error);
    return this.#gate.end(error);
  }

  /** @param partBase the state that the part which ends here started from */
  #end(partBase?: MemoryImage): void {
    this.#clock.stop();
    this.#running = false;
    const outcome = this.#outcome();
    const state =
      partBase === undefined || outcome.kind !== "returned"
        ? undefined
        : { delta: this.#state.capture(partBase), hostState: this.call.encode() };
    this.#host.ended(this, outcome, !this.#trapped && this.threadsLeft === 0, state);
  }

  #outcome(): Outcome {
    const { ending } = this.#gate;
    const freezer = this.#freezer;
    if (freezer?.isUnwinding === true && ending === undefined) {
      const { result } = freezer;
      const stack = freezer.frames();
      const snapshotHash = this.module.loaded.snapshot.hash;
      return {
        kind: "frozen",
        bytes: encodeFrozenCall({ snapshotHash, result, stack, state: this.capture() }),
        awaits: result === null,
      };
    }
    if (freezer?.isUnwinding === true || freezer?.isRewinding === true) {
      // Not the guest's own doing: it has computed nothing since it was stopped.
      this.#trapped = true;
      return { kind: "killed", reason: "cancelled", message: "the call's stack cannot be moved" };
    }
    return ending === undefined ? { kind: "returned", value: this.#value } : outcomeOf(ending);
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
}
