/**
 * Reads a module's sections.
 *
 * Owns: that everything read lies inside the module, that sections come in order and once, and that each holds exactly its entries.
 * Does not own: what is allowed here (`validation.ts`), and the typing of instructions, which the engine checks afterwards.
 */
import { NeapError } from "../../state/errors.ts";
import { quote } from "../../state/ids.ts";
import { skipConstantExpression } from "./instructions.ts";
import { MODULE_CAPS } from "./module-caps.ts";
import { ModuleReader } from "./module-reader.ts";
import {
  type DataSegment,
  type ExportEntry,
  type ExternalKind,
  type FunctionBody,
  type FunctionType,
  type GlobalEntry,
  type ImportEntry,
  type Limits,
  type ModuleShape,
  type Section,
  SectionId,
  type TableEntry,
} from "./module-shape.ts";

const MAGIC = [0x00, 0x61, 0x73, 0x6d];
const VERSION = 1;
const HEADER_BYTES = 8;

/** The order that sections must have, which is not that of their ids. */
const ORDER = [1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11];
const NAMES: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(SectionId).map(([name, id]) => [id, name === "dataCount" ? "data count" : name]),
);
const EXTERNAL_KINDS: readonly ExternalKind[] = ["function", "table", "memory", "global", "tag"];
const VALUE_TYPES: Readonly<Record<number, string>> = {
  127: "i32",
  126: "i64",
  125: "f32",
  124: "f64",
  123: "v128",
  112: "funcref",
  111: "externref",
  105: "exnref",
};
const REF_NULL = 0x63;
const REF = 0x64;
const REF_FUNC = 0xd2;

/** @throws MODULE_INVALID naming section and offset, MODULE_LIMIT beyond `caps` */
export function readSections(
  bytes: Uint8Array,
  caps: { readonly memories: number; readonly tables: number } = MODULE_CAPS,
): ModuleShape {
  checkHeader(bytes);
  const sections = findSections(bytes);
  const read = <T>(id: number, what: (reader: ModuleReader) => T, absent: T): T => {
    const section = sections.find((each) => each.id === id);
    if (section === undefined) {
      return absent;
    }
    const reader = new ModuleReader(bytes, `${section.name} section`, section.contents, section.end);
    const value = what(reader);
    reader.finish();
    return value;
  };
  const list = <T>(id: number, what: string, max: number, entry: (reader: ModuleReader) => T) =>
    read<readonly T[]>(id, (reader) => entries(reader, what, max, entry), []);

  const shape: ModuleShape = {
    sections,
    types: list(SectionId.type, "types", MODULE_CAPS.types, functionType),
    imports: list(SectionId.import, "imports", MODULE_CAPS.imports, importEntry),
    functions: list(SectionId.function, "functions", MODULE_CAPS.functions, (reader) => reader.u32("type index")),
    tables: list(SectionId.table, "tables", caps.tables, tableEntry),
    memories: list(SectionId.memory, "memories", caps.memories, limits),
    tags: list(SectionId.tag, "tags", MODULE_CAPS.tags, tagEntry),
    globals: list(SectionId.global, "globals", MODULE_CAPS.globals, globalEntry),
    exports: list(SectionId.export, "exports", MODULE_CAPS.exports, exportEntry),
    start: read(SectionId.start, (reader) => reader.u32("function index"), undefined),
    elementSegmentCount: list(SectionId.element, "element segments", MODULE_CAPS.elementSegments, (reader) =>
      elementSegment(reader),
    ).length,
    bodies: list(SectionId.code, "function bodies", MODULE_CAPS.functions, functionBody),
    dataSegments: list(SectionId.data, "data segments", MODULE_CAPS.dataSegments, dataSegment),
  };
  if (shape.bodies.length !== shape.functions.length) {
    const text = `${at(shape, SectionId.function)}: ${shape.functions.length} functions, but ${at(shape, SectionId.code)}: ${shape.bodies.length} bodies`;
    throw new NeapError("MODULE_INVALID", text);
  }
  return shape;
}

/** The functions that element segments name, by index: what a table can hold. */
export function elementFunctions(bytes: Uint8Array, { sections }: ModuleShape): Set<number> {
  const found = new Set<number>();
  const section = sections.find(({ id }) => id === SectionId.element);
  if (section !== undefined) {
    const reader = new ModuleReader(bytes, "element section", section.contents, section.end);
    entries(reader, "element segments", MODULE_CAPS.elementSegments, () => elementSegment(reader, (index) => found.add(index)));
  }
  return found;
}

/** "code section at offset 9", or that there is none. */
function at({ sections }: ModuleShape, id: number): string {
  const section = sections.find((each) => each.id === id);
  return section === undefined ? `no ${NAMES[id]} section` : `${section.name} section at offset ${section.start}`;
}

function checkHeader(bytes: Uint8Array): void {
  const fail = (text: string): never => {
    throw new NeapError("MODULE_INVALID", text);
  };
  if (bytes.byteLength === 0) {
    fail("the upload is empty");
  }
  const magic = bytes.subarray(0, 4);
  if (!magic.every((byte, at) => byte === MAGIC[at])) {
    fail(`not WebAssembly: the upload begins with the bytes ${hex(magic)}, a module with ${hex(MAGIC)} ("\\0asm")`);
  }
  if (bytes.byteLength < HEADER_BYTES) {
    fail(`truncated: the module's header has ${HEADER_BYTES} bytes, the upload ${bytes.byteLength}`);
  }
  const version = new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true);
  if (version !== VERSION) {
    fail(
      version === 0x1_000d
        ? "a component, not a module: upload the core module inside it"
        : `WebAssembly version ${version}, must be ${VERSION}`,
    );
  }
}

function hex(bytes: Iterable<number>): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

/** Where each section is. @throws MODULE_INVALID, MODULE_LIMIT */
export function findSections(bytes: Uint8Array): Section[] {
  const sections: Section[] = [];
  const reader = new ModuleReader(bytes, "module", HEADER_BYTES);
  let last = -1;
  let customSections = 0;
  while (reader.remaining > 0) {
    const start = reader.offset;
    const id = reader.u8("section id");
    const known = NAMES[id] ?? reader.fail(`unknown section id ${id}`, start);
    const sizeBytes = reader.u32(`size of the ${known} section`);
    if (sizeBytes > reader.remaining) {
      const text = `truncated: ${known} section at offset ${start} says ${sizeBytes} bytes, ${reader.remaining} are left`;
      throw new NeapError("MODULE_INVALID", text);
    }
    const contents = reader.skip(sizeBytes, known);
    const end = reader.offset;
    if (id === SectionId.custom) {
      const name = new ModuleReader(bytes, "custom section", contents, end).name("name");
      customSections += 1;
      if (customSections > MODULE_CAPS.customSections) {
        throw new NeapError(
          "MODULE_LIMIT",
          `custom section at offset ${start}: the module has more than the ${MODULE_CAPS.customSections} that are allowed`,
        );
      }
      sections.push({ id, name, start, contents, end });
      continue;
    }
    const place = ORDER.indexOf(id);
    if (place <= last) {
      const previous = NAMES[ORDER[last] ?? 0];
      reader.fail(place === last ? `second ${known} section` : `${known} section after the ${previous} section`, start);
    }
    last = place;
    sections.push({ id, name: known, start, contents, end });
  }
  return sections;
}

function entries<T>(reader: ModuleReader, what: string, max: number, entry: (reader: ModuleReader) => T): T[] {
  const list: T[] = [];
  for (let left = reader.count(what, max); left > 0; left--) {
    list.push(entry(reader));
  }
  return list;
}

function valueType(reader: ModuleReader): string {
  const start = reader.offset;
  const byte = reader.u8("value type");
  if (byte === REF_NULL || byte === REF) {
    reader.skipS33("heap type");
    return "ref";
  }
  return VALUE_TYPES[byte] ?? reader.fail(`unknown value type 0x${byte.toString(16)}`, start);
}

function functionType(reader: ModuleReader): FunctionType {
  const start = reader.offset;
  const form = reader.u8("type form");
  if (form !== 0x60) {
    reader.fail(`type form 0x${form.toString(16)}: this host takes function types (0x60) only`, start);
  }
  return {
    params: entries(reader, "parameters", MODULE_CAPS.parameters, valueType),
    results: entries(reader, "results", MODULE_CAPS.parameters, valueType),
  };
}

function externalKind(reader: ModuleReader): ExternalKind {
  const start = reader.offset;
  const kind = reader.u8("kind");
  return EXTERNAL_KINDS[kind] ?? reader.fail(`unknown kind ${kind}`, start);
}

function importEntry(reader: ModuleReader): ImportEntry {
  const { offset } = reader;
  const module = reader.name("module name");
  const name = reader.name("import name");
  const kind = externalKind(reader);
  let typeIndex = 0;
  let memory: Limits | undefined;
  switch (kind) {
    case "function":
      typeIndex = reader.u32("type index");
      break;
    case "table":
      valueType(reader);
      limits(reader);
      break;
    case "memory":
      memory = limits(reader);
      break;
    case "global":
      valueType(reader);
      reader.u8("mutability");
      break;
    case "tag":
      tagEntry(reader);
      break;
  }
  return { offset, end: reader.offset, module, name, kind, typeIndex, limits: memory };
}

function tagEntry(reader: ModuleReader): number {
  reader.u8("tag attribute");
  return reader.u32("type index");
}

function limits(reader: ModuleReader): Limits {
  const start = reader.offset;
  const flags = reader.u8("limits");
  if (flags > 0x0f) {
    reader.fail(`unknown limits flags 0x${flags.toString(16)}`, start);
  }
  const min = reader.u64("minimum");
  const max = (flags & 0x01) !== 0 ? reader.u64("maximum") : undefined;
  const customPageSize = (flags & 0x08) !== 0;
  if (customPageSize) {
    reader.u32("page size");
  }
  const end = reader.offset;
  return { start, end, min, max, shared: (flags & 0x02) !== 0, is64: (flags & 0x04) !== 0, customPageSize };
}

function tableEntry(reader: ModuleReader): TableEntry {
  const start = reader.offset;
  const initialised = reader.bytes[start] === 0x40;
  if (initialised) {
    reader.skip(2, "table initialiser mark");
  }
  valueType(reader);
  const size = limits(reader);
  if (initialised) {
    skipConstantExpression(reader);
  }
  return { start, end: reader.offset, limits: size };
}

function globalEntry(reader: ModuleReader): GlobalEntry {
  const offset = reader.offset;
  const type = valueType(reader);
  const mutable = reader.u8("mutability");
  if (mutable > 1) {
    reader.fail(`mutability is ${mutable}, must be 0 or 1`, offset);
  }
  skipConstantExpression(reader);
  return { type, mutable: mutable === 1, offset };
}

function exportEntry(reader: ModuleReader): ExportEntry {
  const offset = reader.offset;
  const name = reader.name("export name");
  return { name, kind: externalKind(reader), index: reader.u32(`index of export ${quote(name)}`), offset };
}

/**
 * Bits of the flags: not active; explicit table (if active), declarative (if not); expressions instead of function indices.
 * @param onFunction  told of each function that the segment names
 */
function elementSegment(reader: ModuleReader, onFunction: (index: number) => void = () => {}): void {
  const start = reader.offset;
  const flags = reader.u32("element segment flags");
  if (flags > 7) {
    reader.fail(`unknown element segment flags ${flags}`, start);
  }
  const active = (flags & 1) === 0;
  const explicit = (flags & 2) !== 0;
  const expressions = (flags & 4) !== 0;
  if (active) {
    if (explicit) {
      reader.u32("table index");
    }
    skipConstantExpression(reader);
  }
  if (!active || explicit) {
    if (expressions) {
      valueType(reader);
    } else {
      reader.u8("element kind");
    }
  }
  for (let left = reader.count("elements", Number.POSITIVE_INFINITY); left > 0; left--) {
    if (!expressions) {
      onFunction(reader.u32("function index"));
      continue;
    }
    const isFunction = reader.bytes[reader.offset] === REF_FUNC;
    const start = reader.offset;
    skipConstantExpression(reader);
    if (isFunction) {
      onFunction(new ModuleReader(reader.bytes, "element section", start + 1, reader.offset).u32("function index"));
    }
  }
}

function functionBody(reader: ModuleReader): FunctionBody {
  const sizeBytes = reader.u32("size of a function body");
  const bodyStart = reader.skip(sizeBytes, "function body");
  const end = reader.offset;
  const body = new ModuleReader(reader.bytes, "code section", bodyStart, end);
  let locals = 0;
  for (let left = body.count("groups of locals", MODULE_CAPS.localsOfFunction); left > 0; left--) {
    locals += body.u32("number of locals");
    valueType(body);
  }
  return { declarations: bodyStart, locals, start: body.offset, end };
}

function dataSegment(reader: ModuleReader): DataSegment {
  const start = reader.offset;
  const flags = reader.u32("data segment flags");
  if (flags > 2) {
    reader.fail(`unknown data segment flags ${flags}`, start);
  }
  if (flags === 2) {
    reader.u32("memory index");
  }
  if (flags !== 1) {
    skipConstantExpression(reader);
  }
  const sizeBytes = reader.u32("size of a data segment");
  reader.skip(sizeBytes, "data segment");
  return { start, end: reader.offset, active: flags !== 1, sizeBytes };
}
