/** Descriptors and scratch files of one call, and how they travel with a storage part (H15). */
import { ByteReader, ByteWriter } from "../../../state/bytes.ts";
import type { TravellingState } from "../../sandbox/guest.ts";
import { type Descriptor, Descriptors, firstDescriptors, type Stream } from "./descriptors.ts";
import { MemoryFile, MemoryFolder, type MemoryFsNode, MemoryLink, Scratch } from "./memory-files.ts";

const STREAMS: readonly Stream[] = ["input", "output", "log"];
const NODE_KINDS = ["file", "folder", "link"] as const;
const NO_NODE = 0;
/** The name of the scratch's root among the folders that a program is given. */
const ROOT = "/";

export class CallFiles implements TravellingState {
  readonly descriptors: Descriptors;
  readonly #scratch: Scratch;

  private constructor(descriptors: Descriptors, scratch: Scratch) {
    this.descriptors = descriptors;
    this.#scratch = scratch;
  }

  /** As every call begins: input, output, log, and an empty folder "/". @param now  the call's clock, ns */
  static empty(now: () => bigint): CallFiles {
    const scratch = new Scratch(now);
    const root = new MemoryFolder(scratch);
    root.named(1);
    return new CallFiles(firstDescriptors([{ name: ROOT, folder: root }]), scratch);
  }

  /** What `encode` wrote elsewhere. @throws RangeError for bytes that are none */
  static decode(bytes: Uint8Array, now: () => bigint): CallFiles {
    const r = new ByteReader(bytes);
    const scratch = new Scratch(now);
    const nodes = readNodes(r, scratch);
    const descriptors = readDescriptors(r, nodes);
    return new CallFiles(descriptors, scratch);
  }

  encode(): Uint8Array {
    const w = new ByteWriter(1024 + this.#scratch.usedBytes).u32(this.#scratch.lastIno).u32(this.#scratch.nameCount);
    const nodes = this.#nodes();
    w.u32(nodes.size);
    for (const node of nodes) {
      writeNode(w, node);
    }
    const open = [...this.descriptors];
    w.u32(open.length);
    for (const [fd, descriptor] of open) {
      writeDescriptor(w.u32(fd), descriptor);
    }
    return w.view();
  }

  /** Everything that a descriptor leads to, each once. Without any, nothing can be reached any more. */
  #nodes(): Set<MemoryFsNode> {
    const found = new Set<MemoryFsNode>();
    for (const [, { target }] of this.descriptors) {
      if (target instanceof MemoryFile) {
        found.add(target);
      } else if (target instanceof MemoryFolder) {
        // From the top: what holds an open folder keeps it from being forgotten.
        found.add(topOf(target));
        found.add(target);
      }
    }
    for (const node of found) {
      if (node.kind === "folder") {
        for (const { node: below } of node.names.values()) {
          found.add(below);
        }
      }
    }
    return found;
  }
}

function topOf(folder: MemoryFolder): MemoryFolder {
  let top = folder;
  while (top.parent !== null) {
    top = top.parent;
  }
  return top;
}

function writeNode(w: ByteWriter, node: MemoryFsNode): void {
  w.u32(node.ino).u8(NODE_KINDS.indexOf(node.kind)).u32(node.linkCount).u32(node.openCount);
  for (const timeNs of [node.accessNs, node.modificationNs, node.changeNs]) {
    w.i64(BigInt.asIntN(64, timeNs));
  }
  switch (node.kind) {
    case "file":
      w.bytes(node.bytes);
      break;
    case "link":
      w.text(node.target);
      break;
    case "folder":
      w.u32(node.lastAt).u32(node.names.size);
      for (const [name, { node: below, at }] of node.names) {
        w.text(name).u32(below.ino).u32(at);
      }
      break;
  }
}

function readNodes(r: ByteReader, scratch: Scratch): ReadonlyMap<number, MemoryFsNode> {
  const [lastIno, nameCount] = [r.u32(), r.u32()];
  const nodes = new Map<number, MemoryFsNode>();
  const named: { folder: MemoryFolder; name: string; ino: number; at: number }[] = [];
  for (let left = r.u32(); left > 0; left--) {
    const ino = r.u32();
    const kind = NODE_KINDS[r.u8()];
    const counts = { linkCount: r.u32(), openCount: r.u32() };
    const times = { accessNs: readTime(r), modificationNs: readTime(r), changeNs: readTime(r) };
    const node = readNode(r, kind, scratch, ino, named);
    nodes.set(ino, Object.assign(node, counts, times));
  }
  for (const { folder, name, ino, at } of named) {
    const node = nodeOf(nodes, ino);
    folder.names.set(name, { node, at });
    if (node.kind === "folder") {
      node.parent = folder;
    }
  }
  Object.assign(scratch, { lastIno, nameCount });
  return nodes;
}

function readTime(r: ByteReader): bigint {
  return BigInt.asUintN(64, r.i64());
}

function readNode(
  r: ByteReader,
  kind: (typeof NODE_KINDS)[number] | undefined,
  scratch: Scratch,
  ino: number,
  named: { folder: MemoryFolder; name: string; ino: number; at: number }[],
): MemoryFsNode {
  switch (kind) {
    case "file": {
      const file = new MemoryFile(scratch, ino);
      file.fill(r.bytes());
      return file;
    }
    case "link":
      return new MemoryLink(scratch, r.text(), ino);
    case "folder": {
      const folder = new MemoryFolder(scratch, ino);
      folder.lastAt = r.u32();
      for (let left = r.u32(); left > 0; left--) {
        named.push({ folder, name: r.text(), ino: r.u32(), at: r.u32() });
      }
      return folder;
    }
    default:
      throw new RangeError("unknown kind of scratch file");
  }
}

function writeDescriptor(w: ByteWriter, { target, preopen, rights, inheriting, flags, offset }: Descriptor): void {
  const node = target instanceof MemoryFile || target instanceof MemoryFolder ? target.ino : NO_NODE;
  w.u32(node).u8(node === NO_NODE ? STREAMS.indexOf(target.kind as Stream) : 0);
  w.text(preopen ?? "")
    .u32(rights)
    .u32(inheriting)
    .u8(flags)
    .f64(offset);
}

function readDescriptors(r: ByteReader, nodes: ReadonlyMap<number, MemoryFsNode>): Descriptors {
  const descriptors = new Descriptors();
  for (let left = r.u32(); left > 0; left--) {
    const fd = r.u32();
    const ino = r.u32();
    const stream = STREAMS[r.u8()];
    const preopen = r.text();
    const rest = { rights: r.u32(), inheriting: r.u32(), flags: r.u8(), offset: r.f64() };
    const node = ino === NO_NODE ? undefined : nodeOf(nodes, ino);
    if (stream === undefined || node?.kind === "link") {
      throw new RangeError("a descriptor leads to nothing that can be open");
    }
    descriptors.set(fd, { target: node ?? { kind: stream }, preopen: preopen === "" ? null : preopen, ...rest });
  }
  return descriptors;
}

function nodeOf(nodes: ReadonlyMap<number, MemoryFsNode>, ino: number): MemoryFsNode {
  const node = nodes.get(ino);
  if (node === undefined) {
    throw new RangeError(`there is no scratch file ${ino}`);
  }
  return node;
}
