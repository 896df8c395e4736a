/**
 * The custom section in which a module says what its typed entry points take and return. The SDK's compiler transform writes it as JSON.
 *
 * Owns: that what is read of it is bounded and means something. Its bytes are anybody's.
 * Does not own: whether the module exports what it says (`check-module.ts`).
 */
import { NeapError } from "../../../state/errors.ts";
import { show } from "./arguments.ts";
import { type EntryPoint, isEntryPointName, type Parameter } from "./entry-points.ts";
import { type FieldType, hasTypedArray, isReference, type PlainKind, sizeOf, type ValueType } from "./value-type.ts";

export const ENTRY_POINTS_SECTION = "neap.entry-points";
/** Read in one go, on the main thread too (H27). */
export const SECTION_MAX_BYTES = 32 * 1024;
const VERSION = 1;
const CAPS = { types: 512, fields: 128, entryPoints: 128, parameters: 32, objectBytes: 64 * 1024 } as const;

const PLAIN_KINDS: ReadonlySet<string> = new Set<PlainKind>([
  ...(["i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64"] as const),
  ...(["f32", "f64", "bool", "string"] as const),
]);
const IDENTIFIER = /^[\p{L}_$][\p{L}\p{N}_$]{0,127}$/u;

/** @throws MODULE_INVALID naming what of the section is wrong, MODULE_LIMIT */
export function decodeEntryPoints(bytes: Uint8Array): readonly EntryPoint[] {
  if (bytes.byteLength > SECTION_MAX_BYTES) {
    const text = `custom section ${ENTRY_POINTS_SECTION}: ${bytes.byteLength} bytes, at most ${SECTION_MAX_BYTES} are allowed`;
    throw new NeapError("MODULE_LIMIT", text);
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return fail("it is not JSON");
  }
  const { version, types, entryPoints } = record("the section", parsed);
  if (version !== VERSION) {
    fail(`version is ${show(version)}, must be ${VERSION}: build the module with the SDK of this host`);
  }
  const known = decodeTypes(list("types", types, CAPS.types));
  const decoded = list("entryPoints", entryPoints, CAPS.entryPoints).map((given, at) =>
    decodeEntryPoint(`entryPoints[${at}]`, given, known),
  );
  distinct("entryPoints", decoded);
  return decoded;
}

function decodeEntryPoint(where: string, given: unknown, types: readonly ValueType[]): EntryPoint {
  const { name, parameters, result } = record(where, given);
  if (typeof name !== "string" || !isEntryPointName(name)) {
    return fail(`${where}.name is ${show(name)}, must be 1 to 64 letters, digits, _ and $ that begin with a letter`);
  }
  const taken = list(`${where}.parameters`, parameters, CAPS.parameters).map((parameter, at): Parameter => {
    const path = `${where}.parameters[${at}]`;
    const { name: own, type } = record(path, parameter);
    return { name: identifier(`${path}.name`, own), type: typeAt(`${path}.type`, type, types) };
  });
  distinct(`${where}.parameters`, taken);
  return { name, parameters: taken, result: result === null ? null : typeAt(`${where}.result`, result, types) };
}

/** Lists and nullables name earlier types, so that no type holds itself but through a class; fields may name any. */
function decodeTypes(given: readonly unknown[]): readonly ValueType[] {
  const types: ValueType[] = [];
  const classes: (() => void)[] = [];
  for (const [at, one] of given.entries()) {
    const where = `types[${at}]`;
    const { kind, name, id, of, sizeBytes, fields } = record(where, one);
    switch (kind) {
      case "array":
      case "staticArray":
      case "typedArray": {
        const element = typeAt(`${where}.of`, of, types);
        if (kind === "typedArray" && !hasTypedArray(element)) {
          fail(`${where}.of is ${element.kind}, of which there is no typed array`);
        }
        types.push({ kind, id: whole(`${where}.id`, id, 2 ** 32 - 1), of: element });
        break;
      }
      case "nullable": {
        const element = typeAt(`${where}.of`, of, types);
        if (!isReference(element) || element.kind === "nullable") {
          fail(`${where}.of is ${element.kind}, which cannot be null`);
        }
        types.push({ kind, of: element });
        break;
      }
      case "class": {
        const own: FieldType[] = [];
        const size = whole(`${where}.sizeBytes`, sizeBytes, CAPS.objectBytes);
        const named = { name: identifier(`${where}.name`, name), id: whole(`${where}.id`, id, 2 ** 32 - 1) };
        types.push({ kind, ...named, sizeBytes: size, fields: own });
        classes.push(() => {
          own.push(...decodeFields(where, list(`${where}.fields`, fields, CAPS.fields), size, types));
          distinct(`${where}.fields`, own);
        });
        break;
      }
      default:
        if (typeof kind !== "string" || !PLAIN_KINDS.has(kind)) {
          fail(`${where}.kind is ${show(kind)}, which is no type`);
        }
        types.push({ kind: kind as PlainKind });
    }
  }
  for (const decode of classes) {
    decode();
  }
  return types;
}

function decodeFields(where: string, given: readonly unknown[], sizeBytes: number, types: readonly ValueType[]): FieldType[] {
  return given.map((field, at) => {
    const path = `${where}.fields[${at}]`;
    const { name, offset, type } = record(path, field);
    const ofType = typeAt(`${path}.type`, type, types);
    const size = sizeOf(ofType);
    const start = whole(`${path}.offset`, offset, sizeBytes);
    if (start + size > sizeBytes || start % size !== 0) {
      fail(`${path}.offset is ${start}: ${size} bytes do not lie there in an object of ${sizeBytes}`);
    }
    return { name: identifier(`${path}.name`, name), offset: start, type: ofType };
  });
}

function typeAt(where: string, index: unknown, types: readonly ValueType[]): ValueType {
  const type = typeof index === "number" ? types[index] : undefined;
  return type ?? fail(`${where} is ${show(index)}, which is no type that may be named here`);
}

function record(where: string, value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return fail(`${where} must be an object`);
  }
  return { ...value };
}

function list(where: string, value: unknown, max: number): readonly unknown[] {
  if (!Array.isArray(value)) {
    return fail(`${where} must be a list`);
  }
  if (value.length > max) {
    const text = `custom section ${ENTRY_POINTS_SECTION}: ${where} has ${value.length} entries, at most ${max} are allowed`;
    throw new NeapError("MODULE_LIMIT", text);
  }
  return value;
}

function whole(where: string, value: unknown, max: number): number {
  const isWhole = typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= max;
  return isWhole ? value : fail(`${where} is ${show(value)}, must be a whole number from 0 to ${max}`);
}

function identifier(where: string, value: unknown): string {
  return typeof value === "string" && IDENTIFIER.test(value) ? value : fail(`${where} is ${show(value)}, must be a name`);
}

function distinct(where: string, named: readonly { readonly name: string }[]): void {
  if (new Set(named.map(({ name }) => name)).size < named.length) {
    fail(`${where}: two have the same name`);
  }
}

function fail(text: string): never {
  throw new NeapError("MODULE_INVALID", `custom section ${ENTRY_POINTS_SECTION}: ${text}`);
}
