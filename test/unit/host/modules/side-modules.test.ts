/** The pipeline for side modules, alone. What a sandbox makes of them: test/unit/host/abi/faasm/dynamic-linking.test.ts. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NO_REWRITING } from "../../../../host/modules/index.ts";
import {
  decodeSideModule,
  encodeSideModule,
  type PreparedSideModule,
  type SideModule,
} from "../../../../host/modules/side-modules/index.ts";
import { SideModules } from "../../../../host/modules/side-modules/side-modules.ts";
import { Uploads } from "../../../../host/modules/uploads.ts";
import { ProcessStarter } from "../../../../host/processes/index.ts";
import { type LogBookId, logBookId } from "../../../../state/ids.ts";
import { sideModule } from "../../../support/side-modules.ts";
import { ABI, LIMITS } from "./fixtures.ts";

const TENANT: LogBookId = logBookId("acme");
const SIDE = sideModule(
  `(import "env" "sky" (func))
  (func $start (memory.fill (i32.const 0) (i32.const 1) (i32.const 100000))) (start $start)
  (func (export "run") (loop (br 0)))`,
  {
    memoryBytes: 100_000,
    memoryAlignmentLog2: 4,
    tableElements: 3,
    tableAlignmentLog2: 1,
    needed: ["libm.so"],
    weak: [["env", "sky"]],
  },
);
const bufferOf = (bytes: Uint8Array) => Uint8Array.from(bytes).buffer;

let starter: ProcessStarter;
let uploads: Uploads;
beforeAll(async () => {
  starter = await ProcessStarter.open();
  uploads = new Uploads(ABI, starter);
});
afterAll(() => starter.close());

async function prepared(bytes: Uint8Array, preemptible = false, isolated = false): Promise<PreparedSideModule> {
  const rewriting = { ...NO_REWRITING, preemptible };
  const limits = { ...LIMITS, uploadTimeoutMs: 120_000 };
  const { artefact } = await uploads.prepare(bufferOf(bytes), limits, rewriting, isolated, "side module");
  return decodeSideModule(artefact);
}

async function theModule(bytes: Uint8Array, preemptible = false, isolated = false) {
  const outcome = await prepared(bytes, preemptible, isolated);
  if (outcome.kind === "refused") {
    throw new Error(outcome.reason);
  }
  return outcome.module;
}

describe("a prepared side module", () => {
  it("has what its section says, and why the host does not offer an import", async () => {
    const { wasm, notOffered, replaceable, ...fields } = await theModule(SIDE);
    expect(fields).toEqual({
      memoryBytes: 100_000,
      memoryAlignment: 16,
      tableElements: 3,
      tableAlignment: 2,
      needed: ["libm.so"],
      weak: ["env.sky"],
    });
    expect([...notOffered]).toEqual([["env.sky", "() -> () is not offered by this host"]]);
    expect([...replaceable]).toEqual([]);
  });

  it("has its start function as an export, and long fills in pieces", async () => {
    const { wasm } = await theModule(SIDE);
    const exports = WebAssembly.Module.exports(new WebAssembly.Module(wasm)).map(({ name }) => name);
    expect(exports).toEqual(expect.arrayContaining(["run", "$start"]));
    const fill = Buffer.from([0xfc, 0x0b, 0x00]);
    expect(Buffer.from(SIDE).indexOf(fill)).toBeGreaterThan(0);
    // In the function that does it in pieces alone, which the start function calls: it is behind all others.
    const text = Buffer.from(wasm);
    expect(text.indexOf(fill)).toBe(text.lastIndexOf(fill));
    expect(text.indexOf(fill)).toBeGreaterThan(text.indexOf(Buffer.from([0x03, 0x40, 0x0c, 0x00])));
  });

  it("is the same from a thread and from a process, and after it was encoded", async () => {
    const module = await theModule(SIDE);
    const bytes = (of: SideModule) => Buffer.from(encodeSideModule({ kind: "module", module: of })).toString("hex");
    expect(bytes(await theModule(SIDE, false, true))).toBe(bytes(module));
    const decoded = decodeSideModule(Buffer.from(bytes(module), "hex"));
    expect(decoded.kind === "module" && bytes(decoded.module)).toBe(bytes(module));
  });

  it("gives way, when the function does that opens it", { timeout: 120_000 }, async () => {
    const { wasm } = await theModule(SIDE, true);
    const imports = WebAssembly.Module.imports(new WebAssembly.Module(wasm)).map(({ module, name }) => `${module}.${name}`);
    expect(imports).toEqual(expect.arrayContaining(["$host.control", "$host.interrupt"]));
    expect(imports.filter((name) => name === "env.memory")).toHaveLength(1);
  });

  it("is refused as an outcome, in a thread and in a process", async () => {
    for (const isolated of [false, true]) {
      expect(await prepared(Buffer.from("none"), false, isolated)).toMatchObject({ kind: "refused", reason: /not WebAssembly/ });
    }
  });
});

describe("side modules of a process", () => {
  const options = { limits: LIMITS, preemptible: false, isIsolated: false };

  /** Counts what is prepared. */
  function counted() {
    const begun: string[] = [];
    const ended: string[] = [];
    const slow = {
      prepare: async (...[module, ...rest]: Parameters<Uploads["prepare"]>) => {
        begun.push(Buffer.from(module).toString("latin1", 0, 4));
        const made = await uploads.prepare(module, ...rest);
        ended.push(`${begun.length}`);
        return made;
      },
    } as Uploads;
    return { sideModules: new SideModules(slow), begun, ended };
  }

  it("are prepared once for each content, also when they are refused", async () => {
    const { sideModules, begun } = counted();
    const ask = (bytes: Uint8Array) => sideModules.prepared(TENANT, async () => bufferOf(bytes), options);
    const [first, second] = await Promise.all([ask(SIDE), ask(SIDE)]);
    expect(second).toBe(first);
    await ask(Buffer.from("none"));
    await ask(Buffer.from("none"));
    expect(begun).toHaveLength(2);
  });

  it("are read and prepared one after the other for a tenant, also behind one that cannot be read", async () => {
    const { sideModules, ended } = counted();
    const order: string[] = [];
    const ask = (text: string) =>
      sideModules.prepared(
        TENANT,
        async () => {
          order.push(`${text} after ${ended.length}`);
          return text === "gone" ? Promise.reject(new Error("gone")) : bufferOf(Buffer.from(text));
        },
        options,
      );
    const asked = ["one", "gone", "two", "three"].map(ask);
    expect((await Promise.allSettled(asked)).map(({ status }) => status)).toEqual([
      "fulfilled",
      "rejected",
      "fulfilled",
      "fulfilled",
    ]);
    expect(ended).toEqual(["1", "2", "3"]);
    expect(order).toEqual(["one after 0", "gone after 1", "two after 1", "three after 2"]);
  });

  it("are nothing when there is no file", async () => {
    expect(await counted().sideModules.prepared(TENANT, async () => null, options)).toBeNull();
  });
});
