/** Artefacts as the bytes of a blob. */
import { ByteReader, ByteWriter } from "../../state/bytes.ts";
import { NeapError } from "../../state/errors.ts";
import type { Artefact, GlobalExport, ModuleHash } from "./artefact.ts";

const MAGIC = 0x5041_454e; // "NEAP"
/** Those before have no `aliasState`. */
const ALIAS_FORMAT = 4;
const FORMATS = { oldest: 3, newest: ALIAS_FORMAT };
const GLOBAL_TYPES: readonly GlobalExport["type"][] = ["i32", "i64", "f32", "f64"];

export function encodeArtefact(artefact: Artefact): Uint8Array {
  const { globals, snapshot } = artefact;
  const runBytes = snapshot.runs.reduce((sum, run) => sum + run.bytes.byteLength + 8, 0);
  const w = new ByteWriter(artefact.wasm.byteLength + runBytes + 4096);
  w.u32(MAGIC).u32(FORMATS.newest).text(artefact.hash).text(artefact.entry);
  const { entryReturns, hasTable, preemptible, migratable, regionSafe, aliasState } = artefact;
  for (const flag of [entryReturns, hasTable, preemptible, migratable, regionSafe]) {
    w.u8(flag ? 1 : 0);
  }
  w.u32(artefact.memoryMaxPages).u32(artefact.imports.length);
  for (const name of artefact.imports) {
    w.text(name);
  }
  w.u32(globals.length);
  for (const [at, { name, type }] of globals.entries()) {
    const value = snapshot.globals[at] ?? 0;
    w.text(name).u8(GLOBAL_TYPES.indexOf(type));
    if (typeof value === "bigint") {
      w.i64(value);
    } else {
      w.f64(value);
    }
  }
  w.text(snapshot.hash).u32(snapshot.pages).u32(snapshot.runs.length);
  for (const run of snapshot.runs) {
    w.u32(run.offset).bytes(run.bytes);
  }
  return w
    .bytes(artefact.wasm)
    .u8(aliasState ? 1 : 0)
    .take();
}

/**
 * The module and the snapshot's runs are views of `bytes`.
 * @throws BLOB_MISSING  the bytes are not those of the artefact `hash`, or of a format that this host does not read
 */
export function decodeArtefact(bytes: Uint8Array, hash: ModuleHash): Artefact {
  try {
    return decode(bytes, hash);
  } catch (cause) {
    throw new NeapError("BLOB_MISSING", `the artefact of module ${hash} cannot be read; upload the module again`, { cause });
  }
}

function decode(bytes: Uint8Array, hash: ModuleHash): Artefact {
  const r = new ByteReader(bytes);
  const [magic, format] = [r.u32(), r.u32()];
  if (magic !== MAGIC || format < FORMATS.oldest || format > FORMATS.newest || r.text() !== hash) {
    throw new TypeError("another format or another module");
  }
  const entry = r.text();
  const flag = (): boolean => r.u8() === 1;
  const flags = { entryReturns: flag(), hasTable: flag(), preemptible: flag(), migratable: flag(), regionSafe: flag() };
  const memoryMaxPages = r.u32();
  const imports = list(r, () => r.text());
  const valued = list(r, () => {
    const name = r.text();
    const type = GLOBAL_TYPES[r.u8()];
    if (type === undefined) {
      throw new TypeError("unknown type of a global");
    }
    return { name, type, value: type === "i64" ? r.i64() : r.f64() };
  });
  const snapshot = {
    hash: r.text(),
    globals: valued.map(({ value }) => value),
    pages: r.u32(),
    runs: list(r, () => ({ offset: r.u32(), bytes: r.bytes() })),
  };
  const wasm = r.bytes();
  const aliasState = format >= ALIAS_FORMAT && r.u8() === 1;
  if (r.remaining > 0) {
    throw new RangeError(`${r.remaining} bytes too many`);
  }
  const globals = valued.map(({ name, type }) => ({ name, type }));
  return { hash, wasm, entry, ...flags, aliasState, globals, memoryMaxPages, imports, snapshot };
}

function list<T>(r: ByteReader, entry: () => T): T[] {
  const entries: T[] = [];
  for (let left = r.u32(); left > 0; left--) {
    entries.push(entry());
  }
  return entries;
}
