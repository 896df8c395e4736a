/**
 * A thread of a call that is not its main thread: one instance of the module over the call's memory, which lives until the function
 * returns that the thread was started with.
 *
 * 1. It does nothing that has an order in the log: imports that wait for the host end the call.
 * 2. It blocks its worker, which serves nothing else meanwhile.
 */
import { REWRITING_MODULE, SHARED_MEMORY_IMPORT, THREAD_START_EXPORT } from "../../modules/artefact.ts";
import { type CreateImports, type Guest, GuestFault, type GuestImport } from "../guest.ts";
import { ImportGate, type MessageLoop } from "../import-gate.ts";
import { globalsOf, setGlobals } from "../instance-state.ts";
import { logWithin } from "../log-within.ts";
import { type Outcome, outcomeOf } from "../outcome.ts";
import type { OperationReply } from "../sandbox.ts";
import { SharedView } from "../shared-view.ts";
import { SliceClock } from "../slice-clock.ts";
import type { SliceMarks } from "../slice-marks.ts";
import type { WorkerModule } from "../worker-module.ts";
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
    this.team = new Team(thread, birth, host.sendBirth);
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
    const start = this.#exports[THREAD_START_EXPORT];
    try {
      if (typeof start !== "function") {
        throw new GuestFault(`the module exports no function ${THREAD_START_EXPORT}`);
      }
      start(this.team.thread, this.#birth.start.argument);
    } catch (error) {
      this.#gate.end(error);
    }
    const { ending } = this.#gate;
    return ending === undefined ? null : outcomeOf(ending);
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
