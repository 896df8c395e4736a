/** Modules between bytes and binaryen. */
import binaryen from "binaryen";
import { SectionId } from "../module-shape.ts";
import { joined } from "../section-editor.ts";
import { readSections } from "../sections.ts";

/** What engines of this host take. Without `BulkMemoryOpt` the optimizer aborts. */
const FEATURES =
  binaryen.Features.Atomics |
  binaryen.Features.MutableGlobals |
  binaryen.Features.NontrappingFPToInt |
  binaryen.Features.SIMD128 |
  binaryen.Features.BulkMemory |
  binaryen.Features.BulkMemoryOpt |
  binaryen.Features.SignExt |
  binaryen.Features.ReferenceTypes |
  binaryen.Features.Multivalue |
  binaryen.Features.MultiMemory |
  binaryen.Features.ExtendedConst |
  binaryen.Features.ExceptionHandling |
  binaryen.Features.TailCall;

/** The rewriting does not ask what is allowed: that was asked when the module was uploaded. */
export const ANY_CAPS = { memories: 1_000, tables: 1_000 };

/** Keeps the names of functions, which stack traces need. */
export function readModule(bytes: Uint8Array): binaryen.Module {
  binaryen.setDebugInfo(true);
  binaryen.clearPassArguments();
  const module = binaryen.readBinary(bytes);
  module.setFeatures(FEATURES);
  return module;
}

/** The module must not be used afterwards. */
export function writeModule(module: binaryen.Module): Uint8Array {
  const bytes = module.emitBinary();
  module.dispose();
  return bytes;
}

/** Without what says where in the code something is: it would be wrong afterwards, and binaryen optimizes less to keep it right. */
export function withoutDebugInfo(bytes: Uint8Array): Uint8Array {
  const { sections } = readSections(bytes, ANY_CAPS);
  const kept = sections.filter(({ id, name }) => id !== SectionId.custom || name === "name");
  return joined([bytes.subarray(0, 8), ...kept.map(({ start, end }) => bytes.subarray(start, end))]);
}
