/** What a module with typed entry points must be beside what its section says. */
import { NeapError } from "../../../state/errors.ts";
import { quote } from "../../../state/ids.ts";
import type { Artefact } from "../artefact.ts";
import { ModuleReader } from "../module-reader.ts";
import { type FunctionType, importedCount, type ModuleShape, type Section, SectionId, sharedMemory } from "../module-shape.ts";
import { findSections } from "../sections.ts";
import { callTarget, type EntryPoint, signatureText } from "./entry-points.ts";
import { decodeEntryPoints, ENTRY_POINTS_SECTION } from "./section.ts";
import { wasmType } from "./value-type.ts";

/** Exports of AssemblyScript's runtime (`--exportRuntime`) by which values come into the guest's memory and are found there. */
export const RUNTIME_FUNCTIONS: Readonly<Record<string, FunctionType>> = {
  __new: { params: ["i32", "i32"], results: ["i32"] },
  __pin: { params: ["i32"], results: ["i32"] },
};
export const RUNTIME_TYPES = "__rtti_base";
export const RUNTIME_MEMORY = "memory";

const NONE: readonly EntryPoint[] = [];

/** Where the section is; undefined when there is none. @throws MODULE_INVALID  there are several */
export function entryPointsSection({ sections }: Pick<ModuleShape, "sections">): Section | undefined {
  const [first, second] = sections.filter(({ id, name }) => id === SectionId.custom && name === ENTRY_POINTS_SECTION);
  if (second !== undefined) {
    throw new NeapError(
      "MODULE_INVALID",
      `custom section ${ENTRY_POINTS_SECTION} at offset ${second.start}: there is one already`,
    );
  }
  return first;
}

/**
 * The module's typed entry points; none when it has no section that names them.
 * @param typeOf  of an exported function
 * @throws MODULE_INVALID, MODULE_LIMIT  the section means nothing, or the module is not what it says
 */
export function checkEntryPoints(
  bytes: Uint8Array,
  shape: ModuleShape,
  typeOf: (name: string) => FunctionType | undefined,
): readonly EntryPoint[] {
  const section = entryPointsSection(shape);
  if (section === undefined) {
    return NONE;
  }
  const entryPoints = read(bytes, section);
  const fail = (text: string): never => {
    throw new NeapError("MODULE_INVALID", `custom section ${ENTRY_POINTS_SECTION} at offset ${section.start}: ${text}`);
  };
  if (sharedMemory(shape) !== undefined) {
    const text = `custom section ${ENTRY_POINTS_SECTION}: the memory is shared by threads, such a module has no typed entry points`;
    throw new NeapError("MODULE_LIMIT", text);
  }
  for (const [name, type] of Object.entries(RUNTIME_FUNCTIONS)) {
    if (!isSame(typeOf(name), type)) {
      fail(`the module must export AssemblyScript's runtime, ${name} among it: build it with --exportRuntime`);
    }
  }
  const indexOf = (name: string, kind: string) =>
    shape.exports.find((one) => one.name === name && one.kind === kind)?.index ?? -1;
  const types = shape.globals[indexOf(RUNTIME_TYPES, "global") - importedCount(shape, "global")];
  if (types?.type !== "i32" || types.mutable || indexOf(RUNTIME_MEMORY, "memory") < 0) {
    fail(`the module must export ${RUNTIME_TYPES}, an i32 that does not change, and its memory as ${quote(RUNTIME_MEMORY)}`);
  }
  for (const entryPoint of entryPoints) {
    const { parameters, result } = entryPoint;
    const said: FunctionType = {
      params: parameters.map(({ type }) => wasmType(type)),
      results: result === null ? [] : [wasmType(result)],
    };
    if (!isSame(typeOf(entryPoint.name), said)) {
      fail(`the module exports no function of the type of ${signatureText(entryPoint)}`);
    }
  }
  return entryPoints;
}

const known = new WeakMap<Artefact, readonly EntryPoint[]>();

/** Of a module that was checked when it was uploaded. Its few sections are looked at once. */
export function entryPointsOf(artefact: Artefact): readonly EntryPoint[] {
  let entryPoints = known.get(artefact);
  if (entryPoints === undefined) {
    const section = entryPointsSection({ sections: findSections(artefact.wasm) });
    entryPoints = section === undefined ? NONE : read(artefact.wasm, section);
    known.set(artefact, entryPoints);
  }
  return entryPoints;
}

/**
 * What a call of `functionName`, or of `<function>/<entry point>`, runs of the module; null: its own entry.
 * @throws UNKNOWN_ENTRY_POINT  it has not what the call names, or no entry of its own
 */
export function calledEntryPoint(artefact: Artefact, target: string): EntryPoint | null {
  if (artefact.entry !== "" && !target.includes("/")) {
    return null;
  }
  const { functionName, entryPoint } = callTarget(target) ?? { functionName: target, entryPoint: null };
  const entryPoints = entryPointsOf(artefact);
  const found = entryPoints.find(({ name }) => name === entryPoint);
  if (found !== undefined) {
    return found;
  }
  const missing = entryPoint === null ? "main" : `entry point ${quote(entryPoint)}`;
  const names = entryPoints.length === 0 ? "no typed entry points at all" : entryPoints.map(({ name }) => name).join(", ");
  throw new NeapError("UNKNOWN_ENTRY_POINT", `function ${quote(functionName)} has no ${missing}; it has ${names}`);
}

function read(bytes: Uint8Array, section: Section): readonly EntryPoint[] {
  const reader = new ModuleReader(bytes, "custom section", section.contents, section.end);
  reader.name("name");
  return decodeEntryPoints(bytes.subarray(reader.offset, section.end));
}

function isSame(left: FunctionType | undefined, right: FunctionType): boolean {
  const types = ({ params, results }: FunctionType) => `${params}→${results}`;
  return left !== undefined && types(left) === types(right);
}
