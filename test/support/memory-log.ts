/** The log operations of a host that keeps all in memory: one attempt at a time, nothing is run again. */
import {
  logAppendArgs,
  logAppendReply,
  logReadArgs,
  logReadReply,
  logTailArgs,
  logTailReply,
  logTrimArgs,
} from "../../host/abi/log-messages.ts";
import { GuestError, Operation } from "../../host/abi/operations.ts";

interface MemoryRecord {
  readonly seqnum: number;
  readonly tags: readonly string[];
  readonly bytes: Uint8Array;
  readonly closes: boolean;
}

interface Answer {
  readonly code: number;
  readonly bytes: Uint8Array;
}

const NOTHING = new Uint8Array(0);

export class MemoryLog {
  readonly records: MemoryRecord[] = [];
  readonly #gone = new Map<string, number>();
  #goneAll = 0;

  texts(tag: string): string[] {
    return this.#stream(tag).map(({ bytes }) => Buffer.from(bytes).toString());
  }

  /** @returns null when it is not an operation of the log */
  perform(operation: number, args: Uint8Array): Answer | null {
    switch (operation) {
      case Operation.logAppend:
        return this.#append(args);
      case Operation.logReadPrev: {
        const { tag, seqnum } = logReadArgs.decode(args);
        const found = this.#stream(tag).findLast((one) => one.seqnum <= seqnum);
        const isGone = found === undefined ? seqnum <= this.#goneUpTo(tag) : found.seqnum <= this.#goneUpTo(tag);
        return this.#read(tag, found, isGone);
      }
      case Operation.logReadNext:
      case Operation.logAwaitNext: {
        const { tag, seqnum } = logReadArgs.decode(args);
        const found = this.#stream(tag).find((one) => one.seqnum >= seqnum);
        return this.#read(tag, found, seqnum <= this.#goneUpTo(tag));
      }
      case Operation.logTail: {
        const { tag } = logTailArgs.decode(args);
        const stream = this.#stream(tag);
        const last = stream.at(-1)?.seqnum ?? 0;
        const closed = stream.some(({ closes }) => closes);
        return { code: 0, bytes: logTailReply.encode({ length: stream.length, last, goneUpTo: this.#goneUpTo(tag), closed }) };
      }
      case Operation.logTrim: {
        const { tag, upTo } = logTrimArgs.decode(args);
        const capped = Math.min(upTo, this.records.length);
        if (tag === "") {
          this.#goneAll = Math.max(this.#goneAll, capped);
        } else {
          this.#gone.set(tag, Math.max(this.#gone.get(tag) ?? 0, capped));
        }
        return { code: 0, bytes: NOTHING };
      }
      default:
        return null;
    }
  }

  #append(args: Uint8Array): Answer {
    const { tags, when, closes, bytes } = logAppendArgs.decode(args);
    const refused = (code: number, seqnum: number, length: number, index: number): Answer => ({
      code,
      bytes: logAppendReply.encode({ seqnum, length, index }),
    });
    for (const [index, tag] of [...when.map((one) => one.tag), ...tags].entries()) {
      const stream = this.#stream(tag);
      const condition = when[index];
      const last = stream.at(-1);
      if (last?.closes === true) {
        return refused(GuestError.closed, last.seqnum, 0, index);
      }
      if (condition?.by === "length" && stream.length < condition.value) {
        return refused(GuestError.gap, 0, stream.length, index);
      }
      if (condition?.by === "length" && stream.length > condition.value) {
        return refused(GuestError.conflict, stream[condition.value]?.seqnum ?? 0, 0, index);
      }
      if (condition?.by === "last" && (last?.seqnum ?? 0) !== condition.value) {
        return refused(GuestError.conflict, last?.seqnum ?? 0, 0, index);
      }
    }
    const seqnum = this.records.length + 1;
    this.records.push({ seqnum, tags, bytes: Uint8Array.from(bytes), closes });
    return { code: 0, bytes: logAppendReply.encode({ seqnum, length: 0, index: 0 }) };
  }

  #read(tag: string, found: MemoryRecord | undefined, isGone: boolean): Answer {
    if (isGone && this.#goneUpTo(tag) > 0) {
      return {
        code: GuestError.trimmed,
        bytes: logReadReply.encode({ seqnum: this.#goneUpTo(tag), closes: false, bytes: NOTHING }),
      };
    }
    return found === undefined ? { code: GuestError.notFound, bytes: NOTHING } : { code: 0, bytes: logReadReply.encode(found) };
  }

  #stream(tag: string): MemoryRecord[] {
    return this.records.filter(({ tags }) => tags.includes(tag));
  }

  #goneUpTo(tag: string): number {
    return Math.max(this.#goneAll, this.#gone.get(tag) ?? 0);
  }
}
