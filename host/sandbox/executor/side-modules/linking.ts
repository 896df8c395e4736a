/**
 * Puts a side module beside the main module: finds what it imports, gives it room in memory and table, and makes its instance.
 *
 * L1. A name is the main module's before it is the host's, and that before it is another side module's: what is opened later changes
 *     nothing for what was there before. Addresses of what the side module itself exports are its own only if nobody else has the name.
 * L2. Everything that is imported is found before memory or table grow.
 */
import { INTERRUPT_IMPORT, MEMORY_EXPORT, REWRITING_MODULE, WASM_PAGE_BYTES } from "../../../modules/artefact.ts";
import { GotModule, LinkGlobal, type SideModule, SYMBOL_MODULE } from "../../../modules/side-modules/index.ts";
import { type GuestImport, SideModuleRefused } from "../../guest.ts";
import type { FunctionTable } from "./function-table.ts";
import { stubFor } from "./stubs.ts";

/** Of imports that nobody has, so many are named. */
const NAMED_MAX = 8;

/** A module whose exports others can use. */
export interface LinkedModule {
  readonly exports: WebAssembly.Exports;
  /** What its variables' addresses are relative to. */
  readonly memoryBase: number;
}

export type HostImport = WebAssembly.Suspending | GuestImport["run"];
type ImportValue = HostImport | WebAssembly.ExportValue;

export interface LinkPlace {
  readonly main: LinkedModule;
  /** In the order in which they were opened. */
  readonly others: readonly LinkedModule[];
  readonly table: FunctionTable;
  /** @throws SideModuleRefused  the main module has none */
  readonly stackPointer: () => WebAssembly.Global;
  /** An import of the host's by "module.name", as the sandbox gives it to a module. */
  readonly hostImport: (name: string) => HostImport | undefined;
  /** An import that ends the call with this text. */
  readonly fault: (text: string) => HostImport;
  /** What rewriting has made of it imports. */
  readonly rewriting: { readonly control: WebAssembly.Memory; readonly interrupt: WebAssembly.Suspending };
  /** As `Guest.grow`. */
  readonly grow: (pages: number) => number;
}

/** Runs nothing of it. @throws SideModuleRefused */
export function link(place: LinkPlace, side: SideModule): LinkedModule {
  const { main, table } = place;
  const module = new WebAssembly.Module(side.wasm);
  const own = new Set(WebAssembly.Module.exports(module).map(({ name }) => name));
  const wanted = new Wanted(place, side, own);
  const imports: Record<string, Record<string, ImportValue>> = Object.create(null);
  for (const { module: group, name, kind } of WebAssembly.Module.imports(module)) {
    imports[group] ??= Object.create(null) as Record<string, ImportValue>;
    const values = imports[group];
    if (kind === "function") {
      values[name] = wanted.function(group, name);
    } else if (kind === "memory") {
      values[name] = group === REWRITING_MODULE ? place.rewriting.control : exportOf(main, MEMORY_EXPORT);
    } else if (kind === "table") {
      values[name] = table.table;
    } else if (group !== SYMBOL_MODULE) {
      values[name] = wanted.address(group, name);
    } else if (name === LinkGlobal.stackPointer) {
      values[name] = place.stackPointer();
    }
  }
  wanted.check();

  const memoryBase = takeMemory(place, side.memoryBytes);
  const tableBase = table.grow(side.tableElements, side.tableAlignment);
  const bases = {
    [LinkGlobal.memoryBase]: new WebAssembly.Global({ value: "i32" }, memoryBase | 0),
    [LinkGlobal.tableBase]: new WebAssembly.Global({ value: "i32" }, tableBase),
  };
  imports[SYMBOL_MODULE] = Object.assign(imports[SYMBOL_MODULE] ?? {}, bases);
  const { exports } = instantiate(module, imports);
  const linked = { exports, memoryBase };
  wanted.setAddresses(linked);
  return linked;
}

/** The address of a variable, or the index of a function. @throws SideModuleRefused  the table has no room */
export function addressIn({ exports, memoryBase }: LinkedModule, name: string, table: FunctionTable): number | undefined {
  const found = name.startsWith("$") ? undefined : exports[name];
  if (typeof found === "function") {
    return table.indexOf(found);
  }
  return found instanceof WebAssembly.Global && typeof found.value === "number" ? (found.value + memoryBase) | 0 : undefined;
}

/** Finds imports, and notes those that nobody has. */
class Wanted {
  readonly #place: LinkPlace;
  readonly #side: SideModule;
  readonly #own: ReadonlySet<string>;
  readonly #weak: ReadonlySet<string>;
  readonly #missing: string[] = [];
  /** Variables that hold addresses and indices. `owner`: whose; null: the side module's own. */
  readonly #addresses: { readonly global: WebAssembly.Global; readonly owner: LinkedModule | null; readonly name: string }[] = [];

  constructor(place: LinkPlace, side: SideModule, own: ReadonlySet<string>) {
    this.#place = place;
    this.#side = side;
    this.#own = own;
    this.#weak = new Set(side.weak);
  }

  function(group: string, name: string): ImportValue {
    const place = this.#place;
    const { main, others, hostImport, rewriting } = place;
    const full = `${group}.${name}`;
    // Unless its file has the import, which nobody may.
    if (group === REWRITING_MODULE && name === INTERRUPT_IMPORT && !this.#side.notOffered.has(full)) {
      return rewriting.interrupt;
    }
    const isSymbol = group === SYMBOL_MODULE;
    const why = this.#side.notOffered.get(full);
    const found =
      (isSymbol ? exportedFunction(main, name) : undefined) ??
      (why === undefined ? hostImport(full) : undefined) ??
      (isSymbol ? others.map((other) => exportedFunction(other, name)).find((each) => each !== undefined) : undefined);
    const type = isSymbol ? this.#side.replaceable.get(name) : undefined;
    if (found === undefined && type !== undefined) {
      const { run, place: global } = stubFor(place.table.table, type);
      this.#addresses.push({ global, owner: null, name });
      return run;
    }
    if (found === undefined && !this.#weak.has(full)) {
      this.#missing.push(`"${full}" ${why ?? "is not offered by this host"}`);
    }
    return found ?? place.fault(`a side module called ${full}, which it imports weakly and nobody has`);
  }

  /** A variable that will hold an address or an index: 0 for what nobody has and is weak. */
  address(group: string, name: string): WebAssembly.Global {
    const { main, others } = this.#place;
    const isFunction = group === GotModule.functions;
    const owner = [main, ...others].find(({ exports }) => {
      const found = exports[name];
      return isFunction ? typeof found === "function" : found instanceof WebAssembly.Global;
    });
    const global = new WebAssembly.Global({ value: "i32", mutable: true }, 0);
    if (owner !== undefined || this.#own.has(name)) {
      this.#addresses.push({ global, owner: owner ?? null, name });
    } else if (!this.#weak.has(`${group}.${name}`)) {
      this.#missing.push(`"${group}.${name}"`);
    }
    return global;
  }

  /** @throws SideModuleRefused */
  check(): void {
    const named = this.#missing.slice(0, NAMED_MAX).join("; ");
    if (this.#missing.length > 0) {
      const more = this.#missing.length > NAMED_MAX ? `; and ${this.#missing.length - NAMED_MAX} more` : "";
      throw new SideModuleRefused(
        `neither the main module, nor the host, nor a side module that was opened before has what it imports: ${named}${more}`,
      );
    }
  }

  /** To be called with the instance. @throws SideModuleRefused  the table has no room */
  setAddresses(linked: LinkedModule): void {
    for (const { global, owner, name } of this.#addresses) {
      global.value = addressIn(owner ?? linked, name, this.#place.table) ?? 0;
    }
  }
}

function exportedFunction({ exports }: LinkedModule, name: string): WebAssembly.ExportValue | undefined {
  const found = name.startsWith("$") ? undefined : exports[name];
  return typeof found === "function" ? found : undefined;
}

function exportOf({ exports }: LinkedModule, name: string): WebAssembly.ExportValue {
  const found = exports[name];
  if (found === undefined) {
    throw new SideModuleRefused(`the main module has no ${name}`);
  }
  return found;
}

function takeMemory(place: LinkPlace, sizeBytes: number): number {
  const pages = Math.ceil(sizeBytes / WASM_PAGE_BYTES);
  const before = place.grow(pages);
  if (before < 0) {
    throw new SideModuleRefused(
      `it needs ${sizeBytes} bytes of memory, and there is no room for as much: see the limit memoryMaxPages`,
    );
  }
  return before * WASM_PAGE_BYTES;
}

function instantiate(module: WebAssembly.Module, imports: WebAssembly.Imports): WebAssembly.Instance {
  try {
    return new WebAssembly.Instance(module, imports);
  } catch (error) {
    if (error instanceof WebAssembly.LinkError || error instanceof WebAssembly.RuntimeError) {
      throw new SideModuleRefused(error.message.replace(/^WebAssembly\.Instance\(\): /, ""));
    }
    throw error;
  }
}
