/**
 * The custom section "dylink.0", in which a linker says what a side module needs of whoever loads it: the dynamic linking convention of
 * WebAssembly's tool-conventions, https://github.com/WebAssembly/tool-conventions/blob/main/DynamicLinking.md
 */
import { NeapError } from "../../../state/errors.ts";
import { ModuleReader } from "../module-reader.ts";
import { type ModuleShape, SectionId } from "../module-shape.ts";

const SECTION = "dylink.0";
const Subsection = { memory: 1, needed: 2, exports: 3, imports: 4 } as const;
/** Of a symbol's flags: its binding, of which 1 is weak. */
const BINDING_MASK = 0x03;
const WEAK = 0x01;
const CAPS = { needed: 64, symbols: 10_000 } as const;
/** A page of memory, and as many elements: where a side module begins can be a multiple of no more. */
const ALIGNMENT_MAX_LOG2 = 16;

export interface Dylink {
  readonly memoryBytes: number;
  readonly memoryAlignment: number;
  readonly tableElements: number;
  readonly tableAlignment: number;
  /** Other side modules, by the names that the linker was given. */
  readonly needed: readonly string[];
  /** Imports as "module.name" that may be missing. */
  readonly weak: readonly string[];
}

/** @throws MODULE_INVALID  there is no such section, or it is broken. MODULE_LIMIT  it asks for what nobody can have */
export function readDylink(bytes: Uint8Array, { sections }: ModuleShape): Dylink {
  const found = sections.find(({ id, name }) => id === SectionId.custom && name === SECTION);
  if (found === undefined) {
    const text = `there is no custom section "${SECTION}": build it with -fPIC, and link it with -shared --experimental-pic`;
    throw new NeapError("MODULE_INVALID", text);
  }
  const section = new ModuleReader(bytes, `section "${SECTION}"`, found.contents, found.end);
  section.name("name");
  const size = { memoryBytes: 0, memoryAlignment: 1, tableElements: 0, tableAlignment: 1 };
  const needed: string[] = [];
  const weak: string[] = [];
  while (section.remaining > 0) {
    const kind = section.u8("subsection");
    const sizeBytes = section.u32("size of a subsection");
    const start = section.skip(sizeBytes, "subsection");
    const reader = new ModuleReader(bytes, `section "${SECTION}"`, start, section.offset);
    switch (kind) {
      case Subsection.memory:
        size.memoryBytes = reader.u32("size of the memory");
        size.memoryAlignment = alignment(reader, "memory");
        size.tableElements = reader.u32("size of the table");
        size.tableAlignment = alignment(reader, "table");
        reader.finish();
        break;
      case Subsection.needed:
        for (let left = reader.count("needed modules", CAPS.needed); left > 0; left--) {
          needed.push(reader.name("needed module"));
        }
        reader.finish();
        break;
      case Subsection.imports:
        for (let left = reader.count("imports", CAPS.symbols); left > 0; left--) {
          const name = `${reader.name("module name")}.${reader.name("import name")}`;
          if ((reader.u32("flags") & BINDING_MASK) === WEAK) {
            weak.push(name);
          }
        }
        reader.finish();
        break;
      // What exports are, and where a system would look for files.
      default:
    }
  }
  return { ...size, needed, weak };
}

function alignment(reader: ModuleReader, what: string): number {
  const start = reader.offset;
  const log2 = reader.u32(`alignment of the ${what}`);
  if (log2 > ALIGNMENT_MAX_LOG2) {
    const text = `section "${SECTION}" at offset ${start}: the ${what} is aligned to 2^${log2}, at most 2^${ALIGNMENT_MAX_LOG2} is possible`;
    throw new NeapError("MODULE_LIMIT", text);
  }
  return 2 ** log2;
}
