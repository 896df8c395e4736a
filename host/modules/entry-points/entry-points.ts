/** A module's typed entry points: exported functions that are called with values instead of bytes. */
import { isName } from "../../../state/ids.ts";
import { type ClassType, isList, typeText, type ValueType } from "./value-type.ts";

export interface Parameter {
  readonly name: string;
  readonly type: ValueType;
}

export interface EntryPoint {
  /** Of the export. */
  readonly name: string;
  readonly parameters: readonly Parameter[];
  /** null: it returns nothing. */
  readonly result: ValueType | null;
}

/** What a call runs: a function's `main`, or one of its entry points. */
export interface CallTarget {
  readonly functionName: string;
  readonly entryPoint: string | null;
}

const ENTRY_POINT_NAME = /^[A-Za-z][A-Za-z0-9_$]{0,63}$/;
/** Of `<function>/<entry point>`. */
export const TARGET_MAX_BYTES = 128 + 1 + 64;
export const TARGET_RULE = "a function's name, or <function>/<entry point>";

export function isEntryPointName(value: string): boolean {
  return ENTRY_POINT_NAME.test(value);
}

/** Of `shop`, or `shop/total`; null when it is neither. */
export function callTarget(text: string): CallTarget | null {
  const slash = text.indexOf("/");
  const functionName = slash < 0 ? text : text.slice(0, slash);
  const entryPoint = slash < 0 ? null : text.slice(slash + 1);
  return isName(functionName) && (entryPoint === null || isEntryPointName(entryPoint)) ? { functionName, entryPoint } : null;
}

/** "total(items: Array<Item>): f64" */
export function signatureText({ name, parameters, result }: EntryPoint): string {
  const taken = parameters.map((parameter) => `${parameter.name}: ${typeText(parameter.type)}`);
  return `${name}(${taken.join(", ")}): ${result === null ? "void" : typeText(result)}`;
}

const fieldsMax = new WeakMap<EntryPoint, number>();

/** Fields of the widest class among the arguments: so many a short object may leave out. */
export function fieldsMaxOf(entryPoint: EntryPoint): number {
  let max = fieldsMax.get(entryPoint);
  if (max === undefined) {
    max = Math.max(0, ...Array.from(classesOf([entryPoint]), ({ fields }) => fields.length));
    fieldsMax.set(entryPoint, max);
  }
  return max;
}

function classesOf(entryPoints: readonly EntryPoint[]): ReadonlySet<ClassType> {
  const classes = new Set<ClassType>();
  for (const { parameters, result } of entryPoints) {
    for (const type of [...parameters.map((parameter) => parameter.type), ...(result === null ? [] : [result])]) {
      gatherClasses(type, classes);
    }
  }
  return classes;
}

/** What `GET …/entry-points` says of them: each with its signature, and the fields of the classes in these. */
export function describeEntryPoints(entryPoints: readonly EntryPoint[]): object {
  const classes = classesOf(entryPoints);
  const named = (list: readonly Parameter[]) => list.map(({ name, type }) => ({ name, type: typeText(type) }));
  return {
    entryPoints: entryPoints.map((entryPoint) => ({
      name: entryPoint.name,
      signature: signatureText(entryPoint),
      parameters: named(entryPoint.parameters),
      result: entryPoint.result === null ? null : typeText(entryPoint.result),
    })),
    classes: Array.from(classes, ({ name, fields }) => ({ name, fields: named(fields) })),
  };
}

function gatherClasses(type: ValueType, classes: Set<ClassType>): void {
  if (isList(type) || type.kind === "nullable") {
    gatherClasses(type.of, classes);
  } else if (type.kind === "class" && !classes.has(type)) {
    classes.add(type);
    for (const field of type.fields) {
      gatherClasses(field.type, classes);
    }
  }
}
