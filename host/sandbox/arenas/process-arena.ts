/**
 * A memory for regions in a tenant's process, as the main thread of the host sees it: what it does there it asks for, and what it gets is
 * that tenant's word about that tenant's bytes.
 *
 * 1. Every request is settled: by its answer, or by the end of the process.
 */
import { NeapError } from "../../../state/errors.ts";
import type { ArenaMemory } from "../../../state/regions/index.ts";
import type { OutgoingFrame } from "../frames/carrier.ts";
import { ArenaAction, EMPTY, type Frame, FrameType } from "../frames/protocol.ts";

interface Request {
  /** Bytes that the answer has. */
  readonly sizeBytes: number;
  readonly settle: (answer: Pick<Frame, "a" | "body">) => void;
  readonly fail: (error: Error) => void;
}

/** What is under way in the memories of a process. */
export class ArenaRequests {
  readonly #send: (frame: OutgoingFrame) => void;
  readonly #open = new Map<number, Request>();
  #count = 0;

  constructor(send: (frame: OutgoingFrame) => void) {
    this.#send = send;
  }

  /** @throws RangeError  there was no memory for it. OVERLOADED  the process is gone */
  ask(frame: Omit<OutgoingFrame, "type" | "call">, sizeBytes: number): Promise<Pick<Frame, "a" | "body">> {
    this.#count = (this.#count + 1) | 0;
    const call = this.#count;
    return new Promise((settle, fail) => {
      this.#open.set(call, { sizeBytes, settle, fail });
      this.#send({ ...frame, type: FrameType.arenaRequest, call });
    });
  }

  /** Returns what is wrong with the answer; undefined when all is well. */
  answered({ call, code, a, body }: Frame): string | undefined {
    const request = this.#open.get(call);
    this.#open.delete(call);
    if (request === undefined) {
      return "an answer that nobody waits for";
    }
    if (code === 0 && body.byteLength !== request.sizeBytes) {
      request.fail(gone());
      return `an answer of ${body.byteLength} bytes in place of ${request.sizeBytes}`;
    }
    if (code === 0) {
      request.settle({ a, body });
    } else {
      request.fail(new RangeError("the process has no memory for regions"));
    }
    return undefined;
  }

  end(): void {
    for (const { fail } of this.#open.values()) {
      fail(gone());
    }
    this.#open.clear();
  }
}

export class ProcessArena implements ArenaMemory {
  /** Names the memory in its process. */
  readonly number: number;
  readonly #send: (frame: OutgoingFrame) => void;
  readonly #requests: ArenaRequests;
  #isGone = false;

  constructor(number: number, maxPages: number, send: (frame: OutgoingFrame) => void, requests: ArenaRequests) {
    this.number = number;
    this.#send = send;
    this.#requests = requests;
    send({ type: FrameType.arenaCreate, a: number, b: maxPages });
  }

  async grow(pages: number): Promise<void> {
    await this.#ask(ArenaAction.grow, 0, pages);
  }

  enter(handle: number, word: bigint): void {
    const body = Buffer.alloc(BigInt64Array.BYTES_PER_ELEMENT);
    body.writeBigInt64LE(word);
    this.#send({ type: FrameType.arenaRequest, code: ArenaAction.enter, a: this.number, x: handle, body });
  }

  async clear(from: number, to: number): Promise<void> {
    await this.#ask(ArenaAction.clear, from, to - from);
  }

  async read(address: number, length: number): Promise<Uint8Array> {
    return (await this.#ask(ArenaAction.read, address, length, EMPTY, length)).body;
  }

  async write(address: number, bytes: Uint8Array): Promise<void> {
    await this.#ask(ArenaAction.write, address, bytes.byteLength, bytes);
  }

  async load(address: number): Promise<number> {
    return (await this.#ask(ArenaAction.load, address, 0)).a;
  }

  /** No attempt will reach it any more. */
  drop(): void {
    this.#send({ type: FrameType.arenaDrop, a: this.number });
  }

  processEnded(): void {
    this.#isGone = true;
  }

  async #ask(code: number, x: number, y: number, body: Uint8Array = EMPTY, sizeBytes = 0): Promise<Pick<Frame, "a" | "body">> {
    if (this.#isGone) {
      throw gone();
    }
    return this.#requests.ask({ code, a: this.number, x, y, body }, sizeBytes);
  }
}

/** Passes by: the call is run again, and finds out then that its regions are gone. */
function gone(): NeapError {
  return new NeapError("OVERLOADED", "the process of the tenant that held its memory regions has ended");
}
