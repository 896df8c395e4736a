/** Descriptors and files of one call, and how they travel with a storage part (H15). */
import { ByteReader, ByteWriter } from "../../../state/bytes.ts";
import { GuestFault, type TravellingState } from "../../sandbox/guest.ts";
import { type Descriptor, Descriptors, firstDescriptors, type Stream } from "./descriptors.ts";
import { Errno, WasiError } from "./errno.ts";
import { type CallNode, readNodes, writeNodes } from "./files-codec.ts";
import { MemoryFile } from "./memory-file.ts";
import { MemoryFolder } from "./memory-folder.ts";
import { Scratch } from "./memory-node.ts";
import type { SharedFiles } from "./shared-files.ts";
import { SharedFile, SharedFolder } from "./shared-folder.ts";

const STREAMS: readonly Stream[] = ["input", "output", "log"];
/** What a name and what it stands for take, about. */
const NAME_BYTES = 1024;
const NO_NODE = 0xffff_ffff;
/** The name of the root among the folders that a program is given. */
const ROOT = "/";

export class CallFiles implements TravellingState {
  readonly descriptors: Descriptors;
  readonly #scratch: Scratch;

  private constructor(descriptors: Descriptors, scratch: Scratch) {
    this.descriptors = descriptors;
    this.#scratch = scratch;
  }

  /** As every call begins: input, output, log, and a folder "/" over the tenant's shared files. @param now  the call's clock, ns */
  static empty(now: () => bigint, shared: SharedFiles): CallFiles {
    const scratch = new Scratch(now, shared);
    const root = new MemoryFolder(scratch, "");
    root.named(1);
    return new CallFiles(firstDescriptors([{ name: ROOT, folder: root }]), scratch);
  }

  /** What `encode` wrote elsewhere. @throws RangeError for bytes that are none */
  static decode(bytes: Uint8Array, now: () => bigint, shared: SharedFiles): CallFiles {
    const r = new ByteReader(bytes);
    const scratch = new Scratch(now, shared);
    const [lastIno, nameCount] = [r.u32(), r.u32()];
    shared.decodePages(r);
    const nodes = readNodes(r, scratch);
    Object.assign(scratch, { lastIno, nameCount });
    for (const node of nodes) {
      if (node instanceof SharedFile && node.path !== null) {
        shared.live.set(node.path, node);
      }
    }
    return new CallFiles(readDescriptors(r, nodes), scratch);
  }

  get heldBytes(): number {
    const { usedBytes, nameCount } = this.#scratch;
    return usedBytes + nameCount * NAME_BYTES;
  }

  encode(): Uint8Array {
    const { usedBytes, lastIno, nameCount, shared } = this.#scratch;
    const w = new ByteWriter(1024 + usedBytes).u32(lastIno).u32(nameCount);
    shared.encodePages(w);
    const indexes = writeNodes(w, this.#nodes());
    const open = [...this.descriptors];
    w.u32(open.length);
    for (const [fd, descriptor] of open) {
      writeDescriptor(w.u32(fd), descriptor, indexes);
    }
    return w.view();
  }

  /**
   * Gives the tenant what the call has written below "faasm://" and not closed; undefined when there is nothing.
   * @throws GuestFault  naming a file that cannot be stored
   */
  finish(): Promise<void> | undefined {
    const dirty = [...this.#scratch.shared.live.values()].filter(({ isDirty }) => isDirty);
    return dirty.length === 0 ? undefined : finishAll(dirty);
  }

  /** Everything that a descriptor leads to, each once. Without any, nothing can be reached any more. */
  #nodes(): Set<CallNode> {
    const found = new Set<CallNode>();
    for (const [, { target }] of this.descriptors) {
      if (target instanceof MemoryFile || target instanceof SharedFolder) {
        found.add(target);
      } else if (target instanceof MemoryFolder) {
        // From the top: what holds an open folder keeps it from being forgotten.
        found.add(topOf(target));
        found.add(target);
      }
    }
    for (const node of found) {
      if (node instanceof MemoryFolder) {
        for (const { node: below } of node.names.values()) {
          found.add(below);
        }
      }
    }
    return found;
  }
}

const WHY: Readonly<Record<number, string>> = {
  [Errno.stale]: "another call has replaced it",
  [Errno.fbig]: "it is larger than this host takes",
};

async function finishAll(files: readonly SharedFile[]): Promise<void> {
  for (const file of files) {
    await file.finish().catch((error: unknown) => {
      throw error instanceof WasiError
        ? new GuestFault(`faasm://${file.path} was left open and cannot be stored: ${WHY[error.errno] ?? `errno ${error.errno}`}`)
        : error;
    });
  }
}

function topOf(folder: MemoryFolder): MemoryFolder {
  let top = folder;
  while (top.parent !== null) {
    top = top.parent;
  }
  return top;
}

function writeDescriptor(w: ByteWriter, descriptor: Descriptor, indexes: ReadonlyMap<unknown, number>): void {
  const { target, preopen, rights, inheriting, flags, offset } = descriptor;
  const index = indexes.get(target) ?? NO_NODE;
  w.u32(index).u8(index === NO_NODE ? STREAMS.indexOf(target.kind as Stream) : 0);
  w.text(preopen ?? "")
    .u32(rights)
    .u32(inheriting)
    .u8(flags)
    .f64(offset);
}

function readDescriptors(r: ByteReader, nodes: readonly CallNode[]): Descriptors {
  const descriptors = new Descriptors();
  for (let left = r.u32(); left > 0; left--) {
    const fd = r.u32();
    const index = r.u32();
    const stream = STREAMS[r.u8()];
    const preopen = r.text();
    const rest = { rights: r.u32(), inheriting: r.u32(), flags: r.u8(), offset: r.f64() };
    const target = index === NO_NODE ? stream && { kind: stream } : nodes[index];
    if (target === undefined || target.kind === "link") {
      throw new RangeError("a descriptor leads to nothing that can be open");
    }
    descriptors.set(fd, { target, preopen: preopen === "" ? null : preopen, ...rest });
  }
  return descriptors;
}
