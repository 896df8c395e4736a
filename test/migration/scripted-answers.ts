/** Answers what `assembly/wanderer.ts` asks for, as a host with a small fixed state would, and remembers what it was asked to do. */
import { createHash } from "node:crypto";
import {
  callAwaitReply,
  callOutputArgs,
  lockReply,
  Operation,
  objectReadArgs,
  objectReadReply,
} from "../../host/abi/operations.ts";
import type { OperationReply } from "../../host/sandbox/index.ts";

/** More than one read brings, and more than one message carries. */
const LONG = Buffer.alloc(2_500_000, "neap tide ");
/** More than the room that the SDK offers first. */
const CALLED = Buffer.alloc(1_300_000, "called ");
const OUTPUT_SLICE_BYTES = 1024 * 1024;
const EMPTY = new Uint8Array(0);

export class ScriptedAnswers {
  /** What was done, in order: equal histories are equal lists. */
  readonly done: string[] = [];
  #timeMs = 1_000;

  perform(operation: number, args: Uint8Array): OperationReply {
    this.done.push(`${operation} ${createHash("sha256").update(args).digest("base64url")}`);
    this.#timeMs += 1;
    return { timeMs: this.#timeMs, ...this.#answer(operation, args) };
  }

  #answer(operation: number, args: Uint8Array): Omit<OperationReply, "timeMs"> {
    switch (operation) {
      case Operation.objectRead: {
        const { key, offset, maxBytes } = objectReadArgs.decode(args);
        const value = contentOf(key);
        return value === null
          ? { code: -1, bytes: EMPTY }
          : { code: 0, bytes: objectReadReply.encode(value.byteLength, 7, value.subarray(offset, offset + maxBytes)).slice() };
      }
      case Operation.lock:
        return { code: 1, bytes: lockReply.encode(2 ** 40 + 5).slice() };
      case Operation.callAwait: {
        const slice = CALLED.subarray(0, OUTPUT_SLICE_BYTES);
        return { code: 0, bytes: callAwaitReply.encode(0, CALLED.byteLength, slice).slice() };
      }
      case Operation.callOutput: {
        const { offset } = callOutputArgs.decode(args);
        return { code: 0, bytes: Uint8Array.from(CALLED.subarray(offset, offset + OUTPUT_SLICE_BYTES)) };
      }
      default:
        return { code: 0, bytes: EMPTY };
    }
  }
}

function contentOf(key: string): Uint8Array | null {
  if (key === "long") {
    return LONG;
  }
  if (key === "word/1" || key === "cell/3") {
    return null;
  }
  const digest = createHash("sha256").update(key).digest();
  return Buffer.from(key.startsWith("word/") ? `w${digest.toString("hex", 0, 3)}` : String(digest.readUInt16LE() / 4096));
}
