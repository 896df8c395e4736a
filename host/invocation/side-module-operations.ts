/** Opens a guest's side modules: reads the shared file as any other, and has it prepared. */
import { seqNum } from "../../state/ids.ts";
import type { ObjectProtocol } from "../../state/protocols/index.ts";
import { FILES_PREFIX } from "../abi/file-messages.ts";
import { GuestError, Operation, sideModuleOpenArgs, sideModuleReadArgs } from "../abi/operations.ts";
import { SIDE_MODULE_MAX_BYTES } from "../modules/side-modules/index.ts";
import type { OperationReply } from "../sandbox/sandbox.ts";
import { plainReply, refuseOverflown } from "./object-operations.ts";

/** Of one reply, and of one read. */
const SLICE_BYTES = 1024 * 1024;
const NOTHING = new Uint8Array(0);

export class SideModuleOperations {
  readonly #objects: ObjectProtocol;
  readonly #prepare: (module: ArrayBuffer) => Promise<Uint8Array>;
  readonly #onMoved: (sizeBytes: number) => void;
  /** What was opened last. */
  #opened: Uint8Array = NOTHING;

  /** @param onMoved  told the sizes of what crosses between the guest's pool and the owner of the data */
  constructor(
    objects: ObjectProtocol,
    prepare: (module: ArrayBuffer) => Promise<Uint8Array>,
    onMoved: (sizeBytes: number) => void,
  ) {
    this.#objects = objects;
    this.#prepare = prepare;
    this.#onMoved = onMoved;
  }

  /** @returns null when `operation` is not one of side modules */
  perform(operation: number, args: Uint8Array): Promise<OperationReply> | null {
    switch (operation) {
      case Operation.sideModuleOpen:
        return this.#open(sideModuleOpenArgs.decode(args)).catch(refuseOverflown);
      case Operation.sideModuleRead:
        return Promise.resolve(this.#slice(sideModuleReadArgs.decode(args), 0));
      default:
        return null;
    }
  }

  async #open(path: string): Promise<OperationReply> {
    const key = FILES_PREFIX + path;
    const first = await this.#objects.read(key, 0, SLICE_BYTES);
    const { timeMs, version } = first;
    if (first.kind === "absent") {
      return plainReply(GuestError.notFound, timeMs);
    }
    const { sizeBytes } = first;
    if (sizeBytes > SIDE_MODULE_MAX_BYTES) {
      return plainReply(GuestError.tooLarge, timeMs);
    }
    const file = new Uint8Array(sizeBytes);
    file.set(first.bytes);
    for (let at = first.bytes.byteLength; at < sizeBytes; ) {
      const next = await this.#objects.read(key, at, SLICE_BYTES);
      if (next.kind === "absent" || seqNum(next.version) !== version || next.bytes.byteLength === 0) {
        return plainReply(GuestError.conflict, next.timeMs);
      }
      file.set(next.bytes, at);
      at += next.bytes.byteLength;
    }
    this.#opened = await this.#prepare(file.buffer);
    return this.#slice(0, timeMs);
  }

  #slice(offset: number, timeMs: number): OperationReply {
    const bytes = this.#opened.subarray(offset, offset + SLICE_BYTES);
    this.#onMoved(bytes.byteLength);
    return { code: this.#opened.byteLength, timeMs, bytes };
  }
}
