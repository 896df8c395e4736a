export type { AbiFunction, AbiTable } from "./abi-table.ts";
export {
  type Artefact,
  CONTROL_IMPORT,
  GLOBAL_EXPORT_PREFIX,
  type GlobalExport,
  INTERRUPT_IMPORT,
  MEMORY_EXPORT,
  type ModuleHash,
  type ModuleLimits,
  REWRITING_MODULE,
  type Snapshot,
  TABLE_EXPORT,
  WASM_PAGE_BYTES,
} from "./artefact.ts";
export { FunctionRegistry, type FunctionRegistryOptions } from "./function-registry.ts";
export type { Functions, FunctionVersion, UploadOptions } from "./functions.ts";
export { prepareModule } from "./preparation.ts";
export { RETRY_CAUSES, type RetryPolicy } from "./retry-policy.ts";
export { NO_REWRITING, type RewritingOptions } from "./rewriting/index.ts";
