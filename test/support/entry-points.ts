/** Modules with typed entry points that no compiler has made. */
import { unsignedLeb } from "../../host/modules/section-editor.ts";
import { wat } from "./guest-modules.ts";

export const SECTION = "neap.entry-points";

/** The module with a custom section behind its own. */
export function withSection(module: Uint8Array, contents: string | Uint8Array, name = SECTION): Uint8Array<ArrayBuffer> {
  const text = Buffer.from(name);
  const body = Buffer.concat([Uint8Array.from(unsignedLeb(text.byteLength)), text, Buffer.from(contents)]);
  return Uint8Array.from(Buffer.concat([module, Uint8Array.from([0, ...unsignedLeb(body.byteLength)]), body]));
}

/** What the section says of them. */
export function entryPoints(types: readonly object[], entryPoints: readonly object[]): string {
  return JSON.stringify({ version: 1, types, entryPoints });
}

/** What AssemblyScript's runtime exports, as `allocate`, an expression of the size in $size, makes its memory. */
export function runtimeWat(functions: string, allocate = "(i32.const 1024)"): string {
  return `(module (memory (export "memory") 1)
    (global (export "__rtti_base") i32 (i32.const 16))
    (func (export "__new") (param $size i32) (param $id i32) (result i32) ${allocate})
    (func (export "__pin") (param i32) (result i32) local.get 0)
    ${functions})`;
}

/** A module with that runtime and those entry points. */
export function typedModule(functions: string, section: string, allocate?: string): Uint8Array<ArrayBuffer> {
  return withSection(wat(runtimeWat(functions, allocate)), section);
}
