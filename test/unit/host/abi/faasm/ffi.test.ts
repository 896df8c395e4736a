/** ffi_call on the real sandboxes: what is passed, what comes back, and what ends the call. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SandboxPool } from "../../../../../host/sandbox/index.ts";
import { type LogBookId, logBookId } from "../../../../../state/ids.ts";
import { wat } from "../../../../support/guest-modules.ts";
import { noRemains, testPool, World } from "../../../../support/world.ts";

/** Codes of libffi. */
const T = {
  ...{ void: 0, int: 1, float: 2, double: 3, longDouble: 4, uint8: 5, sint8: 6, uint16: 7, sint16: 8 },
  ...{ uint32: 9, sint32: 10, uint64: 11, sint64: 12, struct: 13, pointer: 14, complex: 15 },
} as const;
type Code = (typeof T)[keyof typeof T];

/** Where the input lies in the guest's memory, and where its result goes. */
const AT = 1024;
const RESULT = 512;
const MEMORY_BYTES = 65_536;

const MAIN = wat(`(module
  (import "env" "ffi_call" (func $ffi (param i32 i32 i32 i32)))
  (import "env" "__faasm_read_input" (func $input (param i32 i32) (result i32)))
  (import "env" "__faasm_write_output" (func $output (param i32 i32)))
  (import "neap" "object_write" (func $put (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1 1)
  (table (export "__indirect_function_table") 16 funcref)
  (elem (i32.const 1) $mixed $four $wide $nothing $half $deeper $writes $traps $grows)
  (data (i32.const 256) "key")
  (func $mixed (param i32 i64 f32 f64) (result f64)
    (f64.add (f64.add (f64.convert_i32_s (local.get 0)) (f64.convert_i64_s (local.get 1)))
      (f64.add (f64.promote_f32 (local.get 2)) (local.get 3))))
  (func $four (param i32 i32 i32 i32) (result i32)
    (i32.add (i32.add (local.get 0) (i32.mul (local.get 1) (i32.const 1000)))
      (i32.add (i32.mul (local.get 2) (i32.const 3)) (i32.mul (local.get 3) (i32.const 7)))))
  (func $wide (param i64) (result i64) (i64.sub (local.get 0) (i64.const 1)))
  (func $nothing (i32.store (i32.const ${RESULT}) (i32.const 77)))
  (func $half (param f32) (result f32) (f32.mul (local.get 0) (f32.const 0.5)))
  (func $deeper (param i32) (result i32)
    (i32.store (i32.const 768) (i32.add (i32.load (i32.const 768)) (i32.const 1)))
    (if (i32.lt_u (i32.load (i32.const 768)) (local.get 0)) (then (call $again)))
    (i32.load (i32.const 768)))
  (func $writes (result i32) (drop (call $put (i32.const 256) (i32.const 3) (i32.const 256) (i32.const 3))) (i32.const 5))
  (func $traps unreachable)
  (func $grows (result i32) (i32.const 9))
  (func $again
    (call $ffi (i32.const ${AT + 12}) (i32.load (i32.const ${AT})) (i32.load (i32.const ${AT + 4})) (i32.load (i32.const ${AT + 8}))))
  (func (export "main") (result i32)
    (drop (call $input (i32.const ${AT}) (i32.const 8192)))
    (call $again)
    (call $output (i32.const ${RESULT}) (i32.const 8))
    (i32.const 0)))`);

interface Call {
  readonly index: number;
  readonly result: Code;
  /** Codes, and what lies at the pointers. */
  readonly args?: readonly (readonly [Code, Uint8Array])[];
  readonly resultAt?: number;
}

const bytes = (sizeBytes: number, write: (view: DataView) => void): Uint8Array => {
  const made = new Uint8Array(sizeBytes);
  write(new DataView(made.buffer));
  return made;
};
const i32 = (value: number) => bytes(4, (view) => view.setInt32(0, value, true));
const i64 = (value: bigint) => bytes(8, (view) => view.setBigInt64(0, value, true));
const f32 = (value: number) => bytes(4, (view) => view.setFloat32(0, value, true));
const f64 = (value: number) => bytes(8, (view) => view.setFloat64(0, value, true));

/** Function, result and values; an ffi_cif; then types, values and the lists of pointers to them. */
function image({ index, result, args = [], resultAt = RESULT }: Call): Buffer {
  const image = Buffer.alloc(8192);
  let free = 12 + 24;
  const take = (content: Uint8Array): number => {
    const at = Math.ceil(free / 8) * 8;
    image.set(content, at);
    free = at + content.byteLength;
    return AT + at;
  };
  const typeAt = (code: Code) => take(bytes(12, (view) => view.setUint16(6, code, true)));
  const list = (pointers: readonly number[]) => take(Buffer.concat(pointers.map(i32)));
  const types = list(args.map(([code]) => typeAt(code)));
  const values = list(args.map(([, content]) => take(content)));
  image.set(Buffer.concat([i32(index), i32(resultAt), i32(values)]), 0);
  image.set(Buffer.concat([i32(1), i32(args.length), i32(types), i32(typeAt(result)), i32(0), i32(0)]), 12);
  return image;
}

const ADA: LogBookId = logBookId("ada");
let pool: SandboxPool;
let world: World;
beforeAll(async () => {
  pool = await testPool();
  world = await World.open(pool, noRemains(), () => null);
  await world.upload(ADA, "main", MAIN);
});
afterAll(async () => {
  await world.close();
  await pool.close();
});

async function raw(input: Uint8Array) {
  const answer = await world.invocations.call({
    tenant: ADA,
    functionName: "main",
    input,
    answer: "result",
    forbidPushDown: false,
  });
  if (answer.kind !== "completed" || !(answer.result.output instanceof Uint8Array)) {
    throw new Error(JSON.stringify(answer));
  }
  return { ...answer.result, output: Buffer.from(answer.result.output) };
}

/** What lies at the result, as 8 bytes. */
async function run(call: Call): Promise<Buffer> {
  const { trap, output } = await raw(image(call));
  expect(trap).toBeUndefined();
  return output;
}

const refusal = async (input: Uint8Array): Promise<string> => (await raw(input)).trap ?? "it was not refused";

const MIXED = [
  [T.sint32, i32(-7)],
  [T.sint64, i64(2n ** 40n)],
  [T.float, f32(0.5)],
  [T.double, f64(0.25)],
] as const;

describe("ffi_call", () => {
  it("passes integers of both sizes, float and double, and stores a double", async () => {
    expect((await run({ index: 1, result: T.double, args: MIXED })).readDoubleLE(0)).toBe(2 ** 40 - 7 + 0.75);
  });

  it("widens small integers by their signs", async () => {
    const args = [
      [T.uint8, Uint8Array.of(0xff)],
      [T.sint8, Uint8Array.of(0xff)],
      [T.uint16, Uint8Array.of(0xff, 0xff)],
      [T.sint16, Uint8Array.of(0xfe, 0xff)],
    ] as const;
    expect((await run({ index: 2, result: T.sint8, args })).readInt32LE(0)).toBe(255 - 1000 + 3 * 65_535 - 14);
    const pointers = [T.int, T.uint32, T.pointer, T.sint32].map((code) => [code, i32(-1)] as const);
    expect((await run({ index: 2, result: T.pointer, args: pointers })).readInt32LE(0)).toBe(-1011);
  });

  it.each([
    ["uint64", T.uint64, 3, [T.uint64, i64(0n)], i64(-1n)],
    ["sint64", T.sint64, 3, [T.sint64, i64(-(2n ** 63n))], i64(2n ** 63n - 1n)],
    ["float", T.float, 5, [T.float, f32(3)], Buffer.concat([f32(1.5), i32(0)])],
  ] as const)("returns %s", async (_, result, index, arg, expected) => {
    expect(Buffer.compare(await run({ index, result, args: [arg] }), expected)).toBe(0);
  });

  it("calls what returns nothing, and stores nothing at 0", async () => {
    expect((await run({ index: 4, result: T.void })).readInt32LE(0)).toBe(77);
    expect((await run({ index: 9, result: T.int, resultAt: 0 })).readInt32LE(0)).toBe(0);
  });

  it("lets the function wait for the host", async () => {
    expect((await run({ index: 7, result: T.int })).readInt32LE(0)).toBe(5);
    expect(await world.object(ADA, "key")).toBe("key");
  });

  it("nests 8 deep, and no deeper, in each call anew", async () => {
    for (let call = 0; call < 2; call++) {
      expect((await run({ index: 6, result: T.int, args: [[T.int, i32(8)]] })).readInt32LE(0)).toBe(8);
      expect(await refusal(image({ index: 6, result: T.int, args: [[T.int, i32(9)]] }))).toMatch(/nested deeper than 8/);
    }
  });

  it.each([
    [
      "too few arguments",
      { index: 1, result: T.double, args: MIXED.slice(1) },
      /the function at 1 of the table is not \(i64,f32,f64\) → \(f64\)/,
    ],
    ["another result", { index: 1, result: T.float, args: MIXED }, /is not \(i32,i64,f32,f64\) → \(f32\)/],
    ["no function there", { index: 15, result: T.void }, /no function at 15/],
    ["an index outside the table", { index: -1, result: T.void }, /no function at 4294967295/],
    ["what traps", { index: 8, result: T.void }, /unreachable/],
    ["a structure", { index: 4, result: T.void, args: [[T.struct, i32(0)]] }, /argument 0 has the code 13/],
    ["a long double as the result", { index: 4, result: T.longDouble }, /the result has the code 4/],
    ["a void argument", { index: 4, result: T.void, args: [[T.void, i32(0)]] }, /argument 0 is void/],
    [
      "a result outside the memory",
      { index: 3, result: T.sint64, args: [[T.sint64, i64(1n)]], resultAt: MEMORY_BYTES - 7 },
      /result at 65529 \+ 8/,
    ],
  ] as const)("ends the call for %s", async (_, call, reason) => {
    expect(await refusal(image(call))).toMatch(reason);
    expect((await run({ index: 4, result: T.void })).readInt32LE(0)).toBe(77);
  });

  it.each([
    ["its count", 12 + 4, 101, /101 arguments, at most 100/],
    ["its list of types", 12 + 8, MEMORY_BYTES - 3, /types at 65533 \+ 4/],
    ["its result's type", 12 + 12, MEMORY_BYTES - 11, /the type of the result at 65525 \+ 12/],
    ["the values", 8, -4, /values at 4294967292 \+ 4/],
  ] as const)("ends the call for a bad pointer or number: %s", async (_, at, value, reason) => {
    const broken = image({ index: 3, result: T.sint64, args: [[T.sint64, i64(1n)]] });
    broken.writeInt32LE(value, at);
    expect(await refusal(broken)).toMatch(reason);
  });
});
