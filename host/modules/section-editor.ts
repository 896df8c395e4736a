/** Writes a module anew with other limits and more exports; everything else keeps its bytes. */
import {
  GLOBAL_EXPORT_PREFIX,
  MEMORY_EXPORT,
  REWRITING_MODULE,
  SHARED_MEMORY_IMPORT,
  START_EXPORT,
  TABLE_EXPORT,
} from "./artefact.ts";
import { BULK_TYPE, type BulkInstruction, bulkBody, bulkOperations } from "./bulk-memory.ts";
import { unsignedLeb } from "./leb.ts";
import {
  type FunctionBody,
  guestMemory,
  importedCount,
  type Limits,
  type ModuleShape,
  type Section,
  SectionId,
  sharedMemory,
} from "./module-shape.ts";

export { unsignedLeb };

export interface ModuleEdit {
  /** Of the first memory of its own, or the shared one that it imports; the others stay as they are. */
  readonly memoryMinPages: number;
  /** The maximum becomes the smaller one of this and its own. */
  readonly memoryMaxPages: number;
  readonly tableMaxElements: number;
  /** Indices of the globals to export as `GLOBAL_EXPORT_PREFIX + index`. */
  readonly globals: readonly number[];
  /** false: memory begins with zeros. Passive segments stay, each at its index. */
  readonly activeData: boolean;
  /** Instructions on the first memory of its own that become calls of functions that do the same in pieces; ascending. */
  readonly bulk: readonly BulkInstruction[];
  /** Custom sections that come at its end, whole. Left out: none. */
  readonly added?: readonly Uint8Array[];
}

const CALL = 0x10;
/** Flags of limits: with a maximum, and shared. */
const SHARED_LIMITS = 0x03;
const KIND = { function: 0, table: 1, memory: 2, global: 3 } as const;
/** A passive data segment of length 0: what instantiation leaves of an active one. */
const SPENT_SEGMENT = [0x01, 0x00];
/** Sections that may not come before the export section. */
const AFTER_EXPORTS: readonly number[] = [
  SectionId.start,
  SectionId.element,
  SectionId.dataCount,
  SectionId.code,
  SectionId.data,
];

/**
 * The module without start section and without custom sections other than "name", which stack traces need; its memory exported as
 * MEMORY_EXPORT, its table as TABLE_EXPORT, its start function as START_EXPORT: its own ones if it has any, else imported ones, and
 * the first if there are several. A shared memory, its own or imported, becomes an import of `REWRITING_MODULE.SHARED_MEMORY_IMPORT`. A
 * module that was edited before keeps the exports that it got then. The module must have passed the engine's validation.
 */
export function editModule(bytes: Uint8Array, shape: ModuleShape, edit: ModuleEdit): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [bytes.subarray(0, 8)];
  const copy = (section: Section) => parts.push(bytes.subarray(section.start, section.end));
  const write = (id: number, ...contents: Uint8Array[]) => {
    const sizeBytes = contents.reduce((sum, part) => sum + part.byteLength, 0);
    parts.push(Uint8Array.from([id, ...unsignedLeb(sizeBytes)]), ...contents);
  };
  const isShared = sharedMemory(shape) !== undefined;
  let imported = !isShared;
  const writeImports = () => {
    if (!imported) {
      imported = true;
      write(SectionId.import, ...sharedImports(bytes, shape, edit));
    }
  };
  let exported = false;
  const writeExports = () => {
    if (!exported) {
      exported = true;
      write(SectionId.export, ...exportContents(bytes, shape, edit.globals));
    }
  };

  for (const section of shape.sections) {
    if (section.id > SectionId.import) {
      writeImports();
    }
    if (AFTER_EXPORTS.includes(section.id)) {
      writeExports();
    }
    switch (section.id) {
      case SectionId.custom:
        break;
      case SectionId.table:
        write(section.id, ...tableContents(bytes, shape, edit.tableMaxElements));
        break;
      case SectionId.import:
        if (isShared) {
          writeImports();
        } else {
          copy(section);
        }
        break;
      case SectionId.memory:
        if (isShared) {
          break;
        }
        write(section.id, memoryContents(bytes, shape, edit));
        break;
      case SectionId.export:
        writeExports();
        break;
      case SectionId.start:
        break;
      case SectionId.type:
      case SectionId.function:
      case SectionId.code:
        if (edit.bulk.length === 0) {
          copy(section);
        } else {
          write(section.id, ...bulkContents(section.id, bytes, shape, edit.bulk));
        }
        break;
      case SectionId.data:
        if (edit.activeData) {
          copy(section);
        } else {
          write(section.id, ...spentDataContents(bytes, shape));
        }
        break;
      default:
        copy(section);
    }
  }
  writeExports();
  const names = shape.sections.find((section) => section.id === SectionId.custom && section.name === "name");
  if (names !== undefined) {
    copy(names);
  }
  parts.push(...(edit.added ?? []));
  return joined(parts);
}

/** The imports with the guest's memory behind all others: no index of a function changes, and there is no second memory. */
function sharedImports(bytes: Uint8Array, shape: ModuleShape, edit: ModuleEdit): Uint8Array[] {
  const own = shape.imports.filter(({ kind }) => kind !== "memory");
  const max = capped(sharedMemory(shape) ?? { max: undefined }, edit.memoryMaxPages);
  const names = [REWRITING_MODULE, SHARED_MEMORY_IMPORT].flatMap((name) => [name.length, ...Buffer.from(name)]);
  const memory = [...names, KIND.memory, SHARED_LIMITS, ...unsignedLeb(edit.memoryMinPages), ...unsignedLeb(max)];
  return [
    Uint8Array.from(unsignedLeb(own.length + 1)),
    ...own.map(({ offset, end }) => bytes.subarray(offset, end)),
    Uint8Array.from(memory),
  ];
}

/** The section with one more type, one function for each operation, and their bodies: behind all others, so that no index changes. */
function bulkContents(id: number, bytes: Uint8Array, shape: ModuleShape, bulk: readonly BulkInstruction[]): Uint8Array[] {
  const contents = (count: number, own: Uint8Array[], added: readonly number[]) => [
    Uint8Array.from(unsignedLeb(count)),
    ...own,
    Uint8Array.from(added),
  ];
  const section = shape.sections.find((each) => each.id === id);
  const entries =
    section === undefined ? [] : [bytes.subarray(section.contents + lebBytes(bytes, section.contents), section.end)];
  const operations = bulkOperations(bulk, shape.dataSegments);
  switch (id) {
    case SectionId.type:
      return contents(shape.types.length + 1, entries, BULK_TYPE);
    case SectionId.function: {
      const added = operations.flatMap(() => unsignedLeb(shape.types.length));
      return contents(shape.functions.length + operations.length, entries, added);
    }
    default: {
      const first = importedCount(shape, "function") + shape.functions.length;
      const memory = guestMemory(shape);
      const added = operations.flatMap((operation, at) => {
        const body = bulkBody(operation, unsignedLeb(first + at), memory);
        return [...unsignedLeb(body.length), ...body];
      });
      const indexOf = ({ kind, segment }: BulkInstruction) =>
        first + operations.findIndex((one) => one.kind === kind && (one.kind !== "init" || one.segment === segment));
      return contents(shape.bodies.length + operations.length, bodiesWithCalls(bytes, shape.bodies, bulk, indexOf), added);
    }
  }
}

function bodiesWithCalls(
  bytes: Uint8Array,
  bodies: readonly FunctionBody[],
  bulk: readonly BulkInstruction[],
  indexOf: (instruction: BulkInstruction) => number,
): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let next = 0;
  for (const body of bodies) {
    const pieces: Uint8Array[] = [];
    let at = body.declarations;
    for (let found = bulk[next]; found !== undefined && found.start < body.end; found = bulk[next]) {
      pieces.push(bytes.subarray(at, found.start), Uint8Array.from([CALL, ...unsignedLeb(indexOf(found))]));
      at = found.end;
      next += 1;
    }
    pieces.push(bytes.subarray(at, body.end));
    const sizeBytes = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
    parts.push(Uint8Array.from(unsignedLeb(sizeBytes)), ...pieces);
  }
  return parts;
}

/** How many bytes the LEB128 number at `at` takes. */
function lebBytes(bytes: Uint8Array, at: number): number {
  let length = 1;
  while ((bytes[at + length - 1] ?? 0) >= 0x80) {
    length += 1;
  }
  return length;
}

function exportContents(bytes: Uint8Array, shape: ModuleShape, globals: readonly number[]): Uint8Array[] {
  const added: [string, number, number][] = [];
  for (const [name, kind, own] of [
    [MEMORY_EXPORT, "memory", shape.memories.length],
    [TABLE_EXPORT, "table", shape.tables.length],
  ] as const) {
    const imported = importedCount(shape, kind);
    if (own + imported > 0) {
      added.push([name, KIND[kind], own > 0 ? imported : 0]);
    }
  }
  if (shape.start !== undefined) {
    added.push([START_EXPORT, KIND.function, shape.start]);
  }
  for (const index of globals) {
    added.push([GLOBAL_EXPORT_PREFIX + index, KIND.global, index]);
  }
  const known = new Set(shape.exports.map(({ name }) => name));
  const missing = added.filter(([name]) => !known.has(name));
  const first = shape.exports[0]?.offset;
  const section = shape.sections.find((each) => each.id === SectionId.export);
  const own = first === undefined || section === undefined ? new Uint8Array() : bytes.subarray(first, section.end);
  const entries = missing.flatMap(([name, kind, index]) => {
    const text = Buffer.from(name);
    return [...unsignedLeb(text.byteLength), ...text, kind, ...unsignedLeb(index)];
  });
  return [Uint8Array.from(unsignedLeb(shape.exports.length + missing.length)), own, Uint8Array.from(entries)];
}

function tableContents(bytes: Uint8Array, shape: ModuleShape, maxElements: number): Uint8Array[] {
  const tables = shape.tables.flatMap((table) => [
    bytes.subarray(table.start, table.limits.start),
    limitsBytes(table.limits.min, capped(table.limits, maxElements)),
    bytes.subarray(table.limits.end, table.end),
  ]);
  return [Uint8Array.from(unsignedLeb(shape.tables.length)), ...tables];
}

function memoryContents(bytes: Uint8Array, shape: ModuleShape, edit: ModuleEdit): Uint8Array {
  const memories = shape.memories.map((memory, at) =>
    at === 0 ? limitsBytes(edit.memoryMinPages, capped(memory, edit.memoryMaxPages)) : bytes.subarray(memory.start, memory.end),
  );
  return joined([Uint8Array.from(unsignedLeb(memories.length)), ...memories]);
}

/** The smaller one of the maximum of `limits` and `max`. */
export function capped(limits: Pick<Limits, "max">, max: number): number {
  return Math.min(limits.max ?? max, max);
}

function limitsBytes(min: number, max: number): Uint8Array {
  return Uint8Array.from([0x01, ...unsignedLeb(min), ...unsignedLeb(max)]);
}

function spentDataContents(bytes: Uint8Array, shape: ModuleShape): Uint8Array[] {
  const spent = Uint8Array.from(SPENT_SEGMENT);
  const segments = shape.dataSegments.map((segment) => (segment.active ? spent : bytes.subarray(segment.start, segment.end)));
  return [Uint8Array.from(unsignedLeb(segments.length)), ...segments];
}

export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}
