/**
 * Calls of typed entry points in one sandbox: JSON in, values in the guest's memory, JSON out.
 *
 * Owns: the arguments of the call that runs, and what it returned. Does not own: when the guest runs.
 *
 * T1. The guest is called by the adapter alone, from WebAssembly: nothing here calls it, so that it can be suspended wherever it is.
 * T2. Nothing of the guest has run before its arguments are what it takes.
 * T3. A call that goes on in the middle has its arguments in its memory: they are not made again.
 */
import { NeapError } from "../../../../state/errors.ts";
import {
  callTarget,
  checkArguments,
  type EntryPoint,
  parseArguments,
  signatureText,
  type ValueType,
} from "../../../modules/entry-points/index.ts";
import { GuestFault, type GuestImport } from "../../guest.ts";
import type { CallState } from "../guest-call.ts";
import type { AdapterImports } from "./adapter.ts";
import { Lifting } from "./lift.ts";
import { type Allocation, plan, write } from "./lower.ts";
import { GuestRuntime } from "./runtime.ts";
import type { TypedModule } from "./typed-module.ts";

/** What of the sandbox it needs. */
export interface TypedHost {
  /** The one that runs. */
  call(): CallState;
  /** The guest returns although it has not ended: it is stopped in the middle. */
  isUnwinding(): boolean;
  /** See `ImportGate.immediate`. */
  immediate(run: GuestImport["run"]): GuestImport["run"];
}

/** The arguments of a call while room is made for them. */
interface Making {
  readonly values: readonly unknown[];
  readonly types: readonly ValueType[];
  readonly allocations: readonly Allocation[];
  readonly made: number[];
}

export class TypedCalls {
  /** () → i32, what the resident stack runs. */
  readonly run: WebAssembly.ExportValue;
  readonly #module: TypedModule;
  readonly #host: TypedHost;
  readonly #runtime: GuestRuntime;
  /** Null: the call runs the module's own entry. */
  #entryPoint: EntryPoint | null = null;
  #making: Making | null = null;
  #isMade = false;
  #arguments: readonly (number | bigint)[] = [];

  constructor(module: TypedModule, exports: WebAssembly.Exports, host: TypedHost) {
    this.#module = module;
    this.#host = host;
    this.#runtime = new GuestRuntime(exports);
    const imports = Object.entries(this.#imports()).map(([name, run]) => [name, host.immediate(run)]);
    const guest = exports as WebAssembly.Imports[string];
    const instance = new WebAssembly.Instance(module.adapter, { host: Object.fromEntries(imports), guest });
    const { run } = instance.exports;
    if (run === undefined) {
      throw new WebAssembly.LinkError("the adapter exports nothing");
    }
    this.run = run;
  }

  /** Room is being made for the arguments. */
  get isMaking(): boolean {
    return this.#making !== null;
  }

  /** A call begins; the first word of its command line names what it runs, which the module has. */
  begin(commandLine: Uint8Array): void {
    const end = commandLine.indexOf(0);
    const program = Buffer.from(commandLine.subarray(0, end < 0 ? commandLine.byteLength : end)).toString();
    const wanted = callTarget(program)?.entryPoint;
    this.#entryPoint = this.#module.entryPoints.find(({ name }) => name === wanted) ?? null;
    this.#making = null;
    this.#isMade = false;
    this.#arguments = [];
  }

  /** The call that has begun goes on in the middle. */
  goOn(): void {
    this.#isMade = true;
  }

  #imports(): AdapterImports {
    const argument = (index: number) => this.#arguments[index] ?? 0;
    const number = (index: number) => Number(argument(index));
    const result = (value: number | bigint) => this.#end(value);
    return {
      more: () => (this.#more() ? 1 : 0),
      size: () => this.#next()?.sizeBytes ?? 0,
      id: () => this.#next()?.id ?? 0,
      made: (pointer) => {
        this.#making?.made.push(pointer);
      },
      which: () => (this.#entryPoint === null ? 0 : this.#module.entryPoints.indexOf(this.#entryPoint) + 1),
      i32: number,
      i64: (index) => BigInt(argument(index)),
      f32: number,
      f64: number,
      resultI32: result,
      resultI64: result,
      resultF32: result,
      resultF64: result,
      nothing: () => this.#end(null),
    };
  }

  #next(): Allocation | undefined {
    return this.#making?.allocations[this.#making.made.length];
  }

  /** Whether there is another object to make for the arguments; once there is none they are written. */
  #more(): boolean {
    if (this.#isMade) {
      return false;
    }
    const entryPoint = this.#entryPoint;
    if (entryPoint === null) {
      return false;
    }
    this.#making ??= this.#begin(entryPoint);
    const { values, types, allocations, made } = this.#making;
    if (made.length < allocations.length) {
      return true;
    }
    this.#runtime.supply(allocations, made);
    this.#arguments = write(this.#runtime, values, types);
    this.#making = null;
    this.#isMade = true;
    return false;
  }

  /** @throws GuestFault  the input is not what the entry point takes: another function has called it so */
  #begin(entryPoint: EntryPoint): Making {
    const types = entryPoint.parameters.map(({ type }) => type);
    try {
      const values = checkArguments(entryPoint, parseArguments(this.#host.call().input));
      return { values, types, allocations: plan(values, types), made: [] };
    } catch (error) {
      if (error instanceof NeapError) {
        throw new GuestFault(`${error.code}: ${error.message}`);
      }
      throw error;
    }
  }

  #end(value: number | bigint | null): void {
    const entryPoint = this.#entryPoint;
    if (this.#host.isUnwinding() || entryPoint === null) {
      return;
    }
    const call = this.#host.call();
    if (call.output().byteLength > 0) {
      throw new GuestFault(`${signatureText(entryPoint)} has written output of its own: what it returns is its output`);
    }
    const { result } = entryPoint;
    const lifted =
      result === null || value === null ? null : new Lifting(this.#runtime, call.outputMaxBytes).value(value, result);
    call.appendOutput(Buffer.from(JSON.stringify(lifted)));
  }
}
