/** Runs a script against the engine, each module as `transform` makes it. */

import { SHARED_MEMORY_IMPORT, START_EXPORT } from "../../host/modules/artefact.ts";
import { CONTROL_IMPORT, INTERRUPT_IMPORT, REWRITING_MODULE } from "../../host/modules/index.ts";
import { sharedMemory } from "../../host/modules/module-shape.ts";
import { readSections } from "../../host/modules/sections.ts";
import type { Action, Command, Script } from "./script.ts";
import { isExpected, NotExpressible, resultsOf, show, toEngine } from "./values.ts";

export interface Transform {
  /** The module as it shall run; or why an upload refuses it, and then it runs as it is. */
  readonly module: (bytes: Uint8Array<ArrayBuffer>) => Promise<Uint8Array<ArrayBuffer> | { readonly refusal: string }>;
  /** Whether the upload would take the bytes, as far as they say. */
  readonly takes: (bytes: Uint8Array<ArrayBuffer>) => boolean;
}

/** What became of one command. `outcome` is for comparing: the same in words that do not depend on the rewriting. */
export interface Verdict {
  readonly line: number;
  readonly type: Command["type"];
  readonly outcome: string;
  /** Whether it is what the script says; undefined when nobody can tell. */
  readonly passed: boolean | undefined;
}

export interface ScriptRun {
  readonly verdicts: readonly Verdict[];
  /** Of modules that ran as they are. */
  readonly refusals: readonly string[];
}

export async function runScript(script: Script, transform: Transform): Promise<ScriptRun> {
  const run = new Run(script, transform);
  const verdicts: Verdict[] = [];
  for (const command of script.commands) {
    const { line, type } = command;
    try {
      verdicts.push({ line, type, ...(await run.carryOut(command)) });
    } catch (error) {
      if (!(error instanceof NotExpressible)) {
        throw new Error(`${script.name}:${line}: ${error instanceof Error ? error.message : error}`, { cause: error });
      }
      verdicts.push({ line, type, outcome: `not expressible: ${error.message}`, passed: undefined });
    }
  }
  return { verdicts, refusals: run.refusals };
}

/** Of memories and tables: scripts may have more than an upload takes. */
export const ANY_NUMBER = { memories: 1_000, tables: 1_000 };

type Judged = Pick<Verdict, "outcome" | "passed">;
type Ending = { readonly kind: "returned"; readonly results: readonly unknown[] } | { readonly kind: string };

interface Instantiated {
  readonly kind: string;
  readonly exports?: WebAssembly.Exports;
}

class Run {
  readonly refusals: string[] = [];
  readonly #script: Script;
  readonly #transform: Transform;
  readonly #named = new Map<string, WebAssembly.Exports>();
  readonly #registered = new Map<string, WebAssembly.Exports>([["spectest", spectest()]]);
  #last: WebAssembly.Exports | undefined;

  constructor(script: Script, transform: Transform) {
    this.#script = script;
    this.#transform = transform;
  }

  async carryOut(command: Command): Promise<Judged> {
    switch (command.type) {
      case "module": {
        const { exports, kind } = await this.#instantiate(command.filename);
        this.#last = exports;
        if (command.name !== undefined && exports !== undefined) {
          this.#named.set(command.name, exports);
        }
        return { outcome: kind, passed: exports !== undefined };
      }
      case "register":
        this.#registered.set(command.as, this.#module(command.name));
        return { outcome: "registered", passed: true };
      case "action":
        return { outcome: shown(this.#act(command.action)), passed: true };
      case "assert_return": {
        const ending = this.#act(command.action);
        const { expected } = command;
        const isSame = (results: readonly unknown[]) =>
          results.length === expected.length && expected.every((value, at) => isExpected(value, results[at]));
        return { outcome: shown(ending), passed: "results" in ending && isSame(ending.results) };
      }
      case "assert_trap":
        return expectEnding(this.#act(command.action), "trapped");
      case "assert_exhaustion":
        return expectEnding(this.#act(command.action), "exhausted");
      case "assert_exception":
        return expectEnding(this.#act(command.action), "threw");
      case "assert_invalid":
      case "assert_malformed": {
        if (command.module_type === "text") {
          throw new NotExpressible("a module as text");
        }
        const taken = this.#transform.takes(this.#script.module(command.filename));
        return { outcome: taken ? "taken" : "refused", passed: !taken };
      }
      case "assert_unlinkable": {
        // An upload looks at the imports of the module as it came; those that nobody uses may not be there afterwards.
        const { kind, exports } = this.#link(this.#script.module(command.filename));
        return { outcome: kind, passed: exports === undefined };
      }
      case "assert_uninstantiable": {
        const { kind, exports } = await this.#instantiate(command.filename);
        return { outcome: kind, passed: exports === undefined };
      }
      default:
        throw new NotExpressible((command as { type: string }).type);
    }
  }

  #module(name: string | undefined): WebAssembly.Exports {
    const module = name === undefined ? this.#last : this.#named.get(name);
    if (module === undefined) {
      throw new NotExpressible(`module ${name ?? "before"} is not there`);
    }
    return module;
  }

  #act({ type, module, field, args = [] }: Action): Ending {
    const value = this.#module(module)[field];
    if (type === "get") {
      return { kind: "returned", results: value instanceof WebAssembly.Global ? [value.value] : [value] };
    }
    if (typeof value !== "function") {
      throw new NotExpressible(`${field} is no function`);
    }
    const given = args.map(toEngine);
    try {
      return { kind: "returned", results: resultsOf(value(...given)) };
    } catch (error) {
      return { kind: failureOf(error) };
    }
  }

  async #instantiate(filename: string): Promise<Instantiated> {
    const bytes = this.#script.module(filename);
    if (!WebAssembly.validate(bytes)) {
      return { kind: "not valid for the engine" };
    }
    const transformed = await this.#transform.module(bytes);
    if ("refusal" in transformed) {
      this.refusals.push(transformed.refusal);
      return this.#link(bytes);
    }
    return this.#link(transformed, { [SHARED_MEMORY_IMPORT]: this.#sharedMemory(bytes) });
  }

  /** An upload makes an import of a shared memory, as the threads of a call have one together: what the script's module has or imports. */
  #sharedMemory(bytes: Uint8Array<ArrayBuffer>): unknown {
    const shape = readSections(bytes, ANY_NUMBER);
    const limits = sharedMemory(shape);
    const imported = shape.imports.find(({ kind }) => kind === "memory");
    if (limits === undefined || imported !== undefined) {
      return imported && this.#registered.get(imported.module)?.[imported.name];
    }
    return new WebAssembly.Memory({ initial: limits.min, maximum: limits.max ?? limits.min, shared: true });
  }

  #link(bytes: Uint8Array<ArrayBuffer>, more: Readonly<Record<string, unknown>> = {}): Instantiated {
    const imports = { ...Object.fromEntries(this.#registered), [REWRITING_MODULE]: { ...host(), ...more } };
    try {
      const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), imports as unknown as WebAssembly.Imports);
      const start = exports[START_EXPORT];
      if (typeof start === "function") {
        start();
      }
      return { kind: "instantiated", exports };
    } catch (error) {
      return { kind: failureOf(error) };
    }
  }
}

function expectEnding(ending: Ending, kind: string): Judged {
  return { outcome: shown(ending), passed: ending.kind === kind };
}

function shown(ending: Ending): string {
  return "results" in ending ? `returned ${show(ending.results)}` : ending.kind;
}

function failureOf(error: unknown): string {
  if (error instanceof WebAssembly.RuntimeError) {
    return "trapped";
  }
  if (error instanceof WebAssembly.LinkError) {
    return "unlinkable";
  }
  if (error instanceof RangeError) {
    return "exhausted";
  }
  if (error instanceof TypeError) {
    throw new NotExpressible(error.message);
  }
  return "threw";
}

/** Every poll calls the host. */
function host(): Record<string, unknown> {
  const control = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  new Int32Array(control.buffer)[0] = 1;
  const arena = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  return { [CONTROL_IMPORT]: control, [INTERRUPT_IMPORT]: () => 0, arena, region_fault: () => {} };
}

/** What scripts may import without having defined it. */
function spectest(): WebAssembly.Exports {
  const functions = ["print", "print_i32", "print_i64", "print_f32", "print_f64", "print_i32_f32", "print_f64_f64"];
  return {
    ...Object.fromEntries(functions.map((name) => [name, () => {}])),
    global_i32: new WebAssembly.Global({ value: "i32" }, 666),
    global_i64: new WebAssembly.Global({ value: "i64" }, 666n),
    global_f32: new WebAssembly.Global({ value: "f32" }, 666.6),
    global_f64: new WebAssembly.Global({ value: "f64" }, 666.6),
    table: new WebAssembly.Table({ element: "anyfunc", initial: 10, maximum: 20 }),
    memory: new WebAssembly.Memory({ initial: 1, maximum: 2 }),
    shared_memory: new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true }),
  };
}
