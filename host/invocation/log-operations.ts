/** Carries out a guest's log operations on the step stream of its attempt. */
import { crc32 } from "node:zlib";
import { seqNum } from "../../state/ids.ts";
import { Fenced, GuestLog, type GuestRead, type StepStream } from "../../state/protocols/index.ts";
import {
  logAppendArgs,
  logAppendReply,
  logReadArgs,
  logReadReply,
  logTailArgs,
  logTailReply,
  logTrimArgs,
} from "../abi/log-messages.ts";
import { GuestError, Operation } from "../abi/operations.ts";
import type { OperationReply } from "../sandbox/sandbox.ts";
import { plainReply } from "./object-operations.ts";
import type { StateMeter } from "./state-meter.ts";

const EMPTY = new Uint8Array(0);

/** Owns: the wait that is under way. Does not own: the order of operations (Attempt calls one at a time). */
export class LogOperations {
  readonly #log: GuestLog;
  readonly #waitMaxMs: number;
  readonly #meter: StateMeter;
  /** Made when a wait begins: most calls never wait. */
  #wait: AbortController | null = null;

  /** @param wallTimeMs  the call's limit, which every attempt has the same of: a guest waits for half of it at most */
  constructor(steps: StepStream, wallTimeMs: number, meter: StateMeter) {
    this.#meter = meter;
    this.#log = new GuestLog(steps);
    this.#waitMaxMs = Math.floor(wallTimeMs / 2);
  }

  /** @returns null when `operation` is not one of the log */
  perform(operation: number, args: Uint8Array): Promise<OperationReply> | null {
    switch (operation) {
      case Operation.logAppend:
        return this.#append(args);
      case Operation.logReadPrev:
      case Operation.logReadNext:
      case Operation.logAwaitNext:
        return this.#read(operation, args);
      case Operation.logTail:
        return this.#tail(args);
      case Operation.logTrim:
        return this.#trim(args);
      default:
        return null;
    }
  }

  /** The attempt was stopped: it no longer waits for records. */
  close(): void {
    this.#wait?.abort(new Fenced("closed", "the attempt was stopped"));
  }

  async #append(args: Uint8Array): Promise<OperationReply> {
    const append = logAppendArgs.decode(args);
    this.#meter.add(append.bytes.byteLength);
    const outcome = await this.#log.append({ ...append, crc: crc32(append.bytes) });
    const { kind, timeMs } = outcome;
    if (kind === "appended") {
      return { code: 0, timeMs, bytes: logAppendReply.encode({ seqnum: outcome.seqnum, length: 0, index: 0 }) };
    }
    const { winner, length, index } = outcome;
    return { code: GuestError[kind], timeMs, bytes: logAppendReply.encode({ seqnum: winner, length, index }) };
  }

  async #read(operation: Operation, args: Uint8Array): Promise<OperationReply> {
    const { tag, seqnum, timeoutMs } = logReadArgs.decode(args);
    switch (operation) {
      case Operation.logReadPrev:
        return readReply(await this.#log.readPrev(tag, seqNum(seqnum)));
      case Operation.logReadNext:
        return readReply(await this.#log.readNext(tag, seqNum(seqnum)));
      default: {
        const waitMs = Math.min(timeoutMs, this.#waitMaxMs);
        this.#wait = new AbortController();
        return readReply(await this.#log.awaitNext(tag, seqNum(seqnum), waitMs, this.#wait.signal));
      }
    }
  }

  async #tail(args: Uint8Array): Promise<OperationReply> {
    const tail = await this.#log.tail(logTailArgs.decode(args).tag);
    return { code: 0, timeMs: tail.timeMs, bytes: logTailReply.encode(tail) };
  }

  async #trim(args: Uint8Array): Promise<OperationReply> {
    const { tag, upTo } = logTrimArgs.decode(args);
    await this.#log.trim(tag === "" ? null : tag, seqNum(upTo));
    return plainReply(0);
  }
}

function readReply(read: GuestRead): OperationReply {
  const { timeMs } = read;
  switch (read.kind) {
    case "found":
      return { code: 0, timeMs, bytes: logReadReply.encode(read) };
    case "none":
      return plainReply(GuestError.notFound, timeMs);
    case "trimmed":
      return {
        code: GuestError.trimmed,
        timeMs,
        bytes: logReadReply.encode({ seqnum: read.upTo, closes: false, bytes: EMPTY }),
      };
  }
}
