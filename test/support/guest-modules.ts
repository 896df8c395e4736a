/** Modules for tests, from the text format, from AssemblyScript, or byte by byte. */
import asc from "assemblyscript/asc";
import loadWabt from "wabt";

const wabt = await loadWabt();

const FEATURES = {
  exceptions: true,
  mutable_globals: true,
  sat_float_to_int: true,
  sign_extension: true,
  simd: true,
  threads: true,
  multi_value: true,
  tail_call: true,
  bulk_memory: true,
  reference_types: true,
  memory64: true,
  extended_const: true,
  relaxed_simd: true,
};

/** Assembles the text format. The module need not be valid. */
export function wat(text: string): Uint8Array<ArrayBuffer> {
  const module = wabt.parseWat("test.wat", text, FEATURES);
  try {
    return Uint8Array.from(module.toBinary({ write_debug_names: true }).buffer);
  } finally {
    module.destroy();
  }
}

/** Compiles AssemblyScript. @throws with the compiler's messages */
export async function assemblyScript(source: string, flags: readonly string[] = []): Promise<Uint8Array<ArrayBuffer>> {
  let wasm: Uint8Array | undefined;
  const { error, stderr } = await asc.main(["main.ts", "--outFile", "main.wasm", ...flags], {
    readFile: (name) => (name === "main.ts" ? source : null),
    writeFile: (_name, contents) => {
      wasm = typeof contents === "string" ? Buffer.from(contents) : contents;
    },
    listFiles: () => [],
  });
  if (wasm === undefined) {
    throw new Error(`${error?.message}\n${stderr.toString()}`);
  }
  return Uint8Array.from(wasm);
}

/** A module of these sections. */
export function moduleOf(...sections: readonly (readonly number[])[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, ...sections.flat()]);
}

/** A section with its size. */
export function section(id: number, ...contents: number[]): number[] {
  return [id, ...leb(contents.length), ...contents];
}

/** An unsigned LEB128 number. */
export function leb(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...leb(Math.floor(value / 128))];
}

/** A name with its length. */
export function nameBytes(text: string): number[] {
  return [...leb(Buffer.byteLength(text)), ...Buffer.from(text)];
}
