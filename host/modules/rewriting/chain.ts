/** Runs passes over a module, one after the other. Loads binaryen: only in a process that may be thrown away (H29). */
import type binaryen from "binaryen";
import { readModule, withoutDebugInfo, writeModule } from "./binary.ts";
import { aliases } from "./passes/aliases.ts";
import { asyncify } from "./passes/asyncify.ts";
import { optimize } from "./passes/optimize.ts";
import { polls } from "./passes/polls.ts";
import { regions } from "./passes/regions.ts";
import { PASSES, type PassName, type PassOptions, type RewriteRequest } from "./rewriting.ts";

/** A pass changes the module in place. */
export type ModulePass = (module: binaryen.Module, options: PassOptions) => void;
/** A pass over instructions that binaryen's interface does not reach: from bytes to bytes. */
export type BytesPass = (bytes: Uint8Array, options: PassOptions) => Uint8Array;

const RUN: Readonly<Record<PassName, { readonly module: ModulePass } | { readonly bytes: BytesPass }>> = {
  regions: { module: regions },
  aliases: { bytes: aliases },
  polls: { bytes: polls },
  asyncify: { module: asyncify },
  optimize: { module: optimize },
};

/** @throws Error  when a pass cannot take the module; binaryen is not to be used again then */
export function runPasses(bytes: Uint8Array, { passes, options }: RewriteRequest): Uint8Array {
  let now = withoutDebugInfo(bytes);
  let module: binaryen.Module | undefined;
  for (const name of PASSES.filter((pass) => passes.includes(pass))) {
    const pass = RUN[name];
    if ("module" in pass) {
      module ??= readModule(now);
      pass.module(module, options);
    } else {
      now = pass.bytes(module === undefined ? now : writeModule(module), options);
      module = undefined;
    }
  }
  return module === undefined ? now : writeModule(module);
}
