/** The part of the engine's WebAssembly API that this host uses; without the DOM's types nothing else declares it. */
declare namespace WebAssembly {
  type ValueType = "i32" | "i64" | "f32" | "f64" | "v128" | "externref" | "anyfunc";

  class Module {
    constructor(bytes: ArrayBufferLike | ArrayBufferView);
    static exports(module: Module): { name: string; kind: string }[];
    static imports(module: Module): { module: string; name: string; kind: string }[];
    static customSections(module: Module, name: string): ArrayBuffer[];
  }

  class Instance {
    constructor(module: Module, imports?: Imports);
    readonly exports: Exports;
  }

  class Memory {
    constructor(descriptor: { initial: number; maximum?: number; shared?: boolean });
    readonly buffer: ArrayBuffer;
    grow(pages: number): number;
  }

  class Table {
    constructor(descriptor: { element: "anyfunc" | "externref"; initial: number; maximum?: number });
    readonly length: number;
    get(index: number): unknown;
    set(index: number, value?: unknown): void;
    grow(by: number): number;
  }

  class Global {
    constructor(descriptor: { value: ValueType; mutable?: boolean }, value?: unknown);
    value: number | bigint;
  }

  class CompileError extends Error {}
  class LinkError extends Error {}
  class RuntimeError extends Error {}

  /** Wraps an import that may return a promise: the guest is suspended until it settles. */
  class Suspending {
    constructor(run: (...args: never[]) => unknown);
  }

  // biome-ignore lint/complexity/noBannedTypes: an exported function takes whatever its wasm type says
  type ExportValue = Function | Memory | Table | Global;
  type Exports = Readonly<Record<string, ExportValue | undefined>>;
  // biome-ignore lint/complexity/noBannedTypes: an import may be any function
  type Imports = Readonly<Record<string, Readonly<Record<string, Function | Suspending | Memory | Table | Global>>>>;

  function validate(bytes: ArrayBufferLike | ArrayBufferView): boolean;
  function compile(bytes: ArrayBufferLike | ArrayBufferView): Promise<Module>;
  function instantiate(module: Module, imports?: Imports): Promise<Instance>;
  /** `run` as a function that may be suspended in a Suspending import, and returns a promise. */
  function promising(run: unknown): (...args: unknown[]) => Promise<unknown>;
}
