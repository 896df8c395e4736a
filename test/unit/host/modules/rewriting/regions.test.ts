/** H21: what the accesses to memory regions do, compared with the same instructions on a memory of the module's own. */
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import abi from "../../../../../guest-sdk/abi.json" with { type: "json" };
import { regionFault } from "../../../../../host/abi/regions.ts";
import { runPasses } from "../../../../../host/modules/rewriting/chain.ts";
import { logBookId } from "../../../../../state/ids.ts";
import { PAGE_BYTES, type RegionSession } from "../../../../../state/regions/index.ts";
import { wat } from "../../../../support/guest-modules.ts";
import { memoryOf, openRegions } from "../../../../support/region-memory.ts";

type Value = number | bigint;
type Access = (...args: Value[]) => Value | undefined;

const accesses = abi.imports.filter(({ inline = false }) => inline);
/** Of whole ranges, and the size. */
const RANGES: readonly string[] = ["read", "write", "fill", "size"];
/** Loads, stores and atomics: their names say the instruction. */
const SINGLE: readonly string[] = [
  ...["i32_load8_s", "i32_load8_u", "i32_load16_s", "i32_load16_u", "i32_load", "i64_load", "f32_load", "f64_load"],
  ...["i32_store8", "i32_store16", "i32_store", "i64_store", "f32_store", "f64_store"],
  ...["i32_atomic_load", "i32_atomic_store", "i32_atomic_add", "i32_atomic_sub", "i32_atomic_and", "i32_atomic_or"],
  ...["i32_atomic_xor", "i32_atomic_xchg", "i32_atomic_cmpxchg"],
  ...["i64_atomic_load", "i64_atomic_store", "i64_atomic_add", "i64_atomic_sub", "i64_atomic_and", "i64_atomic_or"],
  ...["i64_atomic_xor", "i64_atomic_xchg", "i64_atomic_cmpxchg"],
];
const single = accesses.filter(({ name }) => SINGLE.includes(name));
/** A region's, odd, so that its end is inside of an access. */
const SIZE = 61;

/** As the text format calls it. */
const instruction = (name: string): string =>
  name.includes("atomic") && !/atomic_(load|store)/.test(name)
    ? name.replace("_atomic_", ".atomic.rmw.")
    : name.replace("_atomic_", ".atomic.").replace(/^(...)_/, "$1.");

const bytesOf = (name: string): number => Number(/(?:load|store)(8|16)/.exec(name)?.[1] ?? name.slice(1, 3)) / 8;

/** Each access twice: `region name` by its import, `own name` by its instruction on the module's own memory. */
const MODULE = wat(
  `(module
  ${accesses
    .map(
      ({ name, params, results }) =>
        `(import "region" "${name}" (func $${name} (param ${params.join(" ")}) (result ${results.join(" ")})))`,
    )
    .join("\n")}
  (memory $"its own name" (export "memory") 1)
  ${accesses
    .map(({ name, params, results }) => {
      const args = params.map((_, at) => `(local.get ${at})`).join(" ");
      return `(func (export "region ${name}") (param ${params.join(" ")}) (result ${results.join(" ")}) (call $${name} ${args}))`;
    })
    .join("\n")}
  ${single
    .map(({ name, params, results }) => {
      const args = params.slice(1).map((_, at) => `(local.get ${at + 1})`);
      return `(func (export "own ${name}") (param ${params.join(" ")}) (result ${results.join(" ")}) (${instruction(name)} ${args.join(" ")}))`;
    })
    .join("\n")})`.replace('$"its own name"', "$own"),
);

let module: WebAssembly.Module;
let session: RegionSession;
let guest: Readonly<Record<string, Access>>;
let own: Uint8Array;
let handle: number;
let neighbour: number;

function instance(memory: WebAssembly.Memory): WebAssembly.Exports {
  return new WebAssembly.Instance(module, { $host: { arena: memory, region_fault: regionFault } }).exports;
}

beforeAll(async () => {
  module = new WebAssembly.Module(Uint8Array.from(runPasses(MODULE, { passes: ["regions"], options: { suspending: [] } })));
  session = openRegions().regions.session(logBookId("a"));
  const open = async (name: string) => {
    const opened = await session.open(name, SIZE, 0);
    return opened.kind === "opened" ? opened.region.handle : 0;
  };
  neighbour = await open("before");
  handle = await open("region");
  await open("behind");
  const exports = instance(memoryOf(session));
  guest = exports as unknown as Record<string, Access>;
  own = new Uint8Array((exports.memory as WebAssembly.Memory).buffer);
});

const call = (name: string, ...args: Value[]): Value | undefined => guest[name]?.(...args);
const region = (): Uint8Array => {
  const { buffer } = memoryOf(session);
  const [base = 0] = new Uint32Array(buffer, handle * 8, 2);
  return new Uint8Array(buffer, base, SIZE);
};

/** What comes of it, without the text. */
function outcome(name: string, args: Value[]): unknown {
  try {
    return { value: call(name, ...args) };
  } catch (error) {
    return error instanceof WebAssembly.RuntimeError ? "trap" : "fault";
  }
}

const anyValue = (type: string): fc.Arbitrary<Value> =>
  type === "i64" ? fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n) : type === "i32" ? fc.integer() : fc.double({ noNaN: true });

const anyAccess = fc.constantFrom(...single).chain(({ name, params }) =>
  fc.record({
    name: fc.constant(name),
    offset: fc.oneof(
      fc.nat(SIZE + 8),
      fc.nat(7).map((at) => at * 8),
      fc.integer(),
    ),
    values: fc.tuple(...params.slice(2).map(anyValue)),
  }),
);

describe("accesses to memory regions", () => {
  it("are these, and all of them are tested here", () => {
    expect(accesses.map(({ name }) => name).sort()).toEqual([...SINGLE, ...RANGES].sort());
  });

  it("leave no import behind but those of the host", () => {
    const imports = WebAssembly.Module.imports(module).map(({ module: from, name }) => `${from}.${name}`);
    expect(imports.sort()).toEqual(["$host.arena", "$host.region_fault"]);
  });

  it("do inside of the region what the instruction does, and outside nothing but fail", () => {
    fc.assert(
      fc.property(fc.array(anyAccess, { maxLength: 40 }), (steps) => {
        region().fill(0);
        own.fill(0, 0, SIZE);
        const around = new Uint8Array(memoryOf(session).buffer).slice(0, 4 * PAGE_BYTES);
        const base = region().byteOffset;
        for (const { name, offset, values } of steps) {
          const inside = (offset >>> 0) + bytesOf(name) <= SIZE;
          const is = outcome(`region ${name}`, [handle, offset, ...values]);
          expect(is, `${name} at ${offset}`).toEqual(inside ? outcome(`own ${name}`, [0, offset, ...values]) : "fault");
        }
        expect(region()).toEqual(own.slice(0, SIZE));
        around.set(region(), base);
        expect(Buffer.compare(new Uint8Array(memoryOf(session).buffer).subarray(0, around.byteLength), around)).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  it.each(single)("end the call just outside of the region: $name", ({ name, params }) => {
    const bytes = bytesOf(name);
    const values = params.slice(2).map((type) => (type === "i64" ? 1n : 1));
    for (const offset of [SIZE - bytes + 1, SIZE, -1, -bytes, 2 ** 31, 2 ** 32 - 1]) {
      const text = `access to ${bytes} bytes at ${offset >>> 0} is outside of the memory region with handle ${handle}`;
      expect(() => call(`region ${name}`, handle, offset, ...values), String(offset)).toThrow(text);
    }
    // The last byte is inside.
    const last = SIZE - bytes;
    if (!name.includes("atomic")) {
      expect(() => call(`region ${name}`, handle, last, ...values)).not.toThrow();
    }
  });

  it("find no region by a handle that is none: not the table, not what lies behind it, nothing of another", () => {
    const table = new Uint8Array(memoryOf(session).buffer, 0, PAGE_BYTES).slice();
    for (const hostile of [0, 4, 5, 1023, 1024, 8191, 8192, 2 ** 29, 2 ** 29 + handle, 2 ** 31, -1, 2 ** 32 - 1]) {
      for (const { name, params } of single) {
        const values = params.slice(2).map((type) => (type === "i64" ? -1n : -1));
        expect(() => call(`region ${name}`, hostile, 0, ...values), `${name} ${hostile}`).toThrow(
          "is outside of the memory region",
        );
      }
      expect(call("region size", hostile)).toBe(0);
      for (const name of ["read", "write", "fill"]) {
        expect(() => call(`region ${name}`, hostile, 0, 0, 1)).toThrow("is outside of the memory region");
      }
    }
    expect(new Uint8Array(memoryOf(session).buffer, 0, PAGE_BYTES)).toEqual(table);
  });

  it("read and write whole ranges, in pieces, and know the size", async () => {
    const opened = await session.open("large", 3 * 1024 * 1024 + 5, 0);
    const large = opened.kind === "opened" ? opened.region : null;
    const memory = guest.memory as unknown as WebAssembly.Memory;
    memory.grow(64);
    const bytes = new Uint8Array(memory.buffer);
    const length = 3 * 1024 * 1024 + 5;
    expect(call("region size", large?.handle ?? 0)).toBe(length);
    for (let at = 0; at < length; at++) {
      bytes[at] = (at * 31 + (at >>> 16)) & 255;
    }
    const expected = bytes.slice(0, length);
    call("region write", large?.handle ?? 0, 0, 0, length);
    bytes.fill(0, 0, length);
    call("region read", large?.handle ?? 0, 0, 0, length);
    expect(Buffer.compare(bytes.subarray(0, length), expected)).toBe(0);
    call("region fill", large?.handle ?? 0, 1, 7, length - 2);
    call("region read", large?.handle ?? 0, 0, 0, length);
    expect([bytes[0], bytes[1], bytes[length - 2], bytes[length - 1]]).toEqual([expected[0], 7, 7, expected[length - 1]]);
    expect(bytes.subarray(1, length - 1).every((byte) => byte === 7)).toBe(true);
    for (const [offset, size] of [
      [0, length + 1],
      [1, length],
      [length, 1],
      [-1, 1],
      [1, -1],
    ] as const) {
      expect(() => call("region fill", large?.handle ?? 0, offset, 0, size)).toThrow("is outside of the memory region");
      expect(() => call("region read", large?.handle ?? 0, offset, 0, size)).toThrow("is outside of the memory region");
    }
    expect(() => call("region read", large?.handle ?? 0, 0, bytes.byteLength - 1, 2)).toThrow("out of bounds");
  });

  it("reach a region that has grown at once, without a new instance", async () => {
    const opened = await session.open("growing", 8, 40 * PAGE_BYTES);
    if (opened.kind !== "opened") {
      expect.unreachable();
    }
    const at = 39 * PAGE_BYTES;
    expect(() => call("region i32_store", opened.region.handle, at, 5)).toThrow();
    await session.grow(opened.region, 40 * PAGE_BYTES);
    call("region i32_store", opened.region.handle, at, 5);
    expect(call("region i32_load", opened.region.handle, at)).toBe(5);
  });

  it("of another region stay apart", () => {
    call("region i32_store", handle, 0, 1);
    call("region i32_store", neighbour, 0, 2);
    expect(call("region i32_load", handle, 0)).toBe(1);
  });
});
