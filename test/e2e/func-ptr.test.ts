/** `func_ptr`: a function of the module's table runs instead of its entry, as Faasm's chaining by pointer has it. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { wat } from "../support/guest-modules.ts";
import { HostHome } from "../support/host-home.ts";
import { call, upload } from "../support/host-process.ts";
import { pollUntilDone } from "../support/host-requests.ts";

const TABLE = wat(`(module
  (import "env" "__faasm_write_output" (func $output (param i32 i32)))
  (memory 1)
  (data (i32.const 0) "plainentry")
  (func $plain (result i32) (call $output (i32.const 0) (i32.const 5)) (i32.const 0))
  (func $number (param i32) (result i32) (local.get 0))
  (func $long (param i64) (result i32) (i32.const 0))
  (table 5 funcref)
  (elem (i32.const 1) $plain $number $long)
  (func (export "main") (result i32) (call $output (i32.const 5) (i32.const 5)) (i32.const 0)))`);
const NO_TABLE = wat(`(module (memory 1) (func (export "main")))`);

const home = new HostHome();
let url = "";

beforeAll(async () => {
  ({ url } = await home.start());
  await upload(url, "demo", "table", TABLE);
  await upload(url, "demo", "plain", NO_TABLE);
});
afterAll(() => home.close());

const at = (func_ptr: number, more: object = {}) => call(url, { user: "demo", function: "table", func_ptr, ...more });

test("a function that takes nothing runs with the input, and its output is the answer", async () => {
  expect(await at(1)).toMatchObject({ status: 200, body: "plain" });
  expect(await at(0)).toMatchObject({ status: 200, body: "entry" });
});

test("one that takes an i32 gets the input as a number; what it returns is the return value", async () => {
  expect(await at(2, { input_data: "7" })).toMatchObject({ status: 500, body: "Call failed (return value=7)" });
  expect(await at(2, { input_data: "0" })).toMatchObject({ status: 200, body: "" });
  expect(await at(2, { input_data: "seven" })).toMatchObject({ status: 200, body: "" });
});

test.each([
  [3, "the function at 3 of the table does not take 1 i32 and return an i32"],
  [4, "the table has no function at 4"],
  [5, "the table has no function at 5"],
  [2 ** 31 - 1, "the table has no function at 2147483647"],
])("at %d there is nothing of that sort: the call fails and says so", async (index, text) => {
  expect(await at(index)).toMatchObject({ status: 500, body: expect.stringContaining(text) });
});

test("a module without a table is refused before anything is logged", async () => {
  const answer = await call(url, { user: "demo", function: "plain", func_ptr: 1, id: 31 });
  expect([answer.status, answer.body]).toEqual([400, 'func_ptr is 1, but the module of function "plain" has no table']);
  expect((await call(url, { user: "demo", function: "plain", id: 31 })).status).toBe(200);
});

test("F20: under one id another index is another call", async () => {
  expect((await at(1, { id: 41 })).body).toBe("plain");
  expect((await at(1, { id: 41 })).body).toBe("plain");
  expect(await at(0, { id: 41 })).toMatchObject({ status: 409 });
  expect(await at(2, { id: 41 })).toMatchObject({ status: 409 });
});

test("a poll says what ran", async () => {
  const id = (await at(1, { async: true })).body;
  const { body } = await pollUntilDone(url, "demo", id);
  expect(JSON.parse(body)).toMatchObject({ function: "table", func_ptr: 1, output_data: "plain", return_value: 0 });
});
