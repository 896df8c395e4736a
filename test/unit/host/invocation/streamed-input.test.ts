import { describe, expect, it } from "vitest";
import { NeapError } from "../../../../state/errors.ts";
import { BLOB_CHUNK_BYTES } from "../../../../state/objects/index.ts";
import { MemoryBlobs } from "../../../support/memory-blobs.ts";
import { openTestShard } from "../../../support/open-shard.ts";
import { ScriptedHost, settled } from "../../../support/scripted-host.ts";

const MIB = 1024 * 1024;

/** Notes how many bytes are moved at a time. */
class WatchedBlobs extends MemoryBlobs {
  readonly moved: number[] = [];

  override async create(...args: Parameters<MemoryBlobs["create"]>) {
    const writer = await super.create(...args);
    const write = (chunk: Uint8Array) => {
      this.moved.push(chunk.byteLength);
      return writer.write(chunk);
    };
    return { ...writer, write };
  }

  protected override slice(...args: Parameters<MemoryBlobs["slice"]>) {
    const piece = super.slice(...args);
    this.moved.push(piece.byteLength);
    return piece;
  }
}

async function openHost() {
  const blobs = new WatchedBlobs();
  const host = await ScriptedHost.open({ test: await openTestShard({ blobs }) });
  await host.define("weigh", async (guest) => {
    guest.put("seen", `${guest.input.length}`);
    guest.output(`${guest.input.length} ${guest.input.at(-1)}`);
    return 0;
  });
  blobs.moved.length = 0;
  return { host, blobs, blobsBefore: blobs.blobs.size };
}

/** `count` chunks of 64 KiB, then `last`. */
async function* chunks(count: number, last: string): AsyncGenerator<Uint8Array> {
  for (let sent = 0; sent < count; sent += 1) {
    yield Buffer.alloc(64 * 1024, "x");
  }
  yield Buffer.from(last);
}

const refused = (asked: Promise<unknown>): Promise<string> =>
  asked.then(
    () => "answered",
    (error: { code: string }) => error.code,
  );

describe("a streamed input", () => {
  it("H27: becomes a blob and is never moved in pieces of more than 1 MiB", async () => {
    const { host, blobs } = await openHost();
    expect(await host.told({ functionName: "weigh", input: chunks(80, "y") })).toBe(`0 ${5 * MIB + 1} y`);
    expect(blobs.moved.length).toBeGreaterThan(80);
    expect(Math.max(...blobs.moved)).toBeLessThanOrEqual(BLOB_CHUNK_BYTES);
  });

  it("stays in the record when it turns out to be short", async () => {
    const { host, blobs, blobsBefore } = await openHost();
    expect(await host.told({ functionName: "weigh", input: chunks(0, "short") })).toBe("0 5 t");
    expect(blobs.blobs.size).toBe(blobsBefore);
  });

  it("F30, H27: is the same call again when its bytes are the same, and refused when one differs, compared in pieces", async () => {
    const { host, blobs } = await openHost();
    const call = (count: number, last: string) => ({ functionName: "weigh", input: chunks(count, last), key: "k" });
    expect(await host.told(call(80, "y"))).toBe(`0 ${5 * MIB + 1} y`);
    blobs.moved.length = 0;
    expect(await host.told(call(80, "y"))).toBe(`0 ${5 * MIB + 1} y`);
    expect(await refused(host.call(call(80, "z")))).toBe("IDEMPOTENCY_MISMATCH");
    expect(Math.max(...blobs.moved)).toBeLessThanOrEqual(BLOB_CHUNK_BYTES);
    expect(await refused(host.call(call(79, "y")))).toBe("IDEMPOTENCY_MISMATCH");
    // The same bytes but for the last.
    expect(await refused(host.call(call(80, "")))).toBe("IDEMPOTENCY_MISMATCH");
    expect(await refused(host.call(call(0, "y")))).toBe("IDEMPOTENCY_MISMATCH");
    expect(host.pool.started).toBe(1);
  });

  it("is the same as one that came whole", async () => {
    const { host } = await openHost();
    const text = `${"x".repeat(3 * 64 * 1024)}y`;
    expect(await host.told({ functionName: "weigh", input: text, key: "k" })).toBe(`0 ${text.length} y`);
    expect(await host.told({ functionName: "weigh", input: chunks(3, "y"), key: "k" })).toBe(`0 ${text.length} y`);
    expect(host.pool.started).toBe(1);
  });

  it("that breaks off leaves no blob and calls nothing", async () => {
    const { host, blobs, blobsBefore } = await openHost();
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield* chunks(40, "y");
      throw new NeapError("CANCELLED", "the client went away");
    }
    expect(await refused(host.call({ functionName: "weigh", input: broken(), key: "k" }))).toBe("CANCELLED");
    expect(blobs.blobs.size).toBe(blobsBefore);
    expect(host.pool.started).toBe(0);
    expect(await host.told({ functionName: "weigh", input: "y", key: "k" })).toBe("0 1 y");
  });

  it("is not taken for a function that does not exist", async () => {
    const { host } = await openHost();
    let asked = false;
    async function* watched(): AsyncGenerator<Uint8Array> {
      asked = true;
      yield* chunks(1, "y");
    }
    expect(await refused(host.call({ functionName: "absent", input: watched() }))).toBe("UNKNOWN_FUNCTION");
    expect(asked).toBe(false);
  });

  it("F1: is not begun anew when its blob went with the owner's epoch: its sender is told to send it again", async () => {
    const { host } = await openHost();
    let started = 0;
    await host.define("stuck", async () => {
      started += 1;
      await (started === 1 ? new Promise(() => {}) : Promise.resolve());
      return 0;
    });
    await host.test.shard.whenDurable(await host.book.tail());
    const streamed = host.call({ functionName: "stuck", input: chunks(20, "y") });
    await expect.poll(() => started).toBe(1);
    await host.restartOwner();
    await settled();
    expect(await streamed).toMatchObject({ kind: "failed", code: "EPOCH_CHANGED" });
    expect(started).toBe(1);
    expect(await host.told({ functionName: "stuck", input: chunks(20, "y") })).toBe("0 ");
  });
});
