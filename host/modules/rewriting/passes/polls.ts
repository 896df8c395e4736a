/**
 * Lets a guest be interrupted: at the head of each loop, and on entry to each function that can call itself, it looks at a word of
 * memory shared with the host, and calls the host when that is not 0.
 *
 *     if (control[0] != 0) { if ($host.interrupt()) unreachable }
 *
 * The host returns 0 when the guest may go on, whenever that is, and 1 to end it: a trap is what no guest can catch (H3). A chain of
 * calls without loop and recursion is not interrupted, however long it takes: the watchdog is there for that.
 *
 * Instructions are put in byte by byte, as binaryen's interface does not reach into all of them.
 */
import binaryen from "binaryen";
import { CONTROL_IMPORT, INTERRUPT_IMPORT, REWRITING_MODULE } from "../../artefact.ts";
import { scanBody } from "../../instructions.ts";
import { ModuleReader } from "../../module-reader.ts";
import { type FunctionBody, type ModuleShape, SectionId } from "../../module-shape.ts";
import { joined, unsignedLeb } from "../../section-editor.ts";
import { readSections } from "../../sections.ts";
import { ANY_CAPS, readModule, writeModule } from "../binary.ts";
import { functionsOnCycles } from "./call-cycles.ts";

export function polls(bytes: Uint8Array): Uint8Array {
  const module = readModule(bytes);
  const name = (base: string) => `${REWRITING_MODULE}.${base}`;
  module.addMemoryImport(name(CONTROL_IMPORT), REWRITING_MODULE, CONTROL_IMPORT, true);
  module.addFunctionImport(name(INTERRUPT_IMPORT), REWRITING_MODULE, INTERRUPT_IMPORT, binaryen.none, binaryen.i32);
  return insertPolls(writeModule(module));
}

function insertPolls(bytes: Uint8Array): Uint8Array {
  const shape = readSections(bytes, ANY_CAPS);
  const code = shape.sections.find(({ id }) => id === SectionId.code);
  if (code === undefined) {
    return bytes;
  }
  const poll = pollBytes(shape);
  const imported = shape.imports.filter(({ kind }) => kind === "function").length;
  const onCycle = functionsOnCycles(bytes, shape);
  const parts: Uint8Array[] = [Uint8Array.from(unsignedLeb(shape.bodies.length))];
  const reader = new ModuleReader(bytes, "code section", code.contents, code.end);
  reader.u32("number of function bodies");
  for (const [at, body] of shape.bodies.entries()) {
    reader.u32("size of a function body");
    const content = withPolls(bytes, reader.offset, body, poll, onCycle.has(imported + at));
    parts.push(Uint8Array.from(unsignedLeb(content.byteLength)), content);
    reader.offset = body.end;
  }
  const contents = joined(parts);
  const head = Uint8Array.from([SectionId.code, ...unsignedLeb(contents.byteLength)]);
  return joined([bytes.subarray(0, code.start), head, contents, bytes.subarray(code.end)]);
}

/** @param start  where the body begins, with its locals */
function withPolls(bytes: Uint8Array, start: number, body: FunctionBody, poll: Uint8Array, onEntry: boolean): Uint8Array {
  const places: number[] = onEntry ? [body.start] : [];
  scanBody(bytes, body, { loop: (offset) => places.push(offset) });
  const parts: Uint8Array[] = [];
  let done = start;
  for (const place of places) {
    parts.push(bytes.subarray(done, place), poll);
    done = place;
  }
  parts.push(bytes.subarray(done, body.end));
  return joined(parts);
}

/** The load is atomic, so that no compiler may take it out of a loop. */
function pollBytes({ imports }: ModuleShape): Uint8Array {
  const indexOf = (kind: "memory" | "function", name: string) =>
    imports.filter((entry) => entry.kind === kind).findIndex((entry) => entry.module === REWRITING_MODULE && entry.name === name);
  const I32_CONST = 0x41;
  const I32_ATOMIC_LOAD = [0xfe, 0x10];
  const ALIGNED_4_WITH_MEMORY = 0x42;
  const IF_VOID = [0x04, 0x40];
  const CALL = 0x10;
  const UNREACHABLE = 0x00;
  const END = 0x0b;
  return Uint8Array.from([
    ...[I32_CONST, 0],
    ...[...I32_ATOMIC_LOAD, ALIGNED_4_WITH_MEMORY, ...unsignedLeb(indexOf("memory", CONTROL_IMPORT)), 0],
    ...IF_VOID,
    ...[CALL, ...unsignedLeb(indexOf("function", INTERRUPT_IMPORT))],
    ...[...IF_VOID, UNREACHABLE, END],
    END,
  ]);
}
