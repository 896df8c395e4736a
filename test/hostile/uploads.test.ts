/** Modules that are made to harm whoever reads, compiles or starts them, uploaded while another tenant calls without pause. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Bystander } from "../support/bystander.ts";
import { leb, moduleOf, nameBytes, section, wat } from "../support/guest-modules.ts";
import type { RunningHost } from "../support/host-process.ts";
import { AttackedHost } from "./attacked-host.ts";

const UPLOAD_TIMEOUT_MS = 3000;
const MAIN = `(func (export "main"))`;
const withMemory = (text: string) => wat(`(module (memory 1) ${text} ${MAIN})`);
const I32 = 0x7f;
const one = [section(1, 1, 0x60, 0, 0), section(3, 1, 0), section(5, 1, 0, 1), section(7, 1, ...nameBytes("main"), 0, 0)];
const body = (...code: number[]) => section(10, 1, ...leb(code.length), ...code);

/** A module with one large section behind others. */
function endingWith(before: Uint8Array, id: number, ...contents: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.concat(contents);
  return Uint8Array.from(Buffer.concat([before, Buffer.from([id, ...leb(bytes.byteLength)]), bytes]));
}

interface BadUpload {
  readonly module: () => Uint8Array<ArrayBuffer>;
  readonly status: number;
  readonly code: string;
  readonly text: RegExp;
}

const limit = (text: RegExp) => ({ status: 400, code: "MODULE_LIMIT", text });

const BAD: Readonly<Record<string, BadUpload>> = {
  "10 million elements in a table": {
    module: () => withMemory("(table 10000000 funcref)"),
    ...limit(/table section at offset \d+: the table begins with 10000000 elements, at most 65536 are allowed/),
  },
  "20 tables": {
    module: () => moduleOf(section(4, 20, ...Array(20).fill([0x70, 0, 1]).flat())),
    ...limit(/table section at offset 10: 20 tables, at most 1 are allowed/),
  },
  "a table that grows itself": {
    module: () =>
      wat(`(module (memory 1) (table 1 funcref) (func (export "main") (drop (table.grow (ref.null func) (i32.const 1)))))`),
    ...limit(/code section at offset \d+: table.grow is not allowed/),
  },
  "100 memories": {
    module: () => moduleOf(section(5, 100, ...Array(100).fill([0, 1]).flat())),
    ...limit(/memory section at offset 11: 100 memories, at most 1 are allowed/),
  },
  "50,000 locals": {
    module: () => moduleOf(...one, body(1, ...leb(50_000), I32, 0x0b)),
    ...limit(/code section at offset \d+: a function has 50000 locals, at most 10000 are allowed/),
  },
  "4 thousand million locals": {
    module: () => moduleOf(...one, body(1, ...leb(0xffff_ffff), I32, 0x0b)),
    ...limit(/code section at offset \d+: a function has 4294967295 locals, at most 10000 are allowed/),
  },
  "blocks 20,000 deep": {
    module: () => moduleOf(...one, body(0, ...Array(20_000).fill([0x02, 0x40]).flat(), ...Array(20_001).fill(0x0b))),
    ...limit(/code section at offset \d+: blocks are nested more than 10000 deep/),
  },
  "one function of 1 MiB": {
    module: () =>
      endingWith(moduleOf(...one), 10, Buffer.from([1, ...leb(2 ** 20 + 2), 0]), Buffer.alloc(2 ** 20, 0x01), Buffer.of(0x0b)),
    ...limit(/code section at offset \d+: a function has 1048578 bytes, at most 262144 are allowed/),
  },
  "200,000 data segments": {
    module: () =>
      endingWith(moduleOf(...one, body(0, 0x0b)), 11, Buffer.from(leb(200_000)), Buffer.alloc(400_000, Buffer.of(1, 0))),
    ...limit(/data section at offset \d+: 200000 data segments, at most 100000 are allowed/),
  },
  "a data segment that says it has 4 GiB": {
    module: () => moduleOf(...one, body(0, 0x0b), section(11, 1, 0, 0x41, 0, 0x0b, ...leb(0xffff_ffff))),
    status: 400,
    code: "MODULE_INVALID",
    text: /data section at offset \d+: truncated: data segment says 4294967295 bytes, 0 are left/,
  },
  "a data segment outside the memory": {
    module: () => withMemory(`(data (i32.const 65530) "too long")`),
    status: 400,
    code: "MODULE_START_FAILED",
    text: /instantiation: .*data segment 0 is out of bounds/,
  },
  "20 MiB of data": {
    module: () => endingWith(moduleOf(), 0, Buffer.of(1, 0x78), Buffer.alloc(20 * 2 ** 20)),
    status: 413,
    code: "MODULE_TOO_LARGE",
    text: /16777216 bytes/,
  },
  "a start function that loops": {
    module: () => withMemory("(func $s (loop (br 0))) (start $s)"),
    status: 400,
    code: "MODULE_START_FAILED",
    text: /the start function runs longer than the 3000 ms an upload has \(uploadTimeoutMs\)/,
  },
  "a start function that calls the host": {
    module: () =>
      wat(`(module (import "neap" "sync" (func $s)) (memory 1) ${MAIN} (func $f (try (do (call $s)) (catch_all))) (start $f))`),
    status: 400,
    code: "MODULE_START_FAILED",
    text: /it called neap.sync; host calls are not available before the first call/,
  },
  "an import that nobody knows": {
    module: () => wat(`(module (import "env" "system" (func (param i32) (result i32))) (memory 1) ${MAIN})`),
    status: 400,
    code: "MODULE_IMPORT_UNKNOWN",
    text: /import section at offset \d+: "env.system" \(i32\) -> \(i32\) is not offered by this host/,
  },
  "an import of another type": {
    module: () => wat(`(module (import "neap" "output_write" (func (param i64 i64))) (memory 1) ${MAIN})`),
    status: 400,
    code: "MODULE_IMPORT_UNKNOWN",
    text: /import section at offset \d+: "neap.output_write" has type \(i64, i64\) -> \(\), this host offers \(i32, i32\) -> \(\)/,
  },
  "a memory of the host": {
    module: () => wat(`(module (import "env" "memory" (memory 1)) ${MAIN})`),
    status: 400,
    code: "MODULE_IMPORT_UNKNOWN",
    text: /import section at offset \d+: "env.memory" is a memory/,
  },
};

let attacked: AttackedHost;
let host: RunningHost;
let bystander: Bystander;

beforeAll(async () => {
  attacked = await AttackedHost.start("uploads", ["--upload-timeout-ms", `${UPLOAD_TIMEOUT_MS}`, "--log-level", "error"]);
  ({ host, bystander } = attacked);
}, 300_000);

afterAll(() => attacked.close());

const put = async (module: Uint8Array<ArrayBuffer>, tenant = "attacker") => {
  const response = await fetch(`${host.url}/f/${tenant}/bad`, { method: "PUT", body: module });
  return { status: response.status, code: response.headers.get("neap-error"), text: await response.text() };
};

describe("a bad upload is refused with what is wrong, where and by which limit; calls go on", () => {
  test.each(Object.entries(BAD))("%s", async (_what, { module, status, code, text }) => {
    const { result } = await bystander.during(() => put(module()));
    expect([result.status, result.code]).toEqual([status, code]);
    expect(result.text).toMatch(text);
  });

  test("uploads that take too long are ended while calls are answered, and good ones have their turn", async () => {
    const looping = BAD["a start function that loops"]?.module() ?? moduleOf();
    const { result, answers } = await bystander.during(() =>
      Promise.all([put(looping), put(looping), put(looping), put(wat(`(module (memory 1) ${MAIN})`))]),
    );
    expect(result.map(({ status }) => status)).toEqual([400, 400, 400, 200]);
    expect(answers).toBeGreaterThan(0);
  });

  test("uploads of one tenant, however many and long, do not keep another's waiting", async () => {
    const looping = BAD["a start function that loops"]?.module() ?? moduleOf();
    let ended = 0;
    const attack = [1, 2, 3, 4, 5, 6].map(async () => {
      await put(looping);
      ended += 1;
    });
    await Promise.race(attack);
    expect((await put(wat(`(module (memory 1) ${MAIN})`), "guest")).status).toBe(200);
    expect(ended).toBeLessThan(4);
    await Promise.all(attack);
  });

  test("nobody has been answered wrongly meanwhile", async () => {
    await bystander.end();
    expect(host.process.exitCode).toBeNull();
  });
});
