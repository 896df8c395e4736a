/**
 * The resident stack of a sandbox (H1): a module whose loop is entered once through WebAssembly.promising and runs one call of the
 * guest per round, wasm to wasm, until it is told to stop. Entering `promising` for each call costs 15–20 µs as soon as a few calls are
 * suspended, as the engine maps and unmaps a stack each time.
 *
 *     loop { if (next()) { try { returned(run()) } catch_all { threw() } } else return }
 *
 * `next` suspends; between calls the sandbox is parked there. A trap and a stack overflow are not caught by wasm: they reject the
 * promise of the loop, and the stack is gone.
 */
import type { FunctionType, ValueType } from "../guest.ts";
import { moduleOf, section, text } from "./module-bytes.ts";

export interface TrampolineImports {
  /** Called when the sandbox is ready for a call, the last one having ended. Resolves to 1: run; 0: leave the stack. */
  readonly next: () => Promise<number>;
  /** The guest's own export, () → i32 or (). */
  readonly run: WebAssembly.ExportValue;
  /** Something that is not a trap was thrown out of `run`. */
  readonly threw: () => void;
  /** `run` returned an i32. */
  readonly returned: (value: number) => void;
}

/** Enters the resident stack. Resolves when `next` has said 0, rejects with the trap or stack overflow of a call. */
export function enterResidentStack(imports: TrampolineImports, entryReturns: boolean): Promise<unknown> {
  const module = entryReturns ? returningLoop : voidLoop;
  const { exports } = new WebAssembly.Instance(module, {
    t: { ...imports, next: new WebAssembly.Suspending(imports.next) },
  });
  return WebAssembly.promising(exports.loop)();
}

/**
 * Runs `f` on a stack of its own.
 * @throws WebAssembly.LinkError, before anything runs, unless `f` is a function of the type
 */
export async function runOnOwnStack(
  f: WebAssembly.ExportValue,
  args: readonly (number | bigint)[],
  type: FunctionType,
): Promise<unknown> {
  const { exports } = new WebAssembly.Instance(passThrough(type), { t: { run: f } });
  return await WebAssembly.promising(exports.run)(...args);
}

/** @throws WebAssembly.LinkError  unless `f` is a function that takes so many i32, at most 100, and returns nothing */
export function checkReturnsNothing(f: WebAssembly.ExportValue, params: number): void {
  new WebAssembly.Instance(passThrough({ params: i32s(params), result: null }), { t: { run: f } });
}

export const i32s = (count: number): ValueType[] => Array<ValueType>(count).fill("i32");

const VALUE_TYPES = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c } as const satisfies Record<ValueType, number>;
const I32 = VALUE_TYPES.i32;
const VOID = 0x40;
// types
const TO_I32 = 0;
const TO_NOTHING = 1;
const I32_TO_NOTHING = 2;
const TYPES = section(1, [3, 0x60, 0, 1, I32, 0x60, 0, 0, 0x60, 1, I32, 0]);
// functions
const NEXT = 0;
const RUN = 1;
const THREW = 2;
const RETURNED = 3;
const LOOP = 4;

function importedFunction(name: string, type: number): number[] {
  return [...text("t"), ...text(name), 0, type];
}

function loopModule(entryReturns: boolean): WebAssembly.Module {
  const CALL = 0x10;
  const END = 0x0b;
  const body = [
    0, // no locals
    ...[0x03, VOID], // loop
    ...[CALL, NEXT],
    ...[0x04, VOID], // if
    ...[0x06, VOID], // try
    ...[CALL, RUN, ...(entryReturns ? [CALL, RETURNED] : [])],
    0x19, // catch_all
    ...[CALL, THREW],
    END,
    ...[0x0c, 1], // br to the loop
    ...[END, END, END],
  ];
  return moduleOf(
    TYPES,
    section(2, [
      4,
      ...importedFunction("next", TO_I32),
      ...importedFunction("run", entryReturns ? TO_I32 : TO_NOTHING),
      ...importedFunction("threw", TO_NOTHING),
      ...importedFunction("returned", I32_TO_NOTHING),
    ]),
    section(3, [1, TO_NOTHING]),
    section(7, [1, ...text("loop"), 0, LOOP]),
    section(10, [1, body.length, ...body]),
  );
}

const voidLoop = loopModule(false);
const returningLoop = loopModule(true);
/** By type. The types are the guests' to choose: all are dropped before there are more than these, of 8 KiB each. */
const PASS_THROUGHS_MAX = 256;
const passThroughs = new Map<string, WebAssembly.Module>();

/** Imports a function and exports it as `run`: linking it checks the type. Mostly the same module for a type. */
export function passThrough({ params, result }: FunctionType): WebAssembly.Module {
  const key = `${params} ${result}`;
  const known = passThroughs.get(key);
  if (known !== undefined) {
    return known;
  }
  const results = result === null ? [0] : [1, VALUE_TYPES[result]];
  const module = moduleOf(
    section(1, [1, 0x60, params.length, ...params.map((one) => VALUE_TYPES[one]), ...results]),
    section(2, [1, ...importedFunction("run", 0)]),
    section(7, [1, ...text("run"), 0, 0]),
  );
  if (passThroughs.size === PASS_THROUGHS_MAX) {
    passThroughs.clear();
  }
  passThroughs.set(key, module);
  return module;
}
