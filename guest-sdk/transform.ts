/**
 * What `asc` needs to build functions with typed entry points: `asc … --transform <this file>`.
 *
 * Each function that the entry file exports is one, but `main` and names that begin with "_" or "neap_". The transform writes what they
 * take and return into a custom section of the module, and has the runtime exported by which the host makes their values. A type that
 * no JSON value has is an error at its place in the source.
 */

import type {
  Class,
  Function as CompiledFunction,
  Element,
  FunctionPrototype,
  Program,
  PropertyPrototype,
  Range,
  Type,
} from "assemblyscript";
import * as compiler from "assemblyscript";

/** Its types say that these are gone at run time; they are not. */
const { CommonFlags, DiagnosticCode, ElementKind, SourceKind, TypeKind } = compiler as unknown as {
  readonly CommonFlags: { readonly Generic: number };
  readonly DiagnosticCode: { readonly User_defined_0: number };
  readonly ElementKind: { readonly FunctionPrototype: number; readonly PropertyPrototype: number };
  readonly SourceKind: { readonly UserEntry: number };
  readonly TypeKind: Readonly<Record<PlainKind | "Isize" | "Usize" | "Void", number>>;
};

type PlainKind = "Bool" | "I8" | "I16" | "I32" | "I64" | "U8" | "U16" | "U32" | "U64" | "F32" | "F64";

const SECTION = "neap.entry-points";
const VERSION = 1;
/** As the host has it. */
const SECTION_MAX_BYTES = 32 * 1024;
/** Exports that mean something to the host, and what the author calls its own. */
const NO_ENTRY_POINT = /^(?:main|wasi_thread_start|_.*|neap_.*)$/;
const NAME = /^[A-Za-z][A-Za-z0-9_$]{0,63}$/;

const PLAIN_KINDS: Readonly<Record<number, string>> = {
  [TypeKind.Bool]: "bool",
  [TypeKind.I8]: "i8",
  [TypeKind.I16]: "i16",
  [TypeKind.I32]: "i32",
  [TypeKind.I64]: "i64",
  [TypeKind.Isize]: "i32",
  [TypeKind.U8]: "u8",
  [TypeKind.U16]: "u16",
  [TypeKind.U32]: "u32",
  [TypeKind.U64]: "u64",
  [TypeKind.Usize]: "u32",
  [TypeKind.F32]: "f32",
  [TypeKind.F64]: "f64",
};

const TYPED_ARRAYS: ReadonlySet<string> = new Set(
  ["Int8", "Uint8", "Uint8Clamped", "Int16", "Uint16", "Int32", "Uint32", "Int64", "Uint64", "Float32", "Float64"].map(
    (name) => `${name}Array`,
  ),
);

/** A transform as `asc` wants it; the compiler gives it the program. */
export default class EntryPointsTransform {
  declare readonly program: Program;

  afterInitialize(program: Program): void {
    if (exportedFunctions(program).length > 0) {
      program.options.exportRuntime = true;
    }
  }

  afterCompile(module: { addCustomSection(name: string, contents: Uint8Array): void }): void {
    const { program } = this;
    const exported = exportedFunctions(program);
    if (exported.length === 0) {
      return;
    }
    const types = new TypeTable(program);
    const entryPoints = exported.flatMap(([name, prototype]) => entryPointOf(name, prototype, types) ?? []);
    const contents = new TextEncoder().encode(JSON.stringify({ version: VERSION, types: types.list, entryPoints }));
    if (contents.byteLength > SECTION_MAX_BYTES) {
      const text = `the entry points' types take ${contents.byteLength} bytes, at most ${SECTION_MAX_BYTES} are allowed`;
      report(program, text, null);
    }
    module.addCustomSection(SECTION, contents);
  }
}

function exportedFunctions(program: Program): [name: string, prototype: FunctionPrototype][] {
  const found: [string, FunctionPrototype][] = [];
  for (const { source, exports } of program.filesByName.values()) {
    if (source.sourceKind === SourceKind.UserEntry) {
      for (const [name, element] of exports ?? []) {
        if (element.kind === ElementKind.FunctionPrototype && !NO_ENTRY_POINT.test(name)) {
          found.push([name, element as FunctionPrototype]);
        }
      }
    }
  }
  return found;
}

function entryPointOf(name: string, prototype: FunctionPrototype, types: TypeTable): object | null {
  const { program, declaration } = prototype;
  const fail = (text: string, range: Range = declaration.name.range): null => {
    report(program, `the entry point ${name} ${text}`, range);
    return null;
  };
  if (!NAME.test(name)) {
    return fail("must have a name of 1 to 64 letters, digits, _ and $ that begins with a letter");
  }
  if (prototype.is(CommonFlags.Generic)) {
    return fail("is generic: it has no one type");
  }
  const compiled: CompiledFunction | undefined = prototype.instances?.get("");
  if (compiled === undefined) {
    return null;
  }
  const { signature } = compiled;
  const written = prototype.functionTypeNode;
  if (signature.requiredParameters < signature.parameterTypes.length || signature.hasRest) {
    return fail("has a parameter that may be left out: a call gives all of them");
  }
  const parameters = signature.parameterTypes.map((type, at) => ({
    name: compiled.getParameterName(at),
    type: types.indexOf(type, `the parameter ${compiled.getParameterName(at)}`, written.parameters[at]?.type.range ?? null),
  }));
  const isVoid = signature.returnType.kind === TypeKind.Void;
  const result = isVoid ? null : types.indexOf(signature.returnType, `the result of ${name}`, written.returnType.range);
  return { name, parameters, result };
}

/** The types that the entry points use, each once. */
class TypeTable {
  readonly list: object[] = [];
  readonly #program: Program;
  readonly #indexes = new Map<string, number>();

  constructor(program: Program) {
    this.#program = program;
  }

  /** @param what  has the type, at `range` */
  indexOf(type: Type, what: string, range: Range | null): number {
    const key = type.toString();
    const index = this.#indexes.get(key);
    return index ?? this.#add(key, type, what, range);
  }

  #add(key: string, type: Type, what: string, range: Range | null): number {
    const { classReference: reference } = type;
    if (type.isNullableReference && reference !== null) {
      return this.#push(key, { kind: "nullable", of: this.indexOf(type.nonNullableType, what, range) });
    }
    if (type.isValue && PLAIN_KINDS[type.kind] !== undefined) {
      return this.#push(key, { kind: PLAIN_KINDS[type.kind] });
    }
    if (reference === null || !type.isManaged) {
      return this.#refuse(type, what, range);
    }
    if (reference === this.#program.stringInstance) {
      return this.#push(key, { kind: "string" });
    }
    const listKind = this.#listKind(reference);
    if (listKind !== null) {
      const of = this.indexOf(reference.getArrayValueType(), `an element of ${what}`, range);
      return this.#push(key, { kind: listKind, id: reference.id, of });
    }
    return isLibrary(reference) || reference.isInterface || reference.isArrayLike
      ? this.#refuse(type, what, range)
      : this.#addClass(key, reference, what);
  }

  #addClass(key: string, reference: Class, what: string): number {
    for (let base: Class | null = reference; base !== null && !isLibrary(base); base = base.base) {
      const declared = base.prototype.constructorPrototype;
      if (declared !== null) {
        const text = `the class ${base.name} has a constructor, which would not run for ${what}: give it fields alone`;
        report(this.#program, text, declared.declaration.name.range);
      }
    }
    const fields: object[] = [];
    const name = reference.name.replace(/[^\p{L}\p{N}_$]+/gu, "_");
    const index = this.#push(key, { kind: "class", name, id: reference.id, sizeBytes: reference.nextMemoryOffset, fields });
    for (const [field, member] of reference.members ?? new Map<string, Element>()) {
      const property = member.kind === ElementKind.PropertyPrototype ? (member as PropertyPrototype).instance : null;
      if (property?.isField === true) {
        const place = property.prototype.declaration.name.range;
        const type = this.indexOf(property.type, `the field ${field} of ${reference.name}`, place);
        fields.push({ name: field, offset: property.memoryOffset, type });
      }
    }
    return index;
  }

  #listKind(reference: Class): string | null {
    const { arrayPrototype, staticArrayPrototype } = this.#program;
    if (reference.prototype === arrayPrototype) {
      return "array";
    }
    if (reference.prototype === staticArrayPrototype) {
      return "staticArray";
    }
    return isLibrary(reference) && TYPED_ARRAYS.has(reference.name) ? "typedArray" : null;
  }

  #push(key: string, type: object): number {
    this.#indexes.set(key, this.list.length);
    return this.list.push(type) - 1;
  }

  #refuse(type: Type, what: string, range: Range | null): number {
    const shown = type.toString().replaceAll(/[~\w/-]+\//g, "");
    const allowed = "numbers, bool, string, arrays, typed arrays, StaticArray, classes with fields, and these or null";
    report(this.#program, `${what} is of type ${shown}, which entry points cannot have: ${allowed}`, range);
    return 0;
  }
}

function isLibrary({ internalName }: Class): boolean {
  return internalName.startsWith("~lib/");
}

function report(program: Program, text: string, range: Range | null): void {
  program.error(DiagnosticCode.User_defined_0, range, text);
}
