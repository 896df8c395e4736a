import { TABLE_EXPORT } from "../../modules/artefact.ts";
import { GuestFault } from "../guest.ts";

/** @throws GuestFault  the table has no function there */
export function tableFunction(
  exports: WebAssembly.Exports,
  tableIndex: number,
): WebAssembly.ExportValue & { readonly length: number; (...args: number[]): unknown } {
  const table = exports[TABLE_EXPORT];
  const f = table instanceof WebAssembly.Table && tableIndex < table.length ? table.get(tableIndex) : null;
  if (typeof f !== "function") {
    throw new GuestFault(`the table has no function at ${tableIndex}`);
  }
  return f as ReturnType<typeof tableFunction>;
}
