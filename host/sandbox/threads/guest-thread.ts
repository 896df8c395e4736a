/**
 * A thread of a call that is not its main thread: one instance of the module over the call's memory, which lives until the function
 * returns that the thread was started with.
 *
 * 1. It does nothing that has an order in the log: imports that wait for the host end the call.
 * 2. It blocks its worker, which serves nothing else meanwhile.
 */
import { GLOBAL_EXPORT_PREFIX, REWRITING_MODULE, SHARED_MEMORY_IMPORT, THREAD_START_EXPORT } from "../../modules/artefact.ts";
import { ImportGate, type MessageLoop } from "../executor/import-gate.ts";
import { globalsOf, setGlobals } from "../executor/instance-state.ts";
import { logWithin } from "../executor/log-within.ts";
import { type Outcome, outcomeOf } from "../executor/outcome.ts";
import { SharedView } from "../executor/shared-view.ts";
import { SliceClock } from "../executor/slice-clock.ts";
import { tableFunction } from "../executor/table-function.ts";
import type { WorkerModule } from "../executor/worker-module.ts";
import type { SliceMarks } from "../frames/slice-marks.ts";
import { type CreateImports, type Guest, GuestFault, type GuestImport, ThreadExit } from "../guest.ts";
import type { OperationReply } from "../sandbox.ts";
import { pinsOfThread, type SendBirth, Team, TeamCallState, type ThreadBirth } from "./team.ts";

/** What a thread needs of the worker it runs in. */
export interface ThreadHost extends MessageLoop {
  readonly marker: SliceMarks;
  readonly sendBirth: SendBirth;
  readonly sendLog: (text: Uint8Array) => void;
}

const MAIN_ONLY = "only the main thread of a call may use it, as what a call does has one order";

export class GuestThread implements Guest {
  readonly reachesRegions = false;
  readonly call: TeamCallState;
  readonly team: Team;
  readonly #host: ThreadHost;
  readonly #birth: ThreadBirth;
  readonly #gate: ImportGate;
  readonly #view: SharedView;
  readonly #exports: WebAssembly.Exports;

  /** @throws WebAssembly.LinkError, RangeError  see SandboxInstance */
  constructor(thread: number, module: WorkerModule, birth: ThreadBirth, createImports: CreateImports, host: ThreadHost) {
    this.#host = host;
    this.#birth = birth;
    this.#view = new SharedView(birth.memory);
    this.team = new Team(thread, birth.start.function?.handle ?? 0, birth, host.sendBirth);
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
    const { argument, function: inTable } = this.#birth.start;
    let value = 0;
    try {
      if (inTable === undefined) {
        this.#exported(THREAD_START_EXPORT)(this.team.thread, argument);
      } else {
        this.#stackPointer().value = inTable.stackTop;
        value = Number(tableFunction(this.#exports, inTable.tableIndex)(argument)) | 0;
      }
    } catch (error) {
      this.#gate.end(error);
    }
    const { ending } = this.#gate;
    const isEnd = ending !== undefined && !(ending instanceof ThreadExit);
    // Who joins it may start another one in its place.
    this.team.words.end();
    if (inTable !== undefined && !isEnd) {
      this.team.words.slots.end(inTable.slot, ending instanceof ThreadExit ? ending.value : value);
    }
    return isEnd ? outcomeOf(ending) : null;
  }

  #exported(name: string) {
    const found = this.#exports[name];
    if (typeof found !== "function") {
      throw new GuestFault(`the module exports no function ${name}`);
    }
    return found;
  }

  /** Linkers make it the first global. */
  #stackPointer(): WebAssembly.Global {
    const found = this.#exports[`${GLOBAL_EXPORT_PREFIX}0`];
    if (!(found instanceof WebAssembly.Global) || typeof found.value !== "number") {
      throw new GuestFault("the module has no stack pointer: its first global is no mutable i32");
    }
    return found;
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

  callTableFunction(tableIndex: number, args: readonly number[] = []): void {
    tableFunction(this.#exports, tableIndex)(...args);
  }

  capture(): never {
    throw new GuestFault(MAIN_ONLY);
  }

  restore(): never {
    throw new GuestFault(MAIN_ONLY);
  }

  runTableFunction(): Promise<number> {
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
