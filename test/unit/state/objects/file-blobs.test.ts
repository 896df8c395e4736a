import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { type FileHandle, mkdir, mkdtemp, open as openFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { BlobName } from "../../../../state/ids.ts";
import type { BlobRef } from "../../../../state/objects/blobs.ts";
import { type FileBlobs, openFileBlobs } from "../../../../state/objects/file-blobs.ts";
import { bytes } from "../../../support/open-shard.ts";

let directory: string;
const random = { bytes: (sizeBytes: number) => randomBytes(sizeBytes) };
const hash = "0123456789abcdef".repeat(4) as BlobName;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "neap-blobs-"));
});
afterEach(() => rm(directory, { recursive: true }));

const open = (epoch = 1): Promise<FileBlobs> => openFileBlobs({ directory, epoch, random });

async function put(blobs: FileBlobs, value: string, name?: BlobName): Promise<BlobRef> {
  const writer = await blobs.create(name);
  await writer.write(bytes(value));
  return writer.commit();
}

const files = (): string[] =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map((one) => one.name);

test("a blob has the bytes that were written, in any slice", async () => {
  const blobs = await open();
  const writer = await blobs.create();
  const whole = randomBytes(300_000);
  for (let offset = 0; offset < whole.length; offset += 70_000) {
    await writer.write(whole.subarray(offset, offset + 70_000));
  }
  const { name, sizeBytes } = await writer.commit();
  expect(sizeBytes).toBe(whole.length);
  expect(await blobs.size(name)).toBe(whole.length);
  for (const [offset, size] of [
    [0, 300_000],
    [69_999, 2],
    [299_999, 10],
    [300_000, 5],
    [400_000, 5],
    [0, Number.MAX_SAFE_INTEGER],
  ] as const) {
    expect(Buffer.from(await blobs.read(name, offset, size))).toEqual(whole.subarray(offset, offset + size));
  }
  const again = await open(2);
  expect(again.known(name)).toBeUndefined();
  expect(await again.size(name)).toBe(whole.length);
  expect(again.known(name)).toBe(whole.length);
});

test("F6: nothing has a blob's name before it is committed, nor after it was given up", async () => {
  const blobs = await open();
  const writer = await blobs.create(hash);
  await writer.write(bytes("half"));
  expect(await blobs.size(hash)).toBeNull();
  await writer.abort();
  await writer.abort();
  expect(await blobs.size(hash)).toBeNull();
  expect(files()).toEqual([]);
});

test("F6: a blob gets its name when its bytes are flushed, and counts as held when its folder is", async () => {
  const blobs = await open();
  const writer = await blobs.create(hash);
  await writer.write(bytes("whole"));
  const path = join(directory, hash.slice(-2), hash);
  const incoming = () => readdirSync(join(directory, "incoming"));
  const seen: string[] = [];
  const handle = await openFile(directory, "r");
  const flush = vi.spyOn(Object.getPrototypeOf(handle) as FileHandle, "sync").mockImplementation(async function (
    this: FileHandle,
  ) {
    const what = (await this.stat()).isDirectory() ? "folder" : readFileSync(join(directory, "incoming", ...incoming()), "utf8");
    seen.push(`${what}: ${existsSync(path) ? "named" : "unnamed"}, ${blobs.known(hash) === undefined ? "not held" : "held"}`);
    await this.datasync();
  });
  try {
    await writer.commit();
  } finally {
    flush.mockRestore();
    await handle.close();
  }
  expect(seen[0]).toBe("whole: unnamed, not held");
  expect(seen.at(-1)).toBe("folder: named, not held");
  expect(blobs.known(hash)).toBe(5);
});

test("F6: of a blob that cannot get its name nothing is left", async () => {
  const blobs = await open();
  writeFileSync(join(directory, hash.slice(-2)), "in the way");
  const writer = await blobs.create(hash);
  await writer.write(bytes("whole"));
  await expect(writer.commit()).rejects.toMatchObject({ code: "DISK_FAILED" });
  expect(files()).toEqual([hash.slice(-2)]);
  await writer.abort();
});

test("F7: a name that is drawn is never drawn again, and says the epoch", async () => {
  const blobs = await open(12);
  const first = await put(blobs, "same");
  const second = await put(blobs, "same");
  expect(first.name).not.toBe(second.name);
  expect(first.name).toMatch(/^12-[0-9a-f]{32}$/);
});

test("a blob named by its content may be written twice", async () => {
  const blobs = await open();
  const refs = await Promise.all([put(blobs, "module", hash), put(blobs, "module", hash)]);
  expect(refs).toEqual([
    { name: hash, sizeBytes: 6 },
    { name: hash, sizeBytes: 6 },
  ]);
  expect(files()).toEqual([hash]);
});

test("F6: the sweep removes what no record names, but nothing of the running epoch", async () => {
  const first = await open(1);
  const kept = await put(first, "kept");
  const orphan = await put(first, "orphan");
  await put(first, "old module", hash);
  const unfinished = await first.create();
  await unfinished.write(bytes("torn"));
  const second = await open(2);
  const running = await put(second, "running");
  await second.sweep((name) => name === kept.name);
  expect(files().sort()).toEqual([kept.name, running.name].sort());
  expect(await second.size(orphan.name)).toBeNull();
  await unfinished.abort();
});

test("removing a blob makes it missing, but one named by its content stays until the sweep", async () => {
  const blobs = await open();
  const ref = await put(blobs, "1");
  await put(blobs, "module", hash);
  await blobs.remove([ref.name, hash]);
  expect(blobs.known(ref.name)).toBeUndefined();
  await expect(blobs.read(ref.name, 0, 1)).rejects.toMatchObject({ code: "BLOB_MISSING" });
  expect(await blobs.size(hash)).toBe(6);
});

test("a blob that is open keeps its bytes when it is removed, until it is closed", async () => {
  const blobs = await open();
  const { name } = await put(blobs, "first and last");
  const reader = await blobs.open(name);
  await blobs.remove([name]);
  await expect(blobs.open(name)).rejects.toMatchObject({ code: "BLOB_MISSING" });
  expect([reader.sizeBytes, Buffer.from(await reader.read(10, 100)).toString()]).toEqual([14, "last"]);
  await reader.close();
  await reader.close();
});

test("F6: only a blob that was drawn here and is named by no record can be given up; its file is gone then", async () => {
  const earlier = await put(await open(1), "of an epoch before");
  const blobs = await open(2);
  const draft = await put(blobs, "draft");
  const used = await put(blobs, "used");
  await put(blobs, "module", hash);
  blobs.named(used.name);
  await blobs.discard([draft.name, used.name, earlier.name, hash, "../neap-outside" as BlobName]);
  expect(files().sort()).toEqual([earlier.name, used.name, hash].sort());
  expect(blobs.known(draft.name)).toBeUndefined();
  expect(await blobs.size(draft.name)).toBeNull();
});

test("F6: a look at the disk that began before a blob was removed does not bring it back", async () => {
  const { name } = await put(await open(1), "old");
  const blobs = await open(2);
  const looked = blobs.size(name);
  const removed = blobs.remove([name]);
  expect(await looked).toBeNull();
  expect(blobs.known(name)).toBeUndefined();
  await removed;
  expect(await blobs.size(name)).toBeNull();
});

test("a blob whose file was lost is missing, and does not end in anything else", async () => {
  const blobs = await open();
  const { name } = await put(blobs, "1");
  await rm(join(directory, name.slice(-2), name));
  await expect(blobs.read(name, 0, 1)).rejects.toMatchObject({ code: "BLOB_MISSING" });
  expect(await blobs.size(name)).toBeNull();
});

test("what the system refuses answers DISK_FAILED with call and error, and changes nothing", async () => {
  const blobs = await open();
  const { name } = await put(blobs, "1");
  const path = join(directory, name.slice(-2), name);
  await rm(path);
  await mkdir(path);
  await expect(blobs.read(name, 0, 1)).rejects.toMatchObject({ code: "DISK_FAILED", message: expect.stringContaining("EISDIR") });
  await rm(join(directory, "incoming"), { recursive: true });
  await expect(blobs.create()).rejects.toMatchObject({ code: "DISK_FAILED", message: expect.stringMatching(/^open .* ENOENT/) });
});

test("no name leads out of the folder", async () => {
  const blobs = await open();
  const outside = join(directory, "..", "neap-outside");
  writeFileSync(outside, "secret");
  try {
    const names = [
      "../neap-outside",
      "incoming",
      "",
      ".",
      "a/../../neap-outside",
      `${hash}/../..`,
      `1-${"0".repeat(31)}/`,
      hash.toUpperCase(),
    ] as BlobName[];
    for (const name of names) {
      expect(await blobs.size(name)).toBeNull();
      await expect(blobs.read(name, 0, 10)).rejects.toMatchObject({ code: "BLOB_MISSING" });
      await expect(blobs.create(name)).rejects.toMatchObject({ code: "BAD_NAME" });
    }
    await blobs.remove(names);
    expect(existsSync(outside) && readFileSync(outside, "utf8")).toBe("secret");
  } finally {
    await rm(outside);
  }
});
