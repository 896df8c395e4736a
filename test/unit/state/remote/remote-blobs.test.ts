import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import type { BlobName } from "../../../../state/ids.ts";
import type { Shard } from "../../../../state/logbook/index.ts";
import { BLOB_CHUNK_BYTES, type BlobStore } from "../../../../state/objects/blobs.ts";
import { openFileBlobs } from "../../../../state/objects/file-blobs.ts";
import { WIRE_CHUNK_BYTES } from "../../../../state/remote/shard-methods.ts";
import { Cleanup, freshNode, freshOwner, systemRandom } from "../../../support/cluster.ts";

const TIMEOUT_MS = 10_000;
const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const withBlobs =
  (blobs: BlobStore) =>
  (session: Shard): Shard =>
    Object.assign(session, { blobs });

async function fileBlobs(): Promise<BlobStore> {
  const directory = await mkdtemp(join(tmpdir(), "neap-remote-blobs-"));
  cleanup.add(() => rm(directory, { recursive: true }));
  const blobs = await openFileBlobs({ directory, epoch: 1, random: systemRandom });
  await blobs.sweep(() => true);
  return blobs;
}

test("H27: a blob of 64 MiB comes back as it was, in slices of any size, and in short messages", async () => {
  const files = await fileBlobs();
  const read = vi.spyOn(files, "read");
  const owner = await freshOwner(cleanup, { session: withBlobs(files) });
  const shard = await freshNode(cleanup, owner.url).connection.available(TIMEOUT_MS);
  const writer = await shard.blobs.create();
  const written = createHash("sha256");
  const chunk = Buffer.alloc(BLOB_CHUNK_BYTES + 1);
  const sizeBytes = 64 * chunk.length;
  for (let i = 0; i < 64; i++) {
    chunk.fill(i * 3 + 1);
    written.update(chunk);
    await writer.write(chunk);
  }
  const ref = await writer.commit();
  expect(ref.sizeBytes).toBe(sizeBytes);
  expect(await shard.blobs.size(ref.name)).toBe(sizeBytes);
  const bytes = createHash("sha256");
  const slices = [1, BLOB_CHUNK_BYTES, 3 * BLOB_CHUNK_BYTES + 7];
  for (let offset = 0, i = 0; offset < sizeBytes; i++) {
    const slice = await shard.blobs.read(ref.name, offset, slices[i % slices.length] ?? 1);
    bytes.update(slice);
    offset += slice.byteLength;
  }
  expect(bytes.digest("hex")).toBe(written.digest("hex"));
  expect((await shard.blobs.read(ref.name, sizeBytes - 3, 100)).byteLength).toBe(3);
  expect((await shard.blobs.read(ref.name, sizeBytes, 100)).byteLength).toBe(0);
  expect(Math.max(...read.mock.calls.map(([, , wantedBytes]) => wantedBytes))).toBe(WIRE_CHUNK_BYTES);
});

test("a writer that is faster than the owner waits with a few MiB on their way", async () => {
  const gate = Promise.withResolvers<void>();
  const written: Uint8Array[] = [];
  const slow: BlobStore = {
    create: async () => ({
      write: async (chunk) => {
        await gate.promise;
        written.push(chunk);
      },
      commit: async () => ({ name: "slow" as BlobName, sizeBytes: written.reduce((sum, one) => sum + one.byteLength, 0) }),
      abort: async () => {},
    }),
    size: async () => null,
    open: async () => ({ sizeBytes: 0, read: async () => new Uint8Array(0), close: async () => {} }),
    read: async () => new Uint8Array(0),
    discard: async () => {},
  };
  const owner = await freshOwner(cleanup, { session: withBlobs(slow) });
  const shard = await freshNode(cleanup, owner.url).connection.available(TIMEOUT_MS);
  const writer = await shard.blobs.create();
  let accepted = 0;
  const upload = (async () => {
    for (let i = 0; i < 16; i++) {
      await writer.write(Buffer.alloc(BLOB_CHUNK_BYTES, i));
      accepted++;
    }
    return writer.commit();
  })();
  // Every answer of the owner that could make room would come before the one to this request.
  await shard.blobs.size("any" as BlobName);
  expect(accepted).toBe(4);
  gate.resolve();
  expect((await upload).sizeBytes).toBe(16 * BLOB_CHUNK_BYTES);
  expect([...new Set(written.map((chunk) => chunk[0]))]).toEqual(Array.from({ length: 16 }, (_, i) => i));
  expect(Math.max(...written.map((chunk) => chunk.byteLength))).toBe(WIRE_CHUNK_BYTES);
});

test("an upload whose connection is lost is aborted, one that was committed is kept", async () => {
  const aborted = Promise.withResolvers<void>();
  const files = await fileBlobs();
  const watched: BlobStore = {
    create: async (name) => {
      const writer = await files.create(name);
      return {
        write: (chunk) => writer.write(chunk),
        commit: () => writer.commit(),
        abort: async () => {
          await writer.abort();
          aborted.resolve();
        },
      };
    },
    size: (name) => files.size(name),
    open: (name) => files.open(name),
    read: (name, offset, sizeBytes) => files.read(name, offset, sizeBytes),
    discard: (names) => files.discard(names),
  };
  const owner = await freshOwner(cleanup, { session: withBlobs(watched) });
  const node = freshNode(cleanup, owner.url);
  const shard = await node.connection.available(TIMEOUT_MS);
  const kept = await shard.blobs.create();
  await kept.write(Buffer.from("kept"));
  const { name } = await kept.commit();
  const open = await shard.blobs.create();
  await open.write(Buffer.from("half"));
  await node.connection.close();
  await aborted.promise;
  await open.abort();
  await expect(open.write(Buffer.from("more")).then(() => open.commit())).rejects.toMatchObject({ code: "OWNER_UNAVAILABLE" });
  expect(await files.size(name)).toBe(4);
});

test("a blob that is open is read to its end, also when it is deleted meanwhile, and the owner lets go of it with the connection", async () => {
  const files = await fileBlobs();
  const closed = Promise.withResolvers<void>();
  const watched: BlobStore = Object.assign(Object.create(files), {
    open: async (name: BlobName) => {
      const reader = await files.open(name);
      const close = () => reader.close().then(closed.resolve);
      return { sizeBytes: reader.sizeBytes, read: reader.read.bind(reader), close };
    },
  });
  for (const method of ["create", "size", "read", "discard"] as const) {
    Object.assign(watched, { [method]: files[method].bind(files) });
  }
  const owner = await freshOwner(cleanup, { session: withBlobs(watched) });
  const node = freshNode(cleanup, owner.url);
  const shard = await node.connection.available(TIMEOUT_MS);
  const writer = await shard.blobs.create();
  await writer.write(Buffer.from("first and last"));
  const { name } = await writer.commit();
  const reader = await shard.blobs.open(name);
  expect(reader.sizeBytes).toBe(14);
  expect(Buffer.from(await reader.read(0, 5)).toString()).toBe("first");
  await files.discard([name]);
  await expect(shard.blobs.open(name)).rejects.toMatchObject({ code: "BLOB_MISSING" });
  expect(Buffer.from(await reader.read(10, 100)).toString()).toBe("last");
  await node.connection.close();
  await closed.promise;
  await reader.close();
});

test("what a node may not ask of blobs is refused: paths, absent names, writers that are not open", async () => {
  const owner = await freshOwner(cleanup, { session: withBlobs(await fileBlobs()) });
  const shard = await freshNode(cleanup, owner.url).connection.available(TIMEOUT_MS);
  for (const path of ["../secret", "/etc/passwd", "a/b", ".."]) {
    await expect(shard.blobs.read(path as BlobName, 0, 1)).rejects.toMatchObject({ code: "BAD_NAME" });
    await expect(shard.blobs.create(path as BlobName)).rejects.toMatchObject({ code: "BAD_NAME" });
  }
  await expect(shard.blobs.read("absent" as BlobName, 0, 1)).rejects.toMatchObject({ code: "BLOB_MISSING" });
  await expect(shard.blobs.open("absent" as BlobName)).rejects.toMatchObject({ code: "BLOB_MISSING" });
  const blob = await shard.blobs.create();
  await blob.write(Buffer.from("x"));
  const reader = await shard.blobs.open((await blob.commit()).name);
  await reader.close();
  await expect(reader.read(0, 1)).rejects.toMatchObject({ code: "BAD_MESSAGE" });
  const writer = await shard.blobs.create();
  await writer.abort();
  await expect(writer.write(Buffer.from("x")).then(() => writer.commit())).rejects.toMatchObject({ code: "BAD_MESSAGE" });
});
