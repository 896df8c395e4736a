/**
 * What waits to be sent on one connection.
 *
 * Owns: batching and the count of bytes not yet given to the network. Does not own: what the frames mean.
 *
 * Q1. Frames leave in the order of `post`; those of one tick share a ws message while it stays below BATCH_BYTES. One with a tail has its own.
 * Q2. Requests begin in order, and only while fewer than HIGH_WATER_BYTES are unsent and fewer than MAX_UNANSWERED unanswered.
 */
import { joinFrames, type PackedFrame } from "./frames.ts";
import type { MessageSocket } from "./message-socket.ts";

const BATCH_BYTES = 64 * 1024;
/** Above it requests wait. */
export const HIGH_WATER_BYTES = 8 * 1024 * 1024;
/** Above it the other node evidently sends requests and does not read the answers. */
const UNREAD_MAX_BYTES = 256 * 1024 * 1024;

/** Requests of one node that the other may have before it. */
export const MAX_UNANSWERED = 16_384;

export class SendQueue {
  readonly #socket: MessageSocket;
  readonly #onUnread: () => void;
  #batch: Buffer[] = [];
  #batchBytes = 0;
  #unsentBytes = 0;
  #unanswered = 0;
  #waiting: (() => void)[] = [];
  #bulk: (() => void)[] = [];
  #scheduled = false;

  /** @param onUnread  called when so much waits that the other node cannot be reading */
  constructor(socket: MessageSocket, onUnread: () => void) {
    this.#socket = socket;
    this.#onUnread = onUnread;
  }

  post({ head, tail }: PackedFrame): void {
    this.#unsentBytes += head.length + (tail?.byteLength ?? 0);
    if (tail !== null) {
      this.#flush();
      this.#socket.send(head, { binary: true, fin: false });
      this.#send(tail, head.length + tail.byteLength);
    } else {
      this.#batch.push(head);
      this.#batchBytes += head.length;
    }
    if (this.#batchBytes >= BATCH_BYTES) {
      this.#flush();
    } else if (this.#batchBytes > 0 && !this.#scheduled) {
      this.#scheduled = true;
      process.nextTick(() => {
        this.#scheduled = false;
        this.#flush();
      });
    }
    if (this.#unsentBytes > UNREAD_MAX_BYTES) {
      this.#onUnread();
    }
  }

  /** Calls `send`, which posts a request, now or when there is room. */
  request(send: () => void): void {
    this.#waiting.push(send);
    this.#pump();
  }

  /** A request was answered. */
  answered(): void {
    this.#unanswered--;
    this.#pump();
  }

  /** Resolves when there is room for another large answer, or nothing is sent any more. */
  room(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#bulk.push(resolve);
    this.#pump();
    return promise;
  }

  /** Forgets what was not sent. */
  discard(): void {
    this.#batch = [];
    this.#batchBytes = 0;
    this.#waiting = [];
    for (const resolve of this.#bulk.splice(0)) {
      resolve();
    }
  }

  #pump(): void {
    if (this.#unsentBytes < HIGH_WATER_BYTES) {
      for (const resolve of this.#bulk.splice(0)) {
        resolve();
      }
    }
    while (this.#unsentBytes < HIGH_WATER_BYTES && this.#unanswered < MAX_UNANSWERED) {
      const send = this.#waiting.shift();
      if (send === undefined) {
        return;
      }
      this.#unanswered++;
      send();
    }
  }

  #flush(): void {
    const sizeBytes = this.#batchBytes;
    if (sizeBytes === 0) {
      return;
    }
    const message = joinFrames(this.#batch);
    this.#batch = [];
    this.#batchBytes = 0;
    this.#send(message, sizeBytes);
  }

  /** The last part of a message. @param sizeBytes of what counts as unsent until it is */
  #send(part: Uint8Array, sizeBytes: number): void {
    this.#socket.send(part, { binary: true, fin: true }, () => {
      this.#unsentBytes -= sizeBytes;
      this.#pump();
    });
  }
}
