/** Takes the state of an instance: memory and mutable globals. */
import { createHash } from "node:crypto";
import { ByteWriter } from "../../state/bytes.ts";
import { invariant, NeapError } from "../../state/errors.ts";
import { type GlobalExport, MEMORY_EXPORT, type Snapshot, WASM_PAGE_BYTES } from "./artefact.ts";
import { MODULE_CAPS } from "./module-caps.ts";

/** Zeros between two parts of a run that are shorter than this stay inside it: a run of its own costs more. */
const GAP_BYTES = 1024;
const BLOCK_BYTES = 4096;
const ZEROS = new Uint8Array(BLOCK_BYTES);

/** @throws MODULE_LIMIT when more of the memory is not zero than an artefact may hold */
export function takeSnapshot(exports: WebAssembly.Exports, globals: readonly GlobalExport[]): Snapshot {
  const memory = exportAs(exports, MEMORY_EXPORT, WebAssembly.Memory);
  const bytes = new Uint8Array(memory.buffer);
  const runs = nonZeroRuns(bytes);
  const sizeBytes = runs.reduce((sum, run) => sum + run.bytes.byteLength, 0);
  if (sizeBytes > MODULE_CAPS.snapshotBytes) {
    const text = `the start function leaves ${sizeBytes} bytes of memory that are not zero, at most ${MODULE_CAPS.snapshotBytes} are allowed`;
    throw new NeapError("MODULE_LIMIT", text);
  }
  const content = {
    pages: bytes.byteLength / WASM_PAGE_BYTES,
    runs: runs.map((run) => ({ offset: run.offset, bytes: run.bytes.slice() })),
    globals: globals.map(({ name }) => plain(exportAs(exports, name, WebAssembly.Global).value)),
  };
  return { ...content, hash: snapshotHash(content, globals) };
}

function exportAs<T>(exports: WebAssembly.Exports, name: string, kind: new (...args: never[]) => T): T {
  const value = exports[name];
  invariant(value instanceof kind, `the rewritten module exports ${name}`);
  return value;
}

/** All NaNs are one: which one an engine computed is not determined. */
function plain(value: number | bigint): number | bigint {
  return Number.isNaN(value) ? Number.NaN : value;
}

function nonZeroRuns(memory: Uint8Array): { offset: number; bytes: Uint8Array }[] {
  const runs: { offset: number; bytes: Uint8Array }[] = [];
  let start = -1;
  let end = -1;
  const close = () => {
    if (start >= 0) {
      runs.push({ offset: start, bytes: memory.subarray(start, end) });
    }
    if (runs.length > MODULE_CAPS.snapshotRuns) {
      const text = `the start function leaves memory in more than ${MODULE_CAPS.snapshotRuns} parts with zeros between them`;
      throw new NeapError("MODULE_LIMIT", text);
    }
  };
  for (let block = 0; block < memory.byteLength; block += BLOCK_BYTES) {
    const bytes = memory.subarray(block, block + BLOCK_BYTES);
    if (Buffer.compare(bytes, ZEROS) === 0) {
      continue;
    }
    for (let at = 0; at < BLOCK_BYTES; at++) {
      if (bytes[at] !== 0) {
        if (start < 0 || block + at - end >= GAP_BYTES) {
          close();
          start = block + at;
        }
        end = block + at + 1;
      }
    }
  }
  close();
  return runs;
}

function snapshotHash(content: Omit<Snapshot, "hash">, globals: readonly GlobalExport[]): string {
  const hash = createHash("sha256");
  const head = new ByteWriter().u32(content.pages).u32(content.runs.length);
  for (const [at, { type }] of globals.entries()) {
    const value = content.globals[at] ?? 0;
    head.text(type);
    if (typeof value === "bigint") {
      head.i64(value);
    } else {
      head.f64(value);
    }
  }
  hash.update(head.take());
  for (const run of content.runs) {
    hash.update(new ByteWriter(8).u32(run.offset).u32(run.bytes.byteLength).take()).update(run.bytes);
  }
  return hash.digest("hex");
}
