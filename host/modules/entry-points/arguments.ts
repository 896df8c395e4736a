/** Whether JSON is what an entry point takes. The same check refuses a call before anything is logged, and stands before the guest's memory. */
import { NeapError } from "../../../state/errors.ts";
import { quote } from "../../../state/ids.ts";
import { type EntryPoint, signatureText } from "./entry-points.ts";
import {
  INTEGERS,
  isFloat,
  isInteger,
  isList,
  isLong,
  LONG_INTEGERS,
  type LongKind,
  typeText,
  type ValueType,
} from "./value-type.ts";

/** Lists and objects inside each other. */
export const NESTING_MAX = 64;
/** Floats that JSON has no numbers for. */
const NOT_FINITE: ReadonlySet<unknown> = new Set(["NaN", "Infinity", "-Infinity"]);
const DECIMAL = /^-?[0-9]{1,20}$/;
const strictUtf8 = new TextDecoder("utf-8", { fatal: true });
const UTF16_BYTES = 2;
/** No object of a guest may be longer. */
const OBJECT_MAX_BYTES = 2 ** 30;

/**
 * The arguments in the order of the parameters.
 * @param given  a list, or an object by the names of the parameters
 * @throws ARGUMENT_INVALID  with the path in `given`, what is there, and the type that is wanted
 */
export function checkArguments(entryPoint: EntryPoint, given: unknown): readonly unknown[] {
  const values = ordered(entryPoint, given);
  for (const [at, { name, type }] of entryPoint.parameters.entries()) {
    check(values[at], type, Array.isArray(given) ? `arguments[${at}]` : `arguments.${name}`, 0);
  }
  return values;
}

/** @param input  of a call; empty is no arguments. @throws MALFORMED_JSON */
export function parseArguments(input: Uint8Array): unknown {
  if (input.byteLength === 0) {
    return [];
  }
  try {
    return JSON.parse(strictUtf8.decode(input));
  } catch {
    throw new NeapError("MALFORMED_JSON", "the arguments are not JSON");
  }
}

function ordered(entryPoint: EntryPoint, given: unknown): readonly unknown[] {
  const { parameters } = entryPoint;
  if (Array.isArray(given)) {
    if (given.length !== parameters.length) {
      fail(`arguments has ${given.length} values, ${signatureText(entryPoint)} takes ${parameters.length}`);
    }
    return given;
  }
  if (typeof given !== "object" || given === null) {
    const wanted = `a list of values, or an object by the parameters' names, for ${signatureText(entryPoint)}`;
    return fail(`arguments is ${show(given)}, must be ${wanted}`);
  }
  noOthers(given, parameters, "arguments", signatureText(entryPoint));
  return parameters.map(({ name, type }) => member(given, name, type, `arguments.${name}`));
}

function check(value: unknown, type: ValueType, path: string, depth: number): void {
  if (depth > NESTING_MAX) {
    fail(`${path} is more than ${NESTING_MAX} lists and objects deep`);
  }
  if (type.kind === "nullable") {
    if (value !== null) {
      check(value, type.of, path, depth);
    }
  } else if (isList(type)) {
    if (!Array.isArray(value)) {
      wrong(path, value, type);
    }
    for (const [at, one] of value.entries()) {
      // Most are plain, and need no path.
      if (!isPlain(one, type.of)) {
        check(one, type.of, `${path}[${at}]`, depth + 1);
      }
    }
  } else if (type.kind === "class") {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      wrong(path, value, type);
    }
    noOthers(value, type.fields, path, type.name);
    for (const field of type.fields) {
      const own = `${path}.${field.name}`;
      check(member(value, field.name, field.type, own), field.type, own, depth + 1);
    }
  } else if (!isPlain(value, type)) {
    wrong(path, value, type);
  }
}

/** Whether the type is neither a list nor a class, and the value of it. */
function isPlain(value: unknown, { kind }: ValueType): boolean {
  if (isInteger(kind)) {
    const { min, max } = INTEGERS[kind];
    return typeof value === "number" && Number.isInteger(value) && value >= min && value <= max;
  }
  if (isLong(kind)) {
    return longOf(value, kind) !== null;
  }
  if (isFloat(kind)) {
    const isNumber = typeof value === "number" && Number.isFinite(kind === "f32" ? Math.fround(value) : value);
    return isNumber || NOT_FINITE.has(value);
  }
  return kind === "bool" ? typeof value === "boolean" : kind === "string" && isText(value);
}

function isText(value: unknown): boolean {
  return typeof value === "string" && value.length * UTF16_BYTES <= OBJECT_MAX_BYTES;
}

/** Null unless it is a whole number that JSON has exactly, or a decimal text, in the range of the type. */
export function longOf(value: unknown, kind: LongKind): bigint | null {
  const isNumber = typeof value === "number" && Number.isSafeInteger(value);
  if (!isNumber && !(typeof value === "string" && DECIMAL.test(value))) {
    return null;
  }
  const { min, max } = LONG_INTEGERS[kind];
  const long = BigInt(value);
  return long >= min && long <= max ? long : null;
}

/** What may be null may be left out. */
function member(object: object, name: string, type: ValueType, path: string): unknown {
  if (Object.hasOwn(object, name)) {
    return (object as Record<string, unknown>)[name];
  }
  return type.kind === "nullable" ? null : fail(`${path} is missing, must be ${wanted(type)}`);
}

function noOthers(object: object, known: readonly { readonly name: string }[], path: string, of: string): void {
  for (const name of Object.keys(object)) {
    if (!known.some((one) => one.name === name)) {
      fail(`${path} has ${quote(name)}, which ${of} does not have`);
    }
  }
}

function wrong(path: string, value: unknown, type: ValueType): never {
  return fail(`${path} is ${show(value)}, must be ${wanted(type)}`);
}

function wanted(type: ValueType): string {
  const { kind } = type;
  if (isInteger(kind)) {
    return `${kind}, a whole number from ${INTEGERS[kind].min} to ${INTEGERS[kind].max}`;
  }
  if (isLong(kind)) {
    const { min, max } = LONG_INTEGERS[kind];
    return `${kind}, a whole number from ${min} to ${max}, beyond ±${Number.MAX_SAFE_INTEGER} as a text`;
  }
  return isFloat(kind) ? `${kind}, a number it can hold, "NaN", "Infinity" or "-Infinity"` : typeText(type);
}

/** A value for a message. */
export function show(value: unknown): string {
  if (value === undefined) {
    return "missing";
  }
  if (typeof value === "string") {
    return quote(value);
  }
  if (Array.isArray(value)) {
    return `a list of ${value.length}`;
  }
  return typeof value === "object" && value !== null ? "an object" : String(value);
}

function fail(text: string): never {
  throw new NeapError("ARGUMENT_INVALID", text);
}
