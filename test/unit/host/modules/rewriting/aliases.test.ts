/** H22: what loads and stores do by the addresses of memory regions, compared with the same instructions on a module's own memory. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ALIAS_BASE } from "../../../../../host/modules/artefact.ts";
import { runPasses } from "../../../../../host/modules/rewriting/chain.ts";
import { wat } from "../../../../support/guest-modules.ts";

type Value = number | bigint;
type Run = (...args: Value[]) => Value | undefined;

const PAGE_BYTES = 65_536;
/** Where bytes of regions can lie. */
const SHARED = ALIAS_BASE + PAGE_BYTES;

interface Instruction {
  readonly text: string;
  readonly operands: readonly string[];
  readonly result: string | null;
  readonly bytes: number;
  readonly isAtomic: boolean;
}

const bytesOf = (text: string): number => Number(/(?:load|store|rmw)(\d+)/.exec(text)?.[1] ?? text.slice(1, 3)) / 8;
const plain = (text: string): Instruction => {
  const type = text.slice(0, 3);
  const isStore = text.includes("store");
  return { text, operands: isStore ? [type] : [], result: isStore ? null : type, bytes: bytesOf(text), isAtomic: false };
};
const atomic = (text: string): Instruction => {
  const type = text.slice(0, 3);
  const isStore = text.includes("store");
  const count = text.includes("cmpxchg") ? 2 : text.includes("load") ? 0 : 1;
  return { text, operands: Array(count).fill(type), result: isStore ? null : type, bytes: bytesOf(text), isAtomic: true };
};
const simd = (text: string, bytes: number): Instruction => {
  const isStore = text.includes("store");
  const takes = isStore || text.includes("lane");
  return { text, operands: takes ? ["v128"] : [], result: isStore ? null : "v128", bytes, isAtomic: false };
};

const widths = (type: string, all: readonly string[]) => all.map((width) => `${type}.${width}`);
const NARROW_32 = ["load8_s", "load8_u", "load16_s", "load16_u", "store8", "store16"];
const NARROW_64 = [...NARROW_32, "load32_s", "load32_u", "store32"];
const RMW = ["add", "sub", "and", "or", "xor", "xchg", "cmpxchg"];
const INSTRUCTIONS: readonly Instruction[] = [
  ...["i32", "i64", "f32", "f64"].flatMap((type) => widths(type, ["load", "store"])).map(plain),
  ...[...widths("i32", NARROW_32), ...widths("i64", NARROW_64)].map(plain),
  ...["load", "store", "load8_u", "load16_u", "store8", "store16"].map((width) => atomic(`i32.atomic.${width}`)),
  ...["load", "store", "load8_u", "load16_u", "load32_u", "store8", "store16", "store32"].map((width) =>
    atomic(`i64.atomic.${width}`),
  ),
  ...RMW.flatMap((change) => [
    atomic(`i32.atomic.rmw.${change}`),
    ...["8", "16"].map((width) => atomic(`i32.atomic.rmw${width}.${change}_u`)),
    atomic(`i64.atomic.rmw.${change}`),
    ...["8", "16", "32"].map((width) => atomic(`i64.atomic.rmw${width}.${change}_u`)),
  ]),
  simd("v128.load", 16),
  simd("v128.store", 16),
  ...["8x8_s", "8x8_u", "16x4_s", "16x4_u", "32x2_s", "32x2_u"].map((shape) => simd(`v128.load${shape}`, 8)),
  ...[8, 16, 32, 64].map((bits) => simd(`v128.load${bits}_splat`, bits / 8)),
  ...[32, 64].map((bits) => simd(`v128.load${bits}_zero`, bits / 8)),
];
/** The immediate of an instruction for one lane is not that of others. */
const LANES = [8, 16, 32, 64].flatMap((bits) => [
  simd(`v128.load${bits}_lane`, bits / 8),
  simd(`v128.store${bits}_lane`, bits / 8),
]);

const OFFSET = 24;

/** (address, numbers …) → number: vectors are made of one number, and become one. */
function functionOf({ text, operands, result }: Instruction, lane: number | null): string {
  const isVector = operands.includes("v128");
  const params = ["i32", ...operands.map((type) => (type === "v128" ? "i64" : type))];
  const given = operands.map((_, at) => `(local.get ${at + 1})`).map((one) => (isVector ? `(i64x2.splat ${one})` : one));
  const call = `(${text} offset=${OFFSET} ${lane ?? ""} (local.get 0) ${given.join(" ")})`;
  const name = lane === null ? text : `${text} ${lane}`;
  const body =
    result !== "v128"
      ? call
      : `(local.set $v ${call}) (i64.add (i64x2.extract_lane 0 (local.get $v)) (i64.mul (i64.const 3) (i64x2.extract_lane 1 (local.get $v))))`;
  const results = result === null ? "" : `(result ${result === "v128" ? "i64" : result})`;
  return `(func (export "${name}") (param ${params.join(" ")}) ${results} (local $v v128) ${body})`;
}

const module = new WebAssembly.Module(
  Uint8Array.from(
    runPasses(
      wat(`(module (memory (export "memory") 2)
        ${INSTRUCTIONS.map((one) => functionOf(one, null)).join("\n")}
        ${LANES.flatMap((one) => [functionOf(one, 0), functionOf(one, 1)]).join("\n")}
        (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
        (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
        (func (export "far") (param i32) (result i32) (i32.load offset=0xfffffff0 (local.get 0)))
        (func (export "notify") (param i32) (result i32) (memory.atomic.notify (local.get 0) (i32.const 1)))
        (func (export "wait") (param i32) (result i32) (memory.atomic.wait32 (local.get 0) (i32.const 0) (i64.const 0)))
        (func (export "size") (result i32) (memory.size)))`),
      { passes: ["aliases"], options: { suspending: [] } },
    ),
  ),
);

function open() {
  const arena = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
  const { exports } = new WebAssembly.Instance(module, { $host: { arena } });
  const own = new Uint8Array((exports.memory as WebAssembly.Memory).buffer);
  // Behind the handle table.
  const shared = new Uint8Array(arena.buffer, PAGE_BYTES, own.byteLength);
  return {
    run: exports as unknown as Readonly<Record<string, Run>>,
    own,
    shared,
    table: new Uint8Array(arena.buffer, 0, PAGE_BYTES),
  };
}

/** What it answers, or throws. */
function outcome(run: Run | undefined, args: readonly Value[]): string {
  try {
    return String(run?.(...args));
  } catch (error) {
    return error instanceof WebAssembly.RuntimeError ? "trap" : String(error);
  }
}

const names = [
  ...INSTRUCTIONS.map((one) => [one.text, one] as const),
  ...LANES.flatMap((one) => [0, 1].map((lane) => [`${one.text} ${lane}`, one] as const)),
];

describe("an access by an address of a region", () => {
  it.each(names)("%s does there what it does to own memory", (name, { operands, bytes, isAtomic }) => {
    const { run, own, shared } = open();
    const step = isAtomic ? bytes : 1;
    const value = (type: string) =>
      type.startsWith("f") ? fc.float() : type === "i32" ? fc.integer() : fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n);
    fc.assert(
      fc.property(
        fc.nat({ max: 2000 }),
        fc.uint8Array({ minLength: 64, maxLength: 64 }),
        fc.tuple(...operands.map(value)),
        (place, before, values) => {
          const at = place * step;
          own.set(before, at + OFFSET);
          shared.set(before, at + OFFSET);
          expect(outcome(run[name], [SHARED + at, ...values])).toBe(outcome(run[name], [at, ...values]));
          expect(Buffer.from(shared.slice(at, at + 128)).equals(own.subarray(at, at + 128))).toBe(true);
        },
      ),
      { numRuns: 30 },
    );
  });

  it.each(names)("H21: %s traps in the handle table, beyond the regions, and beyond own memory", (name, { operands, bytes }) => {
    const { run, own, table } = open();
    const values = operands.map((type) => (type === "i64" || type === "v128" ? 1n : 1));
    const end = own.byteLength - OFFSET;
    const places = [
      ALIAS_BASE - OFFSET,
      ALIAS_BASE,
      SHARED - OFFSET - bytes,
      ALIAS_BASE - bytes - OFFSET,
      SHARED + 3 * PAGE_BYTES - OFFSET,
      SHARED + 3 * PAGE_BYTES - OFFSET - bytes + 1,
      end,
      end - bytes + 1,
      2 ** 31,
      -8,
      -8 - OFFSET,
      -OFFSET,
    ];
    expect(places.map((at) => [at, outcome(run[name], [at, ...values])])).toEqual(places.map((at) => [at, "trap"]));
    expect(table.every((byte) => byte === 0)).toBe(true);
  });

  it("H23: waits for nothing there, and offsets do not wrap", () => {
    const { run, own } = open();
    own[0] = 7;
    expect(outcome(run.wait, [SHARED])).toBe("trap");
    expect(outcome(run.notify, [SHARED])).toBe("0");
    expect(outcome(run.far, [16])).toBe("trap");
    expect(outcome(run.far, [SHARED + 16])).toBe("trap");
    expect(run.size?.()).toBe(2);
  });
});

describe("copies and fills", () => {
  const SIZE = 2 * PAGE_BYTES;

  it("go between own memory and regions, and within each, also over themselves", () => {
    const { run, own, shared } = open();
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.boolean(),
        fc.nat({ max: 500 }),
        fc.nat({ max: 500 }),
        fc.nat({ max: 400 }),
        (toShared, fromShared, to, from, length) => {
          for (let at = 0; at < 1000; at++) {
            own[at] = at * 7;
            shared[at] = at * 13;
          }
          const [target, source] = [toShared ? shared : own, fromShared ? shared : own];
          const expected = Uint8Array.from(target);
          expected.set(Uint8Array.from(source.subarray(from, from + length)), to);
          run.copy?.((toShared ? SHARED : 0) + to, (fromShared ? SHARED : 0) + from, length);
          expect(Buffer.from(target.slice()).equals(expected)).toBe(true);
        },
      ),
    );
  });

  it("fill what they say", () => {
    const { run, own, shared } = open();
    run.fill?.(SHARED + 10, 5, SIZE - 20);
    expect([shared[9], shared[10], shared[SIZE - 11], shared[SIZE - 10]]).toEqual([0, 5, 5, 0]);
    run.fill?.(10, 6, 3);
    expect(Array.from(own.subarray(9, 14))).toEqual([0, 6, 6, 6, 0]);
  });

  it("H21: trap in the handle table and beyond the regions", () => {
    const { run, table } = open();
    for (const args of [
      [ALIAS_BASE, 0, 1],
      [ALIAS_BASE + PAGE_BYTES - 1, 1, 2],
      [SHARED + 3 * PAGE_BYTES - 1, 1, 2],
      [-1, 1, 2],
    ]) {
      expect([args, outcome(run.fill, args)]).toEqual([args, "trap"]);
      expect([args, outcome(run.copy, args)]).toEqual([args, "trap"]);
      expect([args, outcome(run.copy, [args[1] ?? 0, args[0] ?? 0, args[2] ?? 0])]).toEqual([args, "trap"]);
    }
    expect(table.every((byte) => byte === 0)).toBe(true);
  });
});

it("in pieces, large copies within the regions are right in both directions", () => {
  const arena = new WebAssembly.Memory({ initial: 80, maximum: 80, shared: true });
  const { exports } = new WebAssembly.Instance(module, { $host: { arena } });
  const { copy } = exports as unknown as Readonly<Record<string, Run>>;
  const shared = new Uint8Array(arena.buffer, PAGE_BYTES);
  const before = Uint8Array.from(shared, (_, at) => at * 31 + (at >> 8));
  for (const [to, from] of [
    [0, 777],
    [777, 0],
  ] as const) {
    shared.set(before);
    copy?.(SHARED + to, SHARED + from, 4_000_000);
    const expected = Uint8Array.from(before);
    expected.copyWithin(to, from, from + 4_000_000);
    expect(Buffer.from(shared.slice()).equals(expected)).toBe(true);
  }
});
