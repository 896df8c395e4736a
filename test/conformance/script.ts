/** A script of WebAssembly's test format, as wabt's `wast2json` writes it: commands as JSON, modules as files beside it. */
import { readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";

export interface Script {
  readonly name: string;
  readonly commands: readonly Command[];
  /** The bytes of a module that a command names. */
  readonly module: (filename: string) => Uint8Array<ArrayBuffer>;
}

export type Command =
  | { readonly type: "module"; readonly line: number; readonly name?: string; readonly filename: string }
  | { readonly type: "register"; readonly line: number; readonly name?: string; readonly as: string }
  | { readonly type: "action"; readonly line: number; readonly action: Action }
  | { readonly type: "assert_return"; readonly line: number; readonly action: Action; readonly expected: readonly Value[] }
  | { readonly type: "assert_trap" | "assert_exhaustion" | "assert_exception"; readonly line: number; readonly action: Action }
  | {
      readonly type: "assert_invalid" | "assert_malformed" | "assert_unlinkable" | "assert_uninstantiable";
      readonly line: number;
      readonly filename: string;
      /** Of "text" there are no bytes that a host could get. */
      readonly module_type: "binary" | "text";
    };

export interface Action {
  readonly type: "invoke" | "get";
  /** The last module, if it is left out. */
  readonly module?: string;
  readonly field: string;
  readonly args?: readonly Value[];
}

/** Numbers are decimal; those of floats are their bits, or "nan:canonical" or "nan:arithmetic". */
export interface Value {
  readonly type: string;
  readonly value?: string | readonly string[];
}

/** @param path  of the JSON file */
export function readScript(path: string): Script {
  const { commands } = JSON.parse(readFileSync(path, "utf8")) as { commands: Command[] };
  return { name: basename(path), commands, module: (filename) => Uint8Array.from(readFileSync(join(dirname(path), filename))) };
}
