/** Typed entry points: JSON in, values in the guest's memory, JSON out; under the rules that every call has. */
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compileFunction } from "../../functions/build.ts";
import { entryPoints, typedModule } from "../support/entry-points.ts";
import { eventually } from "../support/eventually.ts";
import { HostCluster } from "../support/host-cluster.ts";
import { HostHome } from "../support/host-home.ts";
import { call, type RunningHost, sampleModule, upload } from "../support/host-process.ts";
import { pollUntilDone, readObject, writeObject } from "../support/host-requests.ts";

const SOURCE = join(import.meta.dirname, "assembly", "typed.ts");
const modules: Record<string, Uint8Array> = {};
const home = new HostHome();
let host: RunningHost;
let url = "";

beforeAll(async () => {
  for (const runtime of ["stub", "minimal", "incremental"]) {
    modules[runtime] = await compileFunction(SOURCE, ["--runtime", runtime]);
  }
}, 120_000);

interface Answered {
  readonly status: number;
  readonly type: string | null;
  readonly body: unknown;
  readonly headers: Headers;
}

async function typed(target: string, args: unknown, headers: Record<string, string> = {}, base = url): Promise<Answered> {
  const [name, entryPoint] = target.split("/");
  const response = await fetch(`${base}/v1/tenants/demo/functions/${name}/calls/${entryPoint}`, {
    method: "POST",
    headers,
    body: typeof args === "string" ? args : JSON.stringify(args),
  });
  const text = await response.text();
  const body: unknown = text === "" ? null : JSON.parse(text);
  return { status: response.status, type: response.headers.get("content-type"), body, headers: response.headers };
}

async function value(target: string, ...args: readonly unknown[]): Promise<unknown> {
  const { status, type, body } = await typed(target, args);
  expect([status, type, body]).toEqual([200, "application/json", body]);
  return body;
}

async function problem(target: string, args: unknown): Promise<unknown[]> {
  const { status, body } = await typed(target, args);
  const { code, detail } = body as { code: string; detail: string };
  return [status, code, detail];
}

const integer = (min: number, max: number) => fc.integer({ min, max });
const point = fc.record({ x: integer(-128, 127), y: integer(0, 65_535) });
const float = fc.float({ noNaN: true, noDefaultInfinity: true }).map((one) => Math.fround(one) + 0);
const double = fc.double({ noNaN: true, noDefaultInfinity: true }).map((one) => one + 0);
const long = fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map(asJson);
const wide = fc.bigInt(0n, 2n ** 64n - 1n).map(asJson);
const unicode = fc.string({ unit: "binary", maxLength: 400 });
const everything = fc.letrec((tie) => ({
  value: fc.record({
    id: wide,
    a: integer(-128, 127),
    b: integer(0, 255),
    c: integer(-32_768, 32_767),
    d: integer(0, 65_535),
    e: integer(-(2 ** 31), 2 ** 31 - 1),
    f: integer(0, 2 ** 32 - 1),
    g: long,
    h: float,
    i: double,
    j: fc.boolean(),
    text: unicode,
    optional: fc.option(unicode),
    point,
    points: fc.array(point),
    nested: fc.array(fc.array(integer(-(2 ** 31), 2 ** 31 - 1))),
    maybes: fc.array(fc.option(unicode)),
    flags: fc.array(fc.boolean()),
    longs: fc.array(long),
    names: fc.array(unicode),
    bytes: fc.array(integer(0, 255)),
    clamped: fc.array(integer(0, 255)),
    floats: fc.array(float),
    doubles: fc.array(double),
    wide: fc.array(wide),
    next: fc.option(tie("value"), { depthSize: "small" }),
  }),
})).value;

/** As entry points answer it. */
function asJson(value: bigint): number | string {
  return Number.isSafeInteger(Number(value)) ? Number(value) : `${value}`;
}

beforeAll(async () => {
  host = await home.start();
  ({ url } = host);
  for (const [runtime, module] of Object.entries(modules)) {
    await upload(url, "demo", runtime, module);
  }
  await upload(url, "demo", "giving", modules.incremental ?? new Uint8Array(0), "preemptible=true");
  await upload(url, "demo", "shop", sampleModule("shop"));
  await upload(url, "demo", "counter", sampleModule("counter"));
}, 120_000);

afterAll(() => home.close());

describe("values", () => {
  it.each(["stub", "minimal", "incremental", "giving"])(
    "of every type come back as they went, with the runtime of %s",
    async (name) => {
      await fc.assert(
        fc.asyncProperty(everything, async (one) => {
          expect(await value(`${name}/everything`, one)).toEqual(one);
        }),
        { numRuns: 25 },
      );
    },
  );

  it("are what the function sees", async () => {
    const args = [
      -128,
      255,
      -32_768,
      65_535,
      -(2 ** 31),
      2 ** 32 - 1,
      "-9223372036854775808",
      "18446744073709551615",
      0.5,
      1e300,
      true,
    ];
    const seen = [
      "-128",
      "255",
      "-32768",
      "65535",
      "-2147483648",
      "4294967295",
      "-9223372036854775808",
      "18446744073709551615",
      "0.5",
      "1e+300",
      "true",
    ];
    expect(await value("stub/scalars", ...args)).toEqual(seen);
    expect(await value("stub/lengths", ["", "a", "Zoë", "𝄞", "x".repeat(1000)])).toEqual([0, 1, 3, 2, 1000]);
    expect(await value("stub/depth", { value: 1, next: { value: 2, next: { value: 3 } } })).toBe(3);
    expect(await value("stub/quoted", 'a"b\\c\n\u0001\u2028')).toBe('a"b\\c\n\u0001\u2028');
  });

  it("that are parts of others are these parts", async () => {
    const given = [
      [1, 2, 3, 4],
      [1, "-9223372036854775808", 3],
      [0.5, 1.5, 2.5],
    ];
    expect(await value("stub/parts", ...given)).toEqual({ bytes: [2, 3], wide: ["-9223372036854775808", 3], list: [1.5, 2.5] });
    expect(await value("stub/parts", [], [1], [1])).toEqual({ bytes: [], wide: [], list: [] });
  });

  it("that JSON has no number for are texts, both ways", async () => {
    for (const one of ["NaN", "Infinity", "-Infinity"]) {
      expect([await value("stub/double", one), await value("stub/single", one)]).toEqual([one, one]);
    }
    expect(await value("stub/long", "9007199254740991")).toBe(9_007_199_254_740_991);
    expect(await value("stub/long", "9007199254740992")).toBe("9007199254740992");
    expect(await value("stub/unsigned", "18446744073709551615")).toBe("18446744073709551615");
    expect(await value("stub/maybe", null)).toBeNull();
    expect(await value("stub/text", "\ud800")).toBe("\ud800");
    expect(await value("stub/nothing")).toBeNull();
  });

  it("by name, as by place; nothing is no arguments", async () => {
    expect((await typed("stub/add", { amount: 5, key: "named" })).body).toBe(6);
    expect((await typed("stub/counted", "")).body).toBe(1);
  });

  it("of long arguments", async () => {
    const numbers = Array.from({ length: 100_000 }, (_, at) => at / 8);
    expect(await value("stub/busy", 1, numbers)).toBe(numbers.reduce((sum, one) => sum + one, 0));
    numbers[70_000] = Number.NaN;
    expect(await problem("stub/busy", [1, numbers])).toEqual([
      400,
      "ARGUMENT_INVALID",
      expect.stringMatching(/^arguments\[1\]\[70000\] is null, must be f64/),
    ]);
    const [status, code, detail] = await problem("stub/text", ["x".repeat(1024 * 1024)]);
    expect([status, code, detail]).toEqual([413, "BODY_TOO_LARGE", "the body is larger than the limit of 1048576 bytes"]);
  });
});

describe("mistakes", () => {
  it.each<[string, unknown, number, string, string]>([
    ["byte", [256], 400, "ARGUMENT_INVALID", "arguments[0] is 256, must be u8, a whole number from 0 to 255"],
    ["byte", ["1"], 400, "ARGUMENT_INVALID", 'arguments[0] is "1", must be u8'],
    ["byte", {}, 400, "ARGUMENT_INVALID", "arguments.value is missing, must be u8"],
    ["byte", { value: 1, Value: 2 }, 400, "ARGUMENT_INVALID", 'arguments has "Value", which byte(value: u8): u8 does not have'],
    ["byte", [1, 2], 400, "ARGUMENT_INVALID", "arguments has 2 values, byte(value: u8): u8 takes 1"],
    ["text", [null], 400, "ARGUMENT_INVALID", "arguments[0] is null, must be string"],
    ["lengths", [["a", 7]], 400, "ARGUMENT_INVALID", "arguments[0][1] is 7, must be string"],
    ["depth", [{ value: 1, next: { value: 1.5 } }], 400, "ARGUMENT_INVALID", "arguments[0].next.value is 1.5, must be i32"],
    ["text", '["a"', 400, "MALFORMED_JSON", "the arguments are not JSON: it ends too early, at position 4"],
    ["text", '["a"]]', 400, "MALFORMED_JSON", 'unexpected "]" at position 5'],
    ["none", [], 404, "UNKNOWN_ENTRY_POINT", 'function "stub" has no entry point "none"; it has everything, scalars'],
    ["a b", [], 400, "BAD_NAME", 'entry point is "a b", must be'],
  ])("%s %j answers %d", async (entryPoint, args, status, code, detail) => {
    expect(await problem(`stub/${encodeURIComponent(entryPoint)}`, args)).toEqual([
      status,
      code,
      expect.stringContaining(detail),
    ]);
  });

  it("of a function that has none, or no main", async () => {
    expect(await problem("counter/add", [1])).toEqual([
      404,
      "UNKNOWN_ENTRY_POINT",
      'function "counter" has no entry point "add"; it has no typed entry points at all',
    ]);
    const { status, body } = await call(url, { user: "demo", function: "shop", input_data: "x" });
    expect([status, body]).toEqual([404, expect.stringMatching(/^function "shop" has no main; it has add, greet/)]);
    expect(await call(url, { user: "demo", function: "stub", input_data: "x" })).toMatchObject({ status: 200, body: "main" });
  });

  it("log nothing and change nothing, also of a call with a key, which is free afterwards", async () => {
    const headers = { "Idempotency-Key": "order-1" };
    for (const args of [[1, 2], ["kept"], ["kept", "x"], "nonsense"]) {
      expect((await typed("stub/add", args, headers)).status).toBe(400);
    }
    for (const preference of [{ Prefer: "respond-async" }, { "Neap-Delay-Ms": "10" }]) {
      expect((await typed("stub/add", ["kept", 0.5], { ...headers, ...preference })).status).toBe(400);
    }
    const { instances } = (await (await fetch(`${url}/v1/tenants/demo/instances`)).json()) as { instances: unknown[] };
    expect([instances, await readObject(url, "demo", "kept")]).toEqual([[], undefined]);
    expect((await typed("stub/add", ["kept", 0], headers)).body).toBe(1);
    expect((await typed("stub/add", ["kept", 0], headers)).body).toBe(1);
    expect((await typed("stub/add", ["kept", 1], headers)).status).toBe(422);
  });

  it("of the function itself are its result", async () => {
    expect(await problem("stub/fails", ["on purpose"])).toEqual([500, "CALL_FAILED", expect.stringContaining("on purpose")]);
    expect(await problem("stub/wrote", [])).toEqual([
      500,
      "CALL_FAILED",
      expect.stringContaining("has written output of its own"),
    ]);
    expect(await problem("stub/cycle", [])).toEqual([
      500,
      "CALL_FAILED",
      expect.stringContaining("the result is more than 64 lists and objects deep"),
    ]);
    expect(await problem("stub/bytes", [30_000_000])).toEqual([500, "OUTPUT_TOO_LARGE", expect.stringContaining("at most")]);
    expect(await value("stub/bytes", 3)).toEqual([0, 0, 0]);
  });
});

describe("entry points are described", () => {
  it("with their signatures", async () => {
    const response = await fetch(`${url}/v1/tenants/demo/functions/shop/entry-points`);
    const {
      main,
      entryPoints: found,
      classes,
    } = (await response.json()) as { main: boolean; entryPoints: { signature: string }[]; classes: { name: string }[] };
    expect(main).toBe(false);
    expect(found.map(({ signature }) => signature)).toContain("total(items: Array<Item>): f64");
    expect(classes.map(({ name }) => name)).toEqual(["Item", "Order", "Receipt"]);
    const none = await fetch(`${url}/v1/tenants/demo/functions/counter/entry-points`);
    expect(await none.json()).toEqual({ main: true, entryPoints: [], classes: [] });
    expect((await fetch(`${url}/v1/tenants/demo/functions/nothing/entry-points`)).status).toBe(404);
  });
});

describe("the rules of every call", () => {
  it("each call begins with the memory of the module", async () => {
    for (let times = 0; times < 3; times += 1) {
      expect(await value("stub/counted")).toBe(1);
    }
  });

  it("POST /f/ names an entry point behind the function, also asynchronously", async () => {
    expect(await call(url, { user: "demo", function: "stub/text", input_data: '["a"]' })).toMatchObject({
      status: 200,
      body: '"a"',
    });
    expect(await call(url, { user: "demo", function: "stub/text", input_data: "[1]" })).toMatchObject({
      status: 400,
      body: "arguments[0] is 1, must be string",
    });
    expect(await call(url, { user: "demo", function: "stub/", input_data: "[1]" })).toMatchObject({ status: 400 });
    const id = (await call(url, { user: "demo", function: "stub/text", input_data: '["later"]', async: true })).body;
    const { body } = await pollUntilDone(url, "demo", id);
    expect(JSON.parse(body)).toMatchObject({ function: "stub/text", output_data: '"later"', return_value: 0 });
  });

  it("functions call them with JSON; what is not of the type is the called function's failure", async () => {
    expect(await value("stub/calling", "shop/add", "[1, 2]")).toBe("0 3");
    expect(await value("stub/calling", "shop/add", '[1, "x"]')).toMatch(
      /^1 ARGUMENT_INVALID: arguments\[1\] is "x", must be i32/,
    );
    expect(await value("stub/calling", "shop/add", "[1")).toBe("1 MALFORMED_JSON: the arguments are not JSON");
    expect(await value("stub/calling", "shop/none", "[]")).toMatch(
      /^1 UNKNOWN_ENTRY_POINT: function "shop" has no entry point "none"/,
    );
    expect(await value("stub/calling", "shop", "")).toMatch(/^1 UNKNOWN_ENTRY_POINT: function "shop" has no main/);
    expect(await value("stub/calling", "counter", "from-typed")).toBe("0 1");
    expect(await value("shop/greetings", ['A "quoted" name', "Ada"])).toEqual(['Hello, A "quoted" name!', "Hello, Ada!"]);
  });

  it("they run storage parts", async () => {
    await writeObject(url, "demo", "measured", "x".repeat(5_000));
    expect(await value("stub/sized", "measured")).toBe(5_000);
  });

  it("a call that loops is killed at its limit, and the next one runs", async () => {
    for (const name of ["stub", "giving"]) {
      const options = { method: "PUT", body: JSON.stringify({ limits: { cpuTimeMs: 200 } }) };
      expect((await fetch(`${url}/v1/tenants/demo/functions/${name}/options`, options)).status).toBe(200);
      const [status, code] = await problem(`${name}/spin`, []);
      expect([name, status, code]).toEqual([name, 500, "CPU_LIMIT"]);
      expect(await value(`${name}/text`, "after")).toBe("after");
    }
  });

  it("F17: a call that was interrupted by a crash goes on with the same arguments", async () => {
    const id = (await call(url, { user: "demo", function: "stub/gated", input_data: '["gate", ["a", "b"]]', async: true })).body;
    await eventually("the call has begun", () => readObject(url, "demo", "gate/begun"));
    await host.kill();
    host = await home.start();
    ({ url } = host);
    await writeObject(url, "demo", "gate/gate", "open");
    const { body } = await pollUntilDone(url, "demo", id);
    expect(JSON.parse(JSON.parse(body).output_data)).toEqual(["1", "a+b"]);
  });

  it("a duplicate is answered although the function takes something else by now", async () => {
    const headers = { "Idempotency-Key": "old" };
    await upload(url, "demo", "changing", modules.stub ?? new Uint8Array(0));
    expect((await typed("changing/add", ["old", 1], headers)).body).toBe(2);
    await upload(url, "demo", "changing", sampleModule("shop"));
    expect((await typed("changing/add", ["old", 1], headers)).body).toBe(2);
    expect((await typed("changing/add", ["old", 1])).status).toBe(400);
  });
});

describe("in processes of the tenants", () => {
  it("H24: they are the same", async () => {
    const own = new HostHome();
    try {
      const isolated = await own.start({ flags: ["--isolation", "process"] });
      await upload(isolated.url, "demo", "shop", sampleModule("shop"));
      const answered = await typed(
        "shop/order",
        [{ customer: "Ada", items: [{ name: "tea", price: 2.5, count: 2 }] }],
        {},
        isolated.url,
      );
      expect([answered.status, answered.body]).toEqual([
        200,
        { number: 1, customer: "Ada", total: 5, lines: ["2 x tea"], note: null },
      ]);
      expect((await typed("shop/order", [{ customer: 7, items: [] }], {}, isolated.url)).status).toBe(400);
    } finally {
      await own.close();
    }
  });
});

describe("migratable", () => {
  it("a typed call goes on at another node, in the middle, and its result is made there", async () => {
    const cluster = await HostCluster.start("typed-moves", {
      compute: 1,
      flags: ["--suspend-after-ms", "200", "--grace-ms", "20000"],
    });
    try {
      await upload(
        cluster.storage.url,
        "demo",
        "nap",
        modules.incremental ?? new Uint8Array(0),
        "migratable=true&preemptible=true",
      );
      const answer = typed("nap/naps", [4_000, ["still", "here"]], {}, cluster.url(0));
      await eventually("it has begun", () => readObject(cluster.storage.url, "demo", "napping"));
      const stopped = cluster.node(0).stop();
      const { status, body, headers } = await answer;
      expect([status, body]).toEqual([200, "still+here"]);
      expect(headers.get("neap-executed-at")).toBe("compute@compute-0, storage@store");
      expect(await stopped).toBe(0);
      const printed = [cluster.storage, cluster.node(0)].reduce(
        (sum, host) => sum + host.output().split('"msg":"began"').length - 1,
        0,
      );
      expect(printed).toBe(1);
    } finally {
      await cluster.close();
    }
  });
});

describe("modules that lie about themselves fail their own calls only", () => {
  const text = { kind: "string" };
  const lies: [string, Uint8Array, unknown, string][] = [
    [
      "memory that is none",
      typedModule(
        `(func (export "run") (param i32))`,
        entryPoints([text], [{ name: "run", parameters: [{ name: "t", type: 0 }], result: null }]),
        "(i32.const -8)",
      ),
      ["some text"],
      "",
    ],
    [
      "an odd place",
      typedModule(
        `(func (export "run") (result i32) (i32.const 1025))`,
        entryPoints([text], [{ name: "run", parameters: [], result: 0 }]),
      ),
      [],
      "the module's memory is not as its entry points say",
    ],
    [
      "a place far away",
      typedModule(
        `(func (export "run") (result i32) (i32.const -4))`,
        entryPoints([text], [{ name: "run", parameters: [], result: 0 }]),
      ),
      [],
      "the module's memory is not as its entry points say",
    ],
    [
      "a type that it does not have",
      typedModule(
        `(func (export "run") (param i32))`,
        entryPoints(
          [{ kind: "i32" }, { kind: "array", id: 77, of: 0 }],
          [{ name: "run", parameters: [{ name: "l", type: 1 }], result: null }],
        ),
      ),
      [[1, 2]],
      "the module's memory is not as its entry points say",
    ],
    [
      "null",
      typedModule(
        `(func (export "run") (result i32) (i32.const 0))`,
        entryPoints([text], [{ name: "run", parameters: [], result: 0 }]),
      ),
      [],
      "the result holds null where its type is string",
    ],
    [
      "an allocator that waits for ever",
      typedModule(
        `(func (export "run") (param i32))`,
        entryPoints([text], [{ name: "run", parameters: [{ name: "t", type: 0 }], result: null }]),
        "(loop (br 0)) (i32.const 0)",
      ),
      ["t"],
      "CPU time",
    ],
  ];

  it.each(lies)("%s", async (name, module, args, detail) => {
    const functionName = name.replaceAll(/[^a-z]/g, "-");
    await upload(url, "demo", functionName, module);
    await fetch(`${url}/v1/tenants/demo/functions/${functionName}/options`, {
      method: "PUT",
      body: JSON.stringify({ limits: { cpuTimeMs: 200 } }),
    });
    const { status, body } = await typed(`${functionName}/run`, args);
    if (detail !== "") {
      expect([status, (body as { detail: string }).detail]).toEqual([500, expect.stringContaining(detail)]);
    }
    expect(await value("minimal/text", "unharmed")).toBe("unharmed");
  });

  it("names of exports that JavaScript gives a meaning mean nothing", async () => {
    const names = ["constructor#x", "constructor#get:y", "__proto__.z", "hasOwnProperty#q", "more", "which", "i32"];
    const exported = names.map((name) => `(func (export "${name}"))`).join(" ");
    const module = typedModule(
      `(func (export "run") (result i32) (i32.const 7)) ${exported}`,
      entryPoints(
        [{ kind: "i32" }],
        [
          { name: "run", parameters: [], result: 0 },
          ...["more", "which", "i32"].map((name) => ({ name, parameters: [], result: null })),
        ],
      ),
    );
    await upload(url, "demo", "names", module);
    expect(await value("names/run")).toBe(7);
    expect(await value("names/which")).toBeNull();
    expect(await value("minimal/text", "unharmed")).toBe("unharmed");
  });
});
