/** The files of a call as bytes, and back: how they travel with a storage part or a frozen call (H15). */
import type { ByteReader, ByteWriter } from "../../../state/bytes.ts";
import type { FolderListing } from "./folder-listing.ts";
import { MemoryFile } from "./memory-file.ts";
import { MemoryFolder, type MemoryFsNode } from "./memory-folder.ts";
import { MemoryLink, type Scratch } from "./memory-node.ts";
import type { FileVersion } from "./shared-files.ts";
import { SharedFile, SharedFolder } from "./shared-folder.ts";

export type CallNode = MemoryFsNode | SharedFile | SharedFolder;

const Kind = { file: 0, folder: 1, link: 2, sharedFile: 3, sharedFolder: 4 } as const;

/** A name of a folder whose node may come later. */
interface Named {
  readonly folder: MemoryFolder;
  readonly name: string;
  readonly index: number;
  readonly at: number;
  readonly hides: boolean;
  readonly isShared: boolean;
}

/** @param nodes  with all that the folders among them hold */
export function writeNodes(w: ByteWriter, nodes: ReadonlySet<CallNode>): ReadonlyMap<CallNode, number> {
  const indexes = new Map(Array.from(nodes, (node, index) => [node, index]));
  w.u32(nodes.size);
  for (const node of nodes) {
    writeNode(w, node, indexes);
  }
  return indexes;
}

/** @throws RangeError for bytes that are none */
export function readNodes(r: ByteReader, scratch: Scratch): readonly CallNode[] {
  const nodes: CallNode[] = [];
  const named: Named[] = [];
  for (let left = r.u32(); left > 0; left--) {
    nodes.push(readNode(r, scratch, named));
  }
  for (const { folder, name, index, at, hides, isShared } of named) {
    const node = nodes[index];
    if (node === undefined || node instanceof SharedFile || node instanceof SharedFolder) {
      throw new RangeError(`there is no scratch file ${index}`);
    }
    folder.names.set(name, { node, at, hides });
    node.place = isShared ? { folder, name } : null;
    if (node.kind === "folder") {
      node.parent = folder;
    }
  }
  return nodes;
}

function writeNode(w: ByteWriter, node: CallNode, indexes: ReadonlyMap<CallNode, number>): void {
  if (node instanceof SharedFolder) {
    writeListing(w.u8(Kind.sharedFolder).text(node.path), node.listing);
    return;
  }
  if (node instanceof SharedFile) {
    writeVersion(w.u8(Kind.sharedFile).f64(node.ino), node.stored);
    writeOptionalText(w, node.path);
    w.f64(node.madeFrom ?? -1).u8(node.isDirty ? 1 : 0);
  } else {
    w.u8(Kind[node.kind]).f64(node.ino);
  }
  if (node.kind === "link") {
    w.text(node.target);
  } else if (node.kind === "folder") {
    writeOptionalText(w, node.lower);
  }
  w.u32(node.linkCount).u32(node.openCount);
  for (const timeNs of [node.accessNs, node.modificationNs, node.changeNs]) {
    w.i64(BigInt.asIntN(64, timeNs));
  }
  if (node.kind === "file") {
    writeContent(w, node);
  } else if (node.kind === "folder") {
    writeNames(w, node, indexes);
  }
}

function readNode(r: ByteReader, scratch: Scratch, named: Named[]): CallNode {
  const kind = r.u8();
  if (kind === Kind.sharedFolder) {
    const folder = new SharedFolder(scratch, r.text());
    readListing(r, folder.listing);
    return folder;
  }
  const node = readHead(r, kind, scratch);
  node.linkCount = r.u32();
  node.openCount = r.u32();
  node.accessNs = readTime(r);
  node.modificationNs = readTime(r);
  node.changeNs = readTime(r);
  if (node.kind === "file") {
    readContent(r, node);
  } else if (node.kind === "folder") {
    readNames(r, node, named);
  }
  return node;
}

function readHead(r: ByteReader, kind: number, scratch: Scratch): MemoryFsNode | SharedFile {
  switch (kind) {
    case Kind.file:
      return new MemoryFile(scratch, { ino: r.f64() });
    case Kind.folder: {
      const ino = r.f64();
      return new MemoryFolder(scratch, readOptionalText(r), { ino });
    }
    case Kind.link: {
      const ino = r.f64();
      return new MemoryLink(scratch, r.text(), { ino });
    }
    case Kind.sharedFile: {
      const ino = r.f64();
      const file = new SharedFile(scratch, readVersion(r), ino);
      file.path = readOptionalText(r);
      const madeFrom = r.f64();
      file.madeFrom = madeFrom < 0 ? null : madeFrom;
      file.isDirty = r.u8() === 1;
      return file;
    }
    default:
      throw new RangeError("unknown kind of scratch file");
  }
}

function writeContent(w: ByteWriter, { base, bytes }: MemoryFile): void {
  w.u8(base === null ? 0 : 1);
  if (base !== null) {
    writeVersion(w, base);
  }
  w.bytes(bytes);
}

function readContent(r: ByteReader, file: MemoryFile): void {
  file.base = r.u8() === 0 ? null : readVersion(r);
  file.fill(r.bytes());
}

function writeNames(w: ByteWriter, folder: MemoryFolder, indexes: ReadonlyMap<CallNode, number>): void {
  w.u32(folder.lastAt).u32(folder.gone.size);
  for (const name of folder.gone) {
    w.text(name);
  }
  writeListing(w, folder.listing);
  w.u32(folder.names.size);
  for (const [name, { node, at, hides }] of folder.names) {
    w.text(name)
      .u32(indexes.get(node) ?? 0)
      .u32(at)
      .u8((hides ? 1 : 0) | (node.place === null ? 0 : 2));
  }
}

function readNames(r: ByteReader, folder: MemoryFolder, named: Named[]): void {
  folder.lastAt = r.u32();
  for (let left = r.u32(); left > 0; left--) {
    folder.gone.add(r.text());
  }
  readListing(r, folder.listing);
  for (let left = r.u32(); left > 0; left--) {
    const [name, index, at, bits] = [r.text(), r.u32(), r.u32(), r.u8()];
    named.push({ folder, name, index, at, hides: (bits & 1) !== 0, isShared: (bits & 2) !== 0 });
  }
}

function writeListing(w: ByteWriter, { last, kept }: FolderListing): void {
  w.f64(last).u32(kept.size);
  for (const [number, { position, listedAt }] of kept) {
    w.f64(number).text(position).u32(listedAt);
  }
}

function readListing(r: ByteReader, listing: FolderListing): void {
  const last = r.f64();
  const kept = new Map<number, { position: string; listedAt: number }>();
  for (let left = r.u32(); left > 0; left--) {
    kept.set(r.f64(), { position: r.text(), listedAt: r.u32() });
  }
  listing.restore(last, kept);
}

function writeVersion(w: ByteWriter, { path, version, sizeBytes, timeMs }: FileVersion): void {
  w.text(path).f64(version).f64(sizeBytes).f64(timeMs);
}

function readVersion(r: ByteReader): FileVersion {
  return { path: r.text(), version: r.f64(), sizeBytes: r.f64(), timeMs: r.f64() };
}

function writeOptionalText(w: ByteWriter, text: string | null): void {
  w.u8(text === null ? 0 : 1).text(text ?? "");
}

function readOptionalText(r: ByteReader): string | null {
  const isThere = r.u8() === 1;
  const text = r.text();
  return isThere ? text : null;
}

function readTime(r: ByteReader): bigint {
  return BigInt.asUintN(64, r.i64());
}
