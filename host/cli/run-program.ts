/** Runs a WASI program in this process, without a host. */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { NeapError } from "../../state/errors.ts";
import { quote } from "../../state/ids.ts";
import { type FolderNode, WAITING_FUNCTIONS, WASI_MODULE, WasiError, wasiFunctions } from "../abi/wasi/index.ts";
import { GuestExit } from "../sandbox/index.ts";
import { hostFolder } from "./host-files.ts";
import { processWorld } from "./process-world.ts";

export interface Program {
  readonly file: string;
  readonly args: readonly string[];
  /** "KEY=value" */
  readonly environment: readonly string[];
  readonly folders: readonly MappedFolder[];
}

export interface MappedFolder {
  readonly host: string;
  readonly guest: string;
}

type WasiFunctions = ReturnType<typeof wasiFunctions>;

/** What a shell shows of a program that was aborted. */
const ABORTED = 134;

/**
 * @returns the program's exit code; ABORTED for a trap, told on standard error
 * @throws BAD_OPTION  the file or a folder cannot be read
 * @throws MODULE_INVALID, MODULE_IMPORT_UNKNOWN, MODULE_NO_ENTRY
 */
export async function runProgram({ file, args, environment, folders }: Program): Promise<number> {
  const module = compile(file);
  const preopens = folders.map(({ host, guest }) => ({ name: guest, folder: openFolder(host) }));
  let memory: WebAssembly.Memory | undefined;
  const world = processWorld({
    args: [basename(file), ...args],
    environment,
    preopens,
    memory: () => new Uint8Array(memory?.buffer ?? new ArrayBuffer(0)),
  });
  const { exports } = new WebAssembly.Instance(module, importsOf(module, wasiFunctions(world)));
  memory = exports.memory instanceof WebAssembly.Memory ? exports.memory : undefined;
  const { entry, initialise } = entriesOf(exports);
  try {
    if (initialise !== undefined) {
      await WebAssembly.promising(initialise)();
    }
    return Number((await WebAssembly.promising(entry)()) ?? 0);
  } catch (error) {
    if (error instanceof GuestExit) {
      return error.value;
    }
    process.stderr.write(`neap: ${basename(file)}: ${error instanceof Error ? error.message : String(error)}\n`);
    return ABORTED;
  }
}

function compile(file: string): WebAssembly.Module {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = Uint8Array.from(readFileSync(file));
  } catch (error) {
    throw new NeapError("BAD_OPTION", `${quote(file)} cannot be read: ${messageOf(error)}`);
  }
  try {
    return new WebAssembly.Module(bytes);
  } catch (error) {
    throw new NeapError("MODULE_INVALID", `${quote(file)}: ${messageOf(error)}`);
  }
}

function openFolder(path: string): FolderNode {
  try {
    return hostFolder(path);
  } catch (error) {
    if (error instanceof WasiError) {
      throw new NeapError("BAD_OPTION", `--dir ${quote(path)} is not a folder that can be read`);
    }
    throw error;
  }
}

function importsOf(module: WebAssembly.Module, functions: WasiFunctions): WebAssembly.Imports {
  const offered: Record<string, WebAssembly.Suspending | WasiFunctions[string]> = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    const run = from === WASI_MODULE ? functions[name] : undefined;
    if (run === undefined) {
      throw new NeapError("MODULE_IMPORT_UNKNOWN", `the program imports ${from}.${name}; neap run offers ${WASI_MODULE} alone`);
    }
    offered[name] = WAITING_FUNCTIONS.has(name) ? new WebAssembly.Suspending(run) : run;
  }
  return { [WASI_MODULE]: offered };
}

function entriesOf(exports: WebAssembly.Exports) {
  const { _start: start, _initialize: initialise, main } = exports;
  if (typeof start === "function") {
    return { entry: start, initialise: undefined };
  }
  if (typeof main === "function") {
    return { entry: main, initialise: typeof initialise === "function" ? initialise : undefined };
  }
  throw new NeapError("MODULE_NO_ENTRY", "the program exports neither _start nor main");
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
