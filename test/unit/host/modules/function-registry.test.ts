import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { FunctionRegistry, type FunctionVersion, type ModuleHash, prepareModule } from "../../../../host/modules/index.ts";
import { decodeFunctionData, encodeFunctionData } from "../../../../host/modules/registry-entry.ts";
import { NO_REWRITING } from "../../../../host/modules/rewriting/index.ts";
import { ProcessStarter } from "../../../../host/processes/index.ts";
import type { BlobName, LogBookId, SeqNum } from "../../../../state/ids.ts";
import type { Shard, ShardSource } from "../../../../state/logbook/index.ts";
import { wat } from "../../../support/guest-modules.ts";
import { BOOK, openTestShard, type TestShard } from "../../../support/open-shard.ts";
import { testTenancy } from "../../../support/test-tenancy.ts";
import { ABI, asyncRefusal, LIMITS } from "./fixtures.ts";

const module = (value: number) =>
  wat(`(module (memory 1) (data (i32.const 8) "v${value}") (func (export "main") (result i32) (i32.const ${value})))`);

async function* stream(bytes: Uint8Array, chunkBytes = 7): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += chunkBytes) {
    yield bytes.subarray(at, at + chunkBytes);
  }
}

/** Where the registry finds the owner, which may be replaced. */
class Owner implements ShardSource {
  shard: Shard;
  constructor(shard: Shard) {
    this.shard = shard;
  }
  current(): Shard {
    return this.shard;
  }
  async available(): Promise<Shard> {
    return this.shard;
  }
  async close(): Promise<void> {}
}

let starter: ProcessStarter;
beforeAll(async () => {
  starter = await ProcessStarter.open();
});
afterAll(() => starter.close());

async function open(state?: TestShard) {
  const opened = state ?? (await openTestShard());
  const owner = new Owner(opened.shard);
  const tenancy = testTenancy({ ...LIMITS, uploadTimeoutMs: 60_000 });
  const registry = new FunctionRegistry({ shards: owner, abi: ABI, tenancy, cacheMaxBytes: 1_000_000, starter });
  const upload = (name: string, bytes: Uint8Array, tenant: LogBookId = BOOK) => registry.upload(tenant, name, stream(bytes));
  const resolve = (name: string, tenant: LogBookId = BOOK) => registry.resolve(owner.shard, tenant, name);
  return { state: opened, owner, registry, upload, resolve };
}

/** Resolves the name again and again until another version is seen, which need not be durable. */
async function newVersion(resolve: () => Promise<{ version: FunctionVersion }>, old: FunctionVersion): Promise<FunctionVersion> {
  for (;;) {
    const { version } = await resolve();
    if (version.seqnum !== old.seqnum) {
      return version;
    }
    await new Promise((done) => setImmediate(done));
  }
}

describe("the function registry", () => {
  test("an uploaded function is found, listed, downloaded and loaded", async () => {
    const { owner, registry, upload, resolve } = await open();
    const version = await upload("hello", module(1));
    expect(version).toMatchObject({
      name: "hello",
      sizeBytes: module(1).byteLength,
      hash: prepareModule(module(1), ABI, LIMITS).hash,
    });
    expect((await resolve("hello")).version).toEqual(version);
    expect((await resolve("hello")).tail).toBeGreaterThanOrEqual(version.seqnum);
    expect(await registry.list(BOOK)).toEqual([version]);
    expect(Buffer.from(await registry.download(BOOK, "hello")).equals(module(1))).toBe(true);
    expect(await registry.artefact(owner.shard, version.hash)).toEqual(prepareModule(module(1), ABI, LIMITS));
  });

  test("F24: a function is what its upload asked for, and the same bytes uploaded otherwise are another module", async () => {
    const { owner, registry, upload } = await open();
    const bytes = wat(`(module (import "neap" "read" (func $read (param i32 i64) (result i32))) (memory 1)
      (func (export "main") (result i32) (loop $again (br_if $again (call $read (i32.const 0) (i64.const 0)))) (i32.const 7)))`);
    const plain = await upload("plain", bytes);
    const asked = await registry.upload(BOOK, "giving-way", stream(bytes), { preemptible: true });
    expect([plain.preemptible, asked.preemptible, asked.migratable]).toEqual([false, true, false]);
    expect(asked.hash).not.toBe(plain.hash);
    expect((await registry.setOptions(BOOK, "giving-way", {})).preemptible).toBe(true);
    expect((await registry.list(BOOK)).map(({ name, preemptible }) => [name, preemptible])).toEqual([
      ["plain", false],
      ["giving-way", true],
    ]);
    const artefact = await registry.artefact(owner.shard, asked.hash);
    expect([artefact.preemptible, artefact.imports]).toEqual([true, ["neap.read"]]);
    const imports = WebAssembly.Module.imports(new WebAssembly.Module(artefact.wasm));
    expect(imports.map((entry) => `${entry.module}.${entry.name}`).toSorted()).toEqual([
      "$host.control",
      "$host.interrupt",
      "neap.read",
    ]);
    expect(Buffer.from(await registry.download(BOOK, "giving-way")).equals(bytes)).toBe(true);
    expect((await registry.upload(BOOK, "giving-way", stream(bytes))).hash).toBe(plain.hash);
  });

  test("H24: an isolated tenant's module is read and started in a process, and found like any other", async () => {
    const { shard } = await openTestShard();
    const registry = new FunctionRegistry({
      shards: new Owner(shard),
      abi: ABI,
      tenancy: testTenancy({ ...LIMITS, uploadTimeoutMs: 60_000 }),
      cacheMaxBytes: 1_000_000,
      starter,
      isIsolated: (tenant) => tenant === BOOK,
    });
    const start = vi.spyOn(starter, "start");
    const { hash } = await registry.upload(BOOK, "hello", stream(module(1)));
    expect(start).toHaveBeenCalledTimes(1);
    expect((await registry.upload("other" as LogBookId, "hello", stream(module(1)))).hash).toBe(hash);
    expect(start).toHaveBeenCalledTimes(1);
    expect(Buffer.from(await registry.download(BOOK, "hello")).equals(module(1))).toBe(true);
  });

  test("whoever asked for it hears of each module before its upload is acknowledged", async () => {
    const { shard } = await openTestShard();
    const heard: string[] = [];
    const registry = new FunctionRegistry({
      shards: new Owner(shard),
      abi: ABI,
      tenancy: testTenancy(LIMITS),
      cacheMaxBytes: 1_000_000,
      onUpload: (artefact) => heard.push(artefact.hash),
    });
    const { hash } = await registry.upload(BOOK, "hello", stream(module(1)));
    expect(heard).toEqual([hash]);
  });

  test("a retry policy counts from now on, for the same module, and is kept by uploads until it is taken away", async () => {
    const { owner, registry, upload, resolve, state } = await open();
    const retry = { attemptsMax: 7, backoffMs: 5, backoffMaxMs: 50, causes: ["workerLost", "failure"] } as const;
    await expect(registry.setOptions(BOOK, "hello", { retry })).rejects.toMatchObject({ code: "UNKNOWN_FUNCTION" });
    const plain = await upload("hello", module(1));
    const set = await registry.setOptions(BOOK, "hello", { retry });
    expect(set).toMatchObject({ name: "hello", hash: plain.hash, sizeBytes: plain.sizeBytes, retry });
    expect((await registry.resolve(owner.shard, BOOK, "hello", plain.seqnum)).version.retry).toBeNull();
    const next = await upload("hello", module(2));
    expect(next).toMatchObject({ hash: prepareModule(module(2), ABI, LIMITS).hash, retry });
    expect(await registry.list(BOOK)).toEqual([next]);
    const again = await open(await state.crash());
    expect((await again.resolve("hello")).version.retry).toEqual(retry);
    expect(Buffer.from(await again.registry.download(BOOK, "hello")).equals(module(2))).toBe(true);
    expect((await again.registry.setOptions(BOOK, "hello", { retry: null })).retry).toBeNull();
    expect((await resolve("hello")).version.retry).toEqual(retry);
  });

  test("limits are kept by uploads until they are taken away; those of modules make the module anew", async () => {
    const { owner, registry, upload, resolve, state } = await open();
    const plain = await upload("hello", module(1));
    expect(plain.limits).toBeNull();
    const limits = { wallTimeMs: 5, memoryMaxPages: 3 };
    const set = await registry.setOptions(BOOK, "hello", { limits });
    expect(set).toMatchObject({ limits, hash: prepareModule(module(1), ABI, { ...LIMITS, memoryMaxPages: 3 }).hash });
    expect((await registry.artefact(owner.shard, set.hash)).memoryMaxPages).toBe(3);
    expect((await registry.setOptions(BOOK, "hello", { retry: null })).limits).toEqual(limits);
    const next = await upload("hello", module(2));
    expect(next).toMatchObject({ limits, hash: prepareModule(module(2), ABI, { ...LIMITS, memoryMaxPages: 3 }).hash });
    const again = await open(await state.crash());
    expect((await again.resolve("hello")).version).toEqual(next);
    const free = await again.registry.setOptions(BOOK, "hello", { limits: null });
    expect(free).toMatchObject({ limits: null, hash: prepareModule(module(2), ABI, LIMITS).hash });
    expect((await resolve("hello")).version.limits).toEqual(limits);
  });

  test("the environment is kept by uploads until it is taken away", async () => {
    const { registry, upload, state } = await open();
    expect((await upload("hello", module(1))).environment).toBeNull();
    const environment = { LEVEL: "debug", URL: "a=b\n\u{1F600}", EMPTY: "" };
    expect((await registry.setOptions(BOOK, "hello", { environment })).environment).toEqual(environment);
    await registry.setOptions(BOOK, "hello", { retry: null });
    await upload("hello", module(2));
    const again = await open(await state.crash());
    expect((await again.resolve("hello")).version.environment).toEqual(environment);
    expect((await again.registry.setOptions(BOOK, "hello", { environment: null })).environment).toBeNull();
  });

  test("limits that the module does not fit are refused and change nothing", async () => {
    const { registry, upload, resolve } = await open();
    const version = await upload("hello", wat(`(module (memory 5) (func (export "main")))`));
    const refused = await asyncRefusal(registry.setOptions(BOOK, "hello", { limits: { memoryMaxPages: 4 } }));
    expect(refused).toMatch(/^MODULE_LIMIT: memory section at offset \d+: the memory begins with 5 pages/);
    const above = await asyncRefusal(registry.setOptions(BOOK, "hello", { limits: { memoryMaxPages: 65 } }));
    expect(above).toBe(`BAD_REQUEST: limits.memoryMaxPages is 65 pages of 64 KiB, the limit of tenant ${BOOK} is 64`);
    expect((await resolve("hello")).version).toEqual(version);
  });

  test("a function's record from before functions had limits and an environment is read", () => {
    const blob = { name: "b".repeat(64) as BlobName, sizeBytes: 9 };
    const data = {
      name: "f",
      hash: "h" as ModuleHash,
      artefact: blob,
      original: blob,
      retry: null,
      limits: null,
      environment: null,
      protocol: null,
      ...NO_REWRITING,
    };
    const now = encodeFunctionData(data);
    for (const [format, fewer] of [
      [4, 4],
      [3, 5],
      [2, 7],
    ] as const) {
      const before = now.slice(0, -fewer);
      before[0] = format;
      expect(decodeFunctionData(before)).toEqual(data);
    }
    expect(decodeFunctionData(now)).toEqual(data);
  });

  test("a call that arrives later runs the new version, and the old one can still be loaded", async () => {
    const { owner, registry, upload, resolve, state } = await open();
    const old = await upload("hello", module(1));
    await upload("other", module(3));
    const next = await upload("hello", module(2));
    expect((await resolve("hello")).version).toEqual(next);
    expect((await registry.list(BOOK)).map(({ name, hash }) => [name, hash])).toEqual([
      ["hello", next.hash],
      ["other", prepareModule(module(3), ABI, LIMITS).hash],
    ]);
    const elsewhere = new FunctionRegistry({ shards: owner, abi: ABI, tenancy: testTenancy(LIMITS), cacheMaxBytes: 1_000_000 });
    expect((await elsewhere.artefact(state.shard, old.hash)).hash).toBe(old.hash);
  });

  test("F13: with a cursor the version of that moment is found, so that every replay of a caller starts the same one", async () => {
    const { owner, registry, upload } = await open();
    const old = await upload("hello", module(1));
    const next = await upload("hello", module(2));
    const at = (cursor: number) => registry.resolve(owner.shard, BOOK, "hello", cursor as SeqNum);
    expect((await at(old.seqnum)).version).toEqual(old);
    expect((await at(next.seqnum - 1)).version).toEqual(old);
    expect((await at(next.seqnum)).version).toEqual(next);
    expect(await asyncRefusal(at(old.seqnum - 1))).toMatch(/^UNKNOWN_FUNCTION: /);
  });

  test("tenants see their own functions only", async () => {
    const { registry, upload, resolve } = await open();
    await upload("hello", module(1));
    expect(await asyncRefusal(resolve("hello", "bob" as LogBookId))).toBe('UNKNOWN_FUNCTION: tenant bob has no function "hello"');
    expect(await registry.list("bob" as LogBookId)).toEqual([]);
    expect(await asyncRefusal(registry.download("bob" as LogBookId, "hello"))).toMatch(/^UNKNOWN_FUNCTION: /);
  });

  test.each(["", "..", "a..b", "a/b", "../etc", ".hidden", "-x", "a\nb", "a\0", "ü", "a b", "x".repeat(129), "x".repeat(300)])(
    "%j cannot name a function, and is unknown to callers",
    async (name) => {
      const { upload, resolve } = await open();
      expect(await asyncRefusal(upload(name, module(1)))).toMatch(/^BAD_NAME: function name /);
      expect(await asyncRefusal(resolve(name))).toMatch(/^UNKNOWN_FUNCTION: /);
    },
  );

  test("a body above the limit is refused without reading it to its end", async () => {
    const { registry, resolve } = await open();
    const chunk = new Uint8Array(100_000);
    let chunks = 0;
    let ended = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) {
          chunks += 1;
          yield chunk;
        }
      } finally {
        ended = true;
      }
    }
    expect(await asyncRefusal(registry.upload(BOOK, "big", endless()))).toBe(
      "MODULE_TOO_LARGE: the module has more than the 1000000 bytes that are allowed",
    );
    expect({ chunks, ended }).toEqual({ chunks: 11, ended: true });
    expect(await asyncRefusal(resolve("big"))).toMatch(/^UNKNOWN_FUNCTION: /);
  });

  test("a module that is refused leaves no name and no blob behind", async () => {
    const { state, upload, resolve } = await open();
    expect(await asyncRefusal(upload("bad", Buffer.from("not a module")))).toMatch(/^MODULE_INVALID: not WebAssembly/);
    expect(await asyncRefusal(upload("bad", new Uint8Array()))).toBe("MODULE_INVALID: the upload is empty");
    expect(await asyncRefusal(resolve("bad"))).toMatch(/^UNKNOWN_FUNCTION: /);
    expect(state.blobs.blobs.size).toBe(0);
  });

  test("a body that breaks off fails the upload with its own error", async () => {
    const { registry } = await open();
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield module(1).subarray(0, 10);
      throw new Error("client went away");
    }
    await expect(registry.upload(BOOK, "cut", broken())).rejects.toThrow("client went away");
  });

  test("more uploads than the host can hold, or one tenant may have, are refused, and it takes others afterwards", async () => {
    const { registry, upload } = await open();
    const gate = Promise.withResolvers<void>();
    async function* slow(): AsyncGenerator<Uint8Array> {
      await gate.promise;
      yield Buffer.from("no module");
    }
    const hold = (tenant: LogBookId, count: number) =>
      Array.from({ length: count }, (_, at) => asyncRefusal(registry.upload(tenant, `f${at}`, slow())));
    const held = hold(BOOK, 12);
    expect(await asyncRefusal(upload("hello", module(1)))).toBe(`OVERLOADED: 12 uploads of tenant ${BOOK} are under way already`);
    held.push(...hold("another" as LogBookId, 4));
    expect(await asyncRefusal(upload("hello", module(1)))).toBe("OVERLOADED: 16 uploads are under way already");
    gate.resolve();
    expect((await Promise.all(held)).every((text) => text.startsWith("MODULE_INVALID: "))).toBe(true);
    expect((await upload("hello", module(1))).name).toBe("hello");
  });

  test("equal uploads share their blobs, each named by its content", async () => {
    const { state, upload } = await open();
    const [first, second] = [await upload("a", module(1)), await upload("b", module(1))];
    expect(second.hash).toBe(first.hash);
    const uploadHash = createHash("sha256").update(module(1)).digest("hex");
    expect([...state.blobs.blobs.keys()].sort()).toEqual([first.hash, uploadHash].sort());
  });

  test("an artefact that the owner does not hold is BLOB_MISSING, and found when it is there again", async () => {
    const { state, owner, upload } = await open();
    const { hash } = await upload("hello", module(1));
    const elsewhere = new FunctionRegistry({ shards: owner, abi: ABI, tenancy: testTenancy(LIMITS), cacheMaxBytes: 1_000_000 });
    const name = hash as string as BlobName;
    const kept = state.blobs.blobs.get(name) ?? new Uint8Array();
    state.blobs.blobs.delete(name);
    expect(await asyncRefusal(elsewhere.artefact(state.shard, hash))).toBe(
      `BLOB_MISSING: the owner does not hold the artefact of module ${hash}`,
    );
    await state.blobs.put(kept.subarray(0, 40), name);
    expect(await asyncRefusal(elsewhere.artefact(state.shard, hash))).toMatch(/^BLOB_MISSING: the artefact .* cannot be read/);
    await state.blobs.put(kept, name);
    expect((await elsewhere.artefact(state.shard, hash)).hash).toBe(hash);
  });
});

describe("across a crash of the owner", () => {
  test("F6: an upload that was answered is there afterwards, with module and artefact", async () => {
    const { state, upload } = await open();
    const version = await upload("hello", module(1));
    const after = await open(await state.crash());
    expect((await after.resolve("hello")).version).toEqual(version);
    expect(Buffer.from(await after.registry.download(BOOK, "hello")).equals(module(1))).toBe(true);
    expect((await after.registry.artefact(after.state.shard, version.hash)).entry).toBe("main");
  });

  test("an upload is answered only when its record is durable", async () => {
    const { state, upload, resolve } = await open();
    const old = await upload("hello", module(1));
    state.journal.automatic = false;
    let answered = false;
    const next = upload("hello", module(2)).finally(() => {
      answered = true;
    });
    const seen = await newVersion(() => resolve("hello"), old);
    await new Promise((done) => setImmediate(done));
    expect(answered).toBe(false);
    state.journal.automatic = true;
    while (!answered) {
      state.journal.flush();
      await new Promise((done) => setImmediate(done));
    }
    expect(await next).toEqual(seen);
  });

  test("F1: what an older epoch had at a seqnum is not taken for what the new one has there", async () => {
    const { state, owner, registry, upload, resolve } = await open();
    const first = await upload("hello", module(1));
    const other = await upload("other", module(1));
    state.journal.automatic = false;
    // neither is ever durable, so these never end
    void upload("hello", module(2));
    await newVersion(() => resolve("hello"), first);
    void upload("other", module(3));
    const lost = await newVersion(() => resolve("other"), other);

    const after = await state.crash();
    owner.shard = after.shard;
    expect((await resolve("hello")).version).toEqual(first);
    const next = await upload("hello", module(4));
    expect(next.seqnum).toBe(lost.seqnum);
    expect((await resolve("hello")).version).toEqual(next);
    expect((await resolve("other")).version).toEqual(other);
    expect(await registry.list(BOOK)).toEqual([next, other]);
  });
});
