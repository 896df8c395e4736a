/** Opens a guest's side modules: reads the shared file as any other, and has it prepared. */
import type { ObjectProtocol } from "../../state/protocols/index.ts";
import { FILES_PREFIX } from "../abi/file-messages.ts";
import { GuestError, Operation, sideModuleOpenArgs, sideModuleReadArgs } from "../abi/operations.ts";
import { SIDE_MODULE_MAX_BYTES } from "../modules/side-modules/index.ts";
import type { OperationReply } from "../sandbox/sandbox.ts";
import { plainReply, refuseOverflown } from "./object-operations.ts";

/** Of one reply, and of one read. */
const SLICE_BYTES = 1024 * 1024;
const NOTHING = new Uint8Array(0);

/** As `Functions.sideModule`. */
type PrepareSideModule = (read: () => Promise<ArrayBuffer | null>) => Promise<Uint8Array | null>;

export class SideModuleOperations {
  readonly #objects: ObjectProtocol;
  readonly #prepare: PrepareSideModule;
  readonly #onMoved: (sizeBytes: number) => void;
  /** What was opened last. */
  #opened: Uint8Array = NOTHING;

  /** @param onMoved  told the sizes of what crosses between the guest's pool and the owner of the data */
  constructor(objects: ObjectProtocol, prepare: PrepareSideModule, onMoved: (sizeBytes: number) => void) {
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
    let reply = plainReply(0);
    const opened = await this.#prepare(async () => {
      const read = await this.#file(FILES_PREFIX + path);
      reply = read.reply;
      return read.file;
    });
    if (opened === null) {
      return reply;
    }
    this.#opened = opened;
    return this.#slice(0, reply.timeMs);
  }

  /** `file`: null when `reply` refuses it. */
  async #file(key: string): Promise<{ readonly file: ArrayBuffer | null; readonly reply: OperationReply }> {
    const refused = (code: number, timeMs: number) => ({ file: null, reply: plainReply(code, timeMs) });
    const first = await this.#objects.read(key, 0, SLICE_BYTES);
    const { timeMs, version } = first;
    if (first.kind === "absent") {
      return refused(GuestError.notFound, timeMs);
    }
    const { sizeBytes } = first;
    if (sizeBytes > SIDE_MODULE_MAX_BYTES) {
      return refused(GuestError.tooLarge, timeMs);
    }
    const file = new Uint8Array(sizeBytes);
    file.set(first.bytes);
    for (let at = first.bytes.byteLength; at < sizeBytes; ) {
      const next = await this.#objects.read(key, at, SLICE_BYTES);
      if (next.kind === "absent" || next.version !== version || next.bytes.byteLength === 0) {
        return refused(GuestError.conflict, next.timeMs);
      }
      file.set(next.bytes, at);
      at += next.bytes.byteLength;
    }
    return { file: file.buffer, reply: plainReply(0, timeMs) };
  }

  #slice(offset: number, timeMs: number): OperationReply {
    const bytes = this.#opened.subarray(offset, offset + SLICE_BYTES);
    this.#onMoved(bytes.byteLength);
    return { code: this.#opened.byteLength, timeMs, bytes };
  }
}
