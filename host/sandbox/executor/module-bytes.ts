/** Modules of this host's own, byte by byte. */
import { unsignedLeb } from "../../modules/leb.ts";

const HEADER = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

/** @param sections  in their order */
export function moduleOf(...sections: readonly (readonly number[])[]): WebAssembly.Module {
  return new WebAssembly.Module(Uint8Array.from([...HEADER, ...sections.flat()]));
}

export function section(id: number, contents: readonly number[]): number[] {
  return [id, ...unsignedLeb(contents.length), ...contents];
}

export function vector(entries: readonly (readonly number[])[]): number[] {
  return [...unsignedLeb(entries.length), ...entries.flat()];
}

export function text(value: string): number[] {
  const bytes = Buffer.from(value);
  return [...unsignedLeb(bytes.byteLength), ...bytes];
}
