/** Functions that call one of the table whose place is not known yet: imports of a side module that it exports itself. */
import { unsignedLeb } from "../../../modules/leb.ts";
import { moduleOf, section, text, vector } from "../module-bytes.ts";

const I32 = 0x7f;
const KIND = { function: 0, table: 1, global: 3 } as const;
const STUB = "stub";

export interface Stub {
  readonly run: WebAssembly.ExportValue;
  /** The function's place, before it is called. */
  readonly place: WebAssembly.Global;
}

/** @param type  of the function, as the format has it: with values of one byte each */
export function stubFor(table: WebAssembly.Table, type: Uint8Array): Stub {
  const place = new WebAssembly.Global({ value: "i32", mutable: true }, 0);
  const { exports } = new WebAssembly.Instance(stubModule(type), { t: { table, place } });
  const run = exports[STUB];
  if (run === undefined) {
    throw new TypeError("the stub's module exports it");
  }
  return { run, place };
}

/** In wasm: a function of the host's between the caller and what it calls could not wait for the host. */
function stubModule(type: Uint8Array): WebAssembly.Module {
  const [GLOBAL_GET, LOCAL_GET, CALL_INDIRECT, END, FUNCREF] = [0x23, 0x20, 0x11, 0x0b, 0x70];
  const given = Array.from({ length: paramsOf(type) }, (_, at) => [LOCAL_GET, ...unsignedLeb(at)]).flat();
  const body = [0, ...given, GLOBAL_GET, 0, CALL_INDIRECT, 0, 0, END];
  return moduleOf(
    section(1, vector([[...type]])),
    section(
      2,
      vector([
        [...text("t"), ...text("table"), KIND.table, FUNCREF, 0, 0],
        [...text("t"), ...text("place"), KIND.global, I32, 1],
      ]),
    ),
    section(3, [1, 0]),
    section(7, vector([[...text(STUB), KIND.function, 0]])),
    section(10, vector([[...unsignedLeb(body.length), ...body]])),
  );
}

/** The number behind the form of a function's type. */
function paramsOf(type: Uint8Array): number {
  let count = 0;
  for (let at = 1, shift = 0; ; at++, shift += 7) {
    const byte = type[at] ?? 0;
    count += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) {
      return count;
    }
  }
}
