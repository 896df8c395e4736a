import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodeArtefact } from "../../../../host/modules/artefact-codec.ts";
import { type ModuleLimits, NO_REWRITING, type RewritingOptions } from "../../../../host/modules/index.ts";
import { prepareModule } from "../../../../host/modules/preparation.ts";
import { Uploads } from "../../../../host/modules/uploads.ts";
import { ProcessStarter } from "../../../../host/processes/index.ts";
import { wat } from "../../../support/guest-modules.ts";
import { ABI, asyncRefusal, LIMITS } from "./fixtures.ts";

const GOOD = wat(`(module (memory 1) (global (mut i64) (i64.const 0)) (data (i32.const 8) "hello")
  (func $s (global.set 0 (i64.const 7))) (start $s) (func (export "main")))`);
const loop = (body: string) => wat(`(module (memory 1) (func $s ${body}) (start $s) (func (export "main")))`);
/** Far longer than a thread takes to start, shorter than the test's patience. */
const SHORT = { ...LIMITS, uploadTimeoutMs: 4_000 };
const bufferOf = (bytes: Uint8Array<ArrayBuffer>) => bytes.slice().buffer;

let starter: ProcessStarter;
let uploads: Uploads;
beforeAll(async () => {
  starter = await ProcessStarter.open();
  uploads = new Uploads(ABI, starter);
});
afterAll(() => starter.close());

describe.each([
  ["a thread", false],
  ["a process of its own", true],
])("an upload in %s", (_, isolated) => {
  const prepare = (module: ArrayBuffer, limits: ModuleLimits, rewriting?: RewritingOptions) =>
    uploads.prepare(module, limits, rewriting, isolated);

  test("gives back what the pipeline makes of the module, and the module", async () => {
    const prepared = await prepare(bufferOf(GOOD), LIMITS);
    expect(decodeArtefact(prepared.artefact, prepared.hash)).toEqual(prepareModule(GOOD, ABI, LIMITS));
    expect(Buffer.from(prepared.module).equals(GOOD)).toBe(true);
  });

  test("takes a buffer that grew while it was received", async () => {
    const grown = new ArrayBuffer(GOOD.byteLength, { maxByteLength: 1_000_000 });
    new Uint8Array(grown).set(GOOD);
    expect((await prepare(grown, LIMITS)).hash).toBe(prepareModule(GOOD, ABI, LIMITS).hash);
  });

  test("passes on why a module is refused", async () => {
    expect(await asyncRefusal(prepare(new ArrayBuffer(0), LIMITS))).toBe("MODULE_INVALID: the upload is empty");
  });

  test("the start function of a rewritten module runs once, and its snapshot is taken", async () => {
    const counts = wat(`(module (memory 1) (global (mut i64) (i64.const 0)) (data (i32.const 8) "hello")
      (func $s (global.set 0 (i64.add (global.get 0) (i64.const 7)))) (start $s)
      (func (export "main") (result i32) (i32.wrap_i64 (global.get 0))))`);
    const rewriting = { ...NO_REWRITING, preemptible: true };
    const { artefact, hash } = await prepare(bufferOf(counts), { ...LIMITS, uploadTimeoutMs: 60_000 }, rewriting);
    const { snapshot, preemptible } = decodeArtefact(artefact, hash);
    expect([preemptible, snapshot.globals]).toEqual([true, [7n]]);
    expect(snapshot.runs.map(({ offset, bytes }) => [offset, Buffer.from(bytes).toString()])).toEqual([[8, "hello"]]);
  });

  test("start functions that loop are killed in time, and uploads go on", async () => {
    const stuck = [loop("(loop (br 0))"), loop("(loop (try (do (loop (br 0))) (catch_all)) (br 0))")];
    const refusals = stuck.map((bytes) => asyncRefusal(prepare(bufferOf(bytes), SHORT)));
    // waits for the turn of one of the two
    const good = prepare(bufferOf(GOOD), SHORT);
    for (const refused of await Promise.all(refusals)) {
      expect(refused).toBe(
        "MODULE_START_FAILED: the start function runs longer than the 4000 ms an upload has (uploadTimeoutMs)",
      );
    }
    expect((await good).hash).toBe(prepareModule(GOOD, ABI, SHORT).hash);
  });
});

test("a thread takes one upload after the other, but none after a module that has taken much memory, or failed to start", async () => {
  let threads = 0;
  const count = () => {
    threads += 1;
  };
  process.on("worker", count);
  try {
    const own = new Uploads(ABI, null);
    const prepare = async (text: string) => {
      await own.prepare(bufferOf(wat(text)), { ...LIMITS, memoryMaxPages: 1_024 }).catch(() => {});
      return threads;
    };
    const main = `(func (export "main"))`;
    expect(await prepare(`(module (memory 1) ${main})`)).toBe(1);
    expect(await prepare(`(module (memory 1))`)).toBe(1);
    expect(await prepare(`(module (memory 1) (func $s) (start $s) ${main})`)).toBe(1);
    expect(await prepare(`(module (memory 1) (func $s unreachable) (start $s) ${main})`)).toBe(1);
    expect(await prepare(`(module (memory 1) (func $s (drop (memory.grow (i32.const 1000)))) (start $s) ${main})`)).toBe(2);
    expect(await prepare(`(module (memory 1) ${main})`)).toBe(3);
  } finally {
    process.off("worker", count);
  }
});
