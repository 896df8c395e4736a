/**
 * What a call has opened by dlopen. There is one for each sandbox whose module can, and one call uses it: the sandbox ends with that.
 *
 * 1. A side module stays until the call ends, also when it was closed: what points into it does not know of that.
 * 2. A side module whose constructors have not ended is found by nobody but what it holds itself.
 */
import { START_EXPORT, TABLE_EXPORT } from "../../../modules/artefact.ts";
import { decodeSideModule, LinkGlobal, type SideModule } from "../../../modules/side-modules/index.ts";
import { GuestFault, type GuestSideModules, SideModuleRefused } from "../../guest.ts";
import { stackPointer } from "../stack-pointer.ts";
import { checkReturnsNothing } from "../trampoline.ts";
import { FunctionTable } from "./function-table.ts";
import { addressIn, type LinkedModule, type LinkPlace, link } from "./linking.ts";

/** Of one call, however often each is opened. */
const OPENED_MAX = 16;
/** Of all of them together. */
const BYTES_MAX = 16 * 1024 * 1024;
const DEFAULT_HANDLE = 0;
const MAIN_HANDLE = 1;
const FIRST_HANDLE = 2;
/** What prepares a side module, in this order: `__wasm_call_ctors` only where there is no `_initialize`. */
const INITIALISERS = [START_EXPORT, "__wasm_apply_data_relocs"];
const CONSTRUCTORS = ["_initialize", "__wasm_call_ctors"];

interface Opened extends LinkedModule {
  readonly path: string;
  /** Openings without a closing. */
  count: number;
}

/** What it needs of the sandbox. */
export interface SideModulesHost extends Pick<LinkPlace, "hostImport" | "fault" | "rewriting" | "grow"> {
  /** Of the main module. */
  readonly exports: WebAssembly.Exports;
  /** Runs a function () → () on a stack of its own, where it can wait for the host. */
  readonly run: (run: WebAssembly.ExportValue) => Promise<void>;
}

export class SideModules implements GuestSideModules {
  readonly mainHandle = MAIN_HANDLE;
  isUsed = false;
  readonly #host: SideModulesHost;
  readonly #opened: Opened[] = [];
  #table: FunctionTable | undefined;
  #usedBytes = 0;
  #isOpening = false;

  constructor(host: SideModulesHost) {
    this.#host = host;
  }

  reopen(path: string): number {
    const at = this.#opened.findIndex((each) => each.path === path);
    const known = this.#opened[at];
    if (known === undefined) {
      return 0;
    }
    known.count += 1;
    return FIRST_HANDLE + at;
  }

  async open(path: string, encoded: Uint8Array): Promise<number> {
    const prepared = decodeSideModule(encoded);
    if (prepared.kind === "refused") {
      throw new SideModuleRefused(prepared.reason);
    }
    const { module } = prepared;
    this.#check(module);
    const linked = link(
      {
        ...this.#host,
        main: this.#main,
        others: this.#opened,
        table: this.#functions,
        stackPointer: () => stackPointerOf(this.#host.exports),
      },
      module,
    );
    const initialisers = initialisersOf(linked);
    this.#usedBytes += module.wasm.byteLength;
    this.#isOpening = true;
    for (const run of initialisers) {
      await this.#host.run(run);
    }
    this.#isOpening = false;
    this.#opened.push({ ...linked, path, count: 1 });
    return FIRST_HANDLE + this.#opened.length - 1;
  }

  address(handle: number, name: string): number {
    const places =
      handle === DEFAULT_HANDLE
        ? [this.#main, ...this.#opened]
        : handle === MAIN_HANDLE
          ? [this.#main]
          : [this.#openedAt(handle)];
    for (const place of places) {
      const address = addressIn(place, name, this.#functions);
      if (address !== undefined) {
        return address;
      }
    }
    throw new SideModuleRefused(`there is no function or variable ${name}`);
  }

  close(handle: number): void {
    if (handle !== MAIN_HANDLE) {
      this.#openedAt(handle).count -= 1;
    }
  }

  get #main(): LinkedModule {
    return { exports: this.#host.exports, memoryBase: 0 };
  }

  get #functions(): FunctionTable {
    if (this.#table === undefined) {
      const table = this.#host.exports[TABLE_EXPORT];
      if (!(table instanceof WebAssembly.Table)) {
        throw new SideModuleRefused("the main module has no table: it calls no function through a pointer");
      }
      this.#table = new FunctionTable(table);
    }
    return this.#table;
  }

  #openedAt(handle: number): Opened {
    const opened = this.#opened[handle - FIRST_HANDLE];
    if (opened === undefined || opened.count === 0) {
      throw new SideModuleRefused(`${handle} is not the handle of a side module that is open`);
    }
    return opened;
  }

  /** @throws SideModuleRefused */
  #check({ needed, wasm }: SideModule): void {
    if (this.#isOpening) {
      throw new SideModuleRefused("it is opened by a constructor of another one, which is not possible");
    }
    if (this.#opened.length === OPENED_MAX) {
      throw new SideModuleRefused(`the call has opened ${OPENED_MAX} side modules already, and cannot have more`);
    }
    if (this.#usedBytes + wasm.byteLength > BYTES_MAX) {
      throw new SideModuleRefused(`all side modules of a call can have ${BYTES_MAX} bytes together, and it is one too many`);
    }
    const names = new Set(this.#opened.map(({ path }) => path.slice(path.lastIndexOf("/") + 1)));
    const missing = needed.find((name) => !names.has(name.slice(name.lastIndexOf("/") + 1)));
    if (missing !== undefined) {
      throw new SideModuleRefused(`it needs ${missing}, which the call must open before it`);
    }
  }
}

/** By its name, if the main module exports it so. @throws SideModuleRefused  there is none */
function stackPointerOf(exports: WebAssembly.Exports): WebAssembly.Global {
  const named = exports[LinkGlobal.stackPointer];
  if (named instanceof WebAssembly.Global) {
    return named;
  }
  try {
    return stackPointer(exports);
  } catch (error) {
    throw error instanceof GuestFault ? new SideModuleRefused(`the main module: ${error.message}`) : error;
  }
}

/** @throws SideModuleRefused  one is no function () → () */
function initialisersOf({ exports }: LinkedModule): WebAssembly.ExportValue[] {
  const constructors = CONSTRUCTORS.find((name) => exports[name] !== undefined);
  return [...INITIALISERS, ...(constructors === undefined ? [] : [constructors])].flatMap((name) => {
    const run = exports[name];
    if (run === undefined) {
      return [];
    }
    try {
      checkReturnsNothing(run, 0);
    } catch {
      throw new SideModuleRefused(`its export ${name} is no function () -> ()`);
    }
    return [run];
  });
}
