export { checkArguments, longOf, NESTING_MAX, parseArguments } from "./arguments.ts";
export {
  calledEntryPoint,
  checkEntryPoints,
  entryPointsOf,
  entryPointsSection,
  RUNTIME_FUNCTIONS,
  RUNTIME_MEMORY,
  RUNTIME_TYPES,
} from "./check-module.ts";
export {
  type CallTarget,
  callTarget,
  describeEntryPoints,
  type EntryPoint,
  fieldsMaxOf,
  functionNameOf,
  isEntryPointName,
  signatureText,
  TARGET_MAX_BYTES,
  TARGET_RULE,
} from "./entry-points.ts";
export { decodeEntryPoints, ENTRY_POINTS_SECTION } from "./section.ts";
export {
  type ClassType,
  INTEGERS,
  isFloat,
  isInteger,
  isList,
  isLong,
  isReference,
  type ListType,
  sizeOf,
  typeText,
  type ValueType,
  wasmType,
} from "./value-type.ts";
