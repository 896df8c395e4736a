/**
 * A thread of a call that is not its main thread: one instance of the module over the call's memory, which lives until the function
 * returns that the thread was started with.
 *
 * 1. It does nothing that has an order in the log: imports that wait for the host end the call.
 * 2. It blocks its worker, which serves nothing else meanwhile.
 */
import { REWRITING_MODULE, SHARED_MEMORY_IMPORT, THREAD_START_EXPORT } from "../../modules/artefact.ts";
import { ImportGate, type MessageLoop } from "../executor/import-gate.ts";
import { globalsOf, setGlobals } from "../executor/instance-state.ts";
import { logWithin } from "../executor/log-within.ts";
import { type Outcome, outcomeOf } from "../executor/outcome.ts";
import { shareOf } from "../executor/region-share.ts";
import { SharedView } from "../executor/shared-view.ts";
import { SliceClock } from "../executor/slice-clock.ts";
import { stackPointer } from "../executor/stack-pointer.ts";
import { tableFunction } from "../executor/table-function.ts";
import type { WorkerModule } from "../executor/worker-module.ts";
import type { SliceMarks } from "../frames/slice-marks.ts";
import { type CreateImports, type Guest, GuestFault, type GuestImport, type ParallelRegion, ThreadExit } from "../guest.ts";
import type { OperationReply } from "../sandbox.ts";
import { pinsOfThread, type SendBirth, STACK_BYTES, Team, TeamCallState, type ThreadBirth } from "./team.ts";

/** What a thread needs of the worker it runs in. */
export interface ThreadHost extends MessageLoop {
  readonly marker: SliceMarks;
  readonly sendBirth: SendBirth;
  readonly sendLog: (text: Uint8Array) => void;
}

const MAIN_ONLY = "only the main thread of a call may use it, as what a call does has one order";

export class GuestThread implements Guest {
  readonly reachesRegions = false;
  readonly aliases = null;
  readonly sideModules = null;
  readonly call: TeamCallState;
  readonly team: Team;
  readonly #host: ThreadHost;
  readonly #birth: ThreadBirth;
  readonly #gate: ImportGate;
  readonly #view: SharedView;
  readonly #exports: WebAssembly.Exports;
  readonly #beforeEnd: (() => void)[] = [];

  /** @throws WebAssembly.LinkError, RangeError  see SandboxInstance */
  constructor(thread: number, module: WorkerModule, birth: ThreadBirth, createImports: CreateImports, host: ThreadHost) {
    this.#host = host;
    this.#birth = birth;
    this.#view = new SharedView(birth.memory);
    const { start } = birth;
    const handle = start.kind === "function" ? start.stack.handle : 0;
    this.team = new Team(thread, handle, birth, host.sendBirth, start.kind === "crew" ? start.rank : 0);
    this.call = new TeamCallState(pinsOfThread(birth.pins, thread), this.team.words);
    this.#gate = new ImportGate(host, new SliceClock(host.marker, host.clock), () => false);
    this.#gate.cpuTimeMs = Number.POSITIVE_INFINITY;
    const offered = createImports(this, module.importNames);
    const imports: Record<string, Record<string, WebAssembly.Memory | GuestImport["run"]>> = {
      [REWRITING_MODULE]: { [SHARED_MEMORY_IMPORT]: birth.memory },
    };
    for (const { module: group, name, kind } of module.imports) {
      if (kind === "function") {
        const found = offered[`${group}.${name}`];
        const run = found === undefined || isMainOnly(found) ? refusal(`${group}.${name}`) : found.run;
        imports[group] ??= {};
        imports[group][name] = this.#gate.immediate(run);
      }
    }
    this.#exports = new WebAssembly.Instance(module.loaded.module, imports).exports;
    setGlobals(globalsOf(module, this.#exports), module.loaded.snapshot.globals);
  }

  /** Runs the thread to its end. Null: it has returned. */
  run(): Outcome | null {
    const { start } = this.#birth;
    let value = 0;
    try {
      value = this.#run();
    } catch (error) {
      this.#gate.end(error);
    }
    if (this.#gate.ending instanceof ThreadExit) {
      value = this.#gate.ending.value;
      this.#gate.ending = undefined;
    }
    if (this.#gate.ending === undefined && start.kind !== "crew") {
      this.#finish();
    }
    const { ending } = this.#gate;
    // Who joins it may start another one in its place.
    this.team.words.end();
    if (start.kind !== "export" && ending === undefined) {
      this.team.words.slots.end(start.stack.slot, value);
    }
    if (start.kind === "crew" && ending === undefined) {
      this.team.crew.left();
    }
    return ending === undefined ? null : outcomeOf(ending);
  }

  #run(): number {
    const { start } = this.#birth;
    if (start.kind === "export") {
      this.#exported(THREAD_START_EXPORT)(this.team.thread, start.argument);
      return 0;
    }
    stackPointer(this.#exports).value = this.#withThreadLocals(start.stack.top);
    if (start.kind === "function") {
      return Number(tableFunction(this.#exports, start.tableIndex)(start.argument)) | 0;
    }
    this.team.crew.serve(start.seen, (region) => this.runRegion(region));
    return 0;
  }

  /** What groups of imports keep for the thread. */
  #finish(): void {
    try {
      for (const run of this.#beforeEnd) {
        run();
      }
    } catch (error) {
      this.#gate.end(error);
    }
    if (this.#gate.ending instanceof ThreadExit) {
      this.#gate.ending = undefined;
    }
  }

  #exported(name: string) {
    const found = this.#exports[name];
    if (typeof found !== "function") {
      throw new GuestFault(`the module exports no function ${name}`);
    }
    return found;
  }

  /**
   * Makes thread-local variables at the top of the stack, in modules that export what linkers have for it.
   *
   * @returns the top of what is left
   */
  #withThreadLocals(top: number): number {
    const { __wasm_init_tls: init, __tls_size: size, __tls_align: align } = this.#exports;
    if (typeof init !== "function" || !(size instanceof WebAssembly.Global) || !(align instanceof WebAssembly.Global)) {
      return top;
    }
    const [sizeBytes, alignBytes] = [Number(size.value), Math.max(16, Number(align.value))];
    const at = Math.floor((top - sizeBytes) / alignBytes) * alignBytes;
    if (!(sizeBytes >= 0 && at > top - STACK_BYTES)) {
      throw new GuestFault(`thread-local variables of ${sizeBytes} bytes do not fit a stack of ${STACK_BYTES}`);
    }
    if (sizeBytes > 0) {
      init(at);
    }
    return at;
  }

  // Guest

  memory(): Uint8Array {
    return this.#view.bytes();
  }

  log(text: string): void {
    logWithin(
      text,
      this.call.logMaxBytes,
      (sizeBytes, maxBytes) => this.team.words.addLog(sizeBytes, maxBytes),
      this.#host.sendLog,
    );
  }

  request(): Promise<OperationReply> {
    throw new GuestFault(MAIN_ONLY);
  }

  post(): Promise<void> | undefined {
    throw new GuestFault(MAIN_ONLY);
  }

  grow(pages: number): number {
    try {
      return this.#birth.memory.grow(pages);
    } catch {
      return -1;
    }
  }

  /** What groups of imports keep for a call is in the main thread. */
  beforeEnd(): void {}

  beforeThreadEnd(run: () => void): void {
    this.#beforeEnd.push(run);
  }

  callTableFunction(tableIndex: number, ...args: number[]): void {
    tableFunction(this.#exports, tableIndex)(...args);
  }

  runRegion(region: ParallelRegion): undefined {
    const share = shareOf(this.#exports, this.memory(), region, this.team.crew.rank);
    share.run(...share.args);
    share.end();
  }

  capture(): never {
    throw new GuestFault(MAIN_ONLY);
  }

  restore(): never {
    throw new GuestFault(MAIN_ONLY);
  }

  runTableFunction(): never {
    throw new GuestFault(MAIN_ONLY);
  }

  callOfType(): never {
    throw new GuestFault(MAIN_ONLY);
  }
}

function isMainOnly({ suspends, inThreads }: GuestImport): boolean {
  return !(inThreads ?? !suspends);
}

function refusal(name: string): () => never {
  return () => {
    throw new GuestFault(`${name}: ${MAIN_ONLY}`);
  };
}
