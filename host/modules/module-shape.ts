/** What is known of a module after its sections were read. All offsets are in the module's bytes. */
import { REWRITING_MODULE, SHARED_MEMORY_IMPORT } from "./artefact.ts";

export interface ModuleShape {
  readonly sections: readonly Section[];
  readonly types: readonly FunctionType[];
  readonly imports: readonly ImportEntry[];
  /** Type indices of the module's own functions. */
  readonly functions: readonly number[];
  readonly tables: readonly TableEntry[];
  readonly memories: readonly Limits[];
  /** The types of the tags that it has of its own. */
  readonly tags: readonly number[];
  readonly globals: readonly GlobalEntry[];
  readonly exports: readonly ExportEntry[];
  readonly start: number | undefined;
  readonly elementSegmentCount: number;
  readonly bodies: readonly FunctionBody[];
  readonly dataSegments: readonly DataSegment[];
}

export const SectionId = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  start: 8,
  element: 9,
  code: 10,
  data: 11,
  dataCount: 12,
  tag: 13,
} as const;

export interface Section extends Span {
  readonly id: number;
  /** "type", "code" …; of a custom section its own name. */
  readonly name: string;
  /** Where its contents begin; `start` is where its id lies. */
  readonly contents: number;
}

export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Value types by their names in the text format; "ref" is any reference type without a short name. */
export interface FunctionType {
  readonly params: readonly string[];
  readonly results: readonly string[];
}

export type ExternalKind = "function" | "table" | "memory" | "global" | "tag";

export interface ImportEntry {
  readonly offset: number;
  readonly module: string;
  readonly name: string;
  readonly kind: ExternalKind;
  /** Where it ends. */
  readonly end: number;
  /** Of a function; else 0. */
  readonly typeIndex: number;
  /** Of a memory. */
  readonly limits: Limits | undefined;
}

/** Size limits of a memory (pages) or table (elements), and where they are written. */
export interface Limits extends Span {
  readonly min: number;
  readonly max: number | undefined;
  readonly shared: boolean;
  readonly is64: boolean;
  readonly customPageSize: boolean;
}

/** `start` to `end` is the whole entry, its limits lie inside. */
export interface TableEntry extends Span {
  readonly limits: Limits;
}

export interface GlobalEntry {
  readonly type: string;
  readonly mutable: boolean;
  readonly offset: number;
}

export interface ExportEntry {
  readonly name: string;
  readonly kind: ExternalKind;
  readonly index: number;
  readonly offset: number;
}

/** `start` is where the function's instructions begin, after its locals. */
export interface FunctionBody extends Span {
  /** Where it begins behind its size: with the declarations of its locals. */
  readonly declarations: number;
  readonly locals: number;
}

export interface DataSegment extends Span {
  /** Written into memory by instantiation; else only by memory.init. */
  readonly active: boolean;
  readonly sizeBytes: number;
}

/** The shared memory of a module whose calls have threads, its own or imported; undefined for any other. */
export function sharedMemory({ memories, imports }: ModuleShape): Limits | undefined {
  const [memory = imports.find(isGuestMemory)?.limits] = memories;
  return memory?.shared === true ? memory : undefined;
}

/** Not one that rewriting has added. */
function isGuestMemory({ kind, module, name }: ImportEntry): boolean {
  return kind === "memory" && (module !== REWRITING_MODULE || name === SHARED_MEMORY_IMPORT);
}

/** The index of the memory that is the guest's: its own one, which what rewriting imports comes before, or the one it imports. */
export function guestMemory(shape: ModuleShape): number {
  return shape.memories.length > 0 ? importedCount(shape, "memory") : 0;
}

/** How many of a kind are imported: the module's own ones are numbered behind them. */
export function importedCount({ imports }: ModuleShape, kind: ExternalKind): number {
  return imports.reduce((count, entry) => count + (entry.kind === kind ? 1 : 0), 0);
}
