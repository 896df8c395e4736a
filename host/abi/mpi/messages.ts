/**
 * Messages between this rank and the others of its world.
 *
 * Owns: which message goes into which receive, and what is on its way. Does not own: what a rank, a communicator or a type is to the guest;
 * how frames get to other ranks (the host's main thread, `Operation.mpiSend` and `mpiTake`).
 *
 * M1. Messages of one rank in one context are received in the order in which they were sent, as far as the receives take them.
 * M2. A message that its receiver has not asked for is kept there only while all such messages of one sender have at most EAGER_WINDOW_BYTES;
 *     any other one waits at its sender, in the guest's memory, until there is a receive for it.
 * M3. What was granted and has not come is at most GRANTED_MAX_BYTES. So what the main thread keeps for a rank is bounded.
 * M4. Only a rank that is in a call of MPI takes or gives anything, and one that waits goes on with all that it has begun.
 */
import { ByteWriter } from "../../../state/bytes.ts";
import { type Guest, GuestFault } from "../../sandbox/guest.ts";
import { mpiTakeArgs, mpiTakeReply, Operation } from "../operations.ts";
import { request } from "../requests.ts";
import { decodeFrame, encodeFrame, FRAME_OVERHEAD_BYTES, type Frame } from "./frames.ts";

export const EAGER_MAX_BYTES = 32 * 1024;
const EAGER_WINDOW_BYTES = 256 * 1024;
const GRANT_BYTES = 512 * 1024;
const GRANTED_MAX_BYTES = 4 * 1024 * 1024;
const PIECE_BYTES = 64 * 1024;

export const ANY = -1;

/** Bytes that a message comes from or goes to. A view is valid until the guest runs again. */
export interface Span {
  readonly sizeBytes: number;
  view(offset: number, length: number): Uint8Array;
}

export function spanOf(bytes: Uint8Array): Span {
  return { sizeBytes: bytes.byteLength, view: (offset, length) => bytes.subarray(offset, offset + length) };
}

export const NO_BYTES = spanOf(new Uint8Array(0));

/** A send or a receive that has begun. */
export interface Transfer {
  isDone: boolean;
}

export interface Send extends Transfer {
  readonly kind: "send";
  readonly to: number;
  readonly span: Span;
  sentBytes: number;
}

export interface Receive extends Transfer {
  readonly kind: "receive";
  readonly context: number;
  /** Ranks of the world, or ANY. */
  readonly source: number;
  readonly tag: number;
  readonly span: Span;
  /** Of the message that it gets; `from` is ANY before. */
  from: number;
  messageTag: number;
  sizeBytes: number;
  receivedBytes: number;
  grantedBytes: number;
  /** By which its sender knows the message, and by which this rank does. */
  sender: number;
  receiver: number;
}

/** A message that no receive has taken yet. */
export interface Arrived {
  readonly context: number;
  readonly from: number;
  readonly tag: number;
  readonly sizeBytes: number;
  readonly content: { readonly kind: "bytes"; readonly bytes: Uint8Array } | { readonly kind: "offer"; readonly sender: number };
}

export class Messages {
  readonly rank: number;
  readonly size: number;
  /** What the guest is in, for messages of faults. */
  call = "MPI";
  readonly #guest: Guest;
  /** To this rank itself. */
  readonly #own: Frame[] = [];
  readonly #expected: Receive[] = [];
  readonly #unexpected: Arrived[] = [];
  readonly #sends = new Map<number, Send>();
  readonly #receives = new Map<number, Receive>();
  /** Of eager messages, by receiver: what it has not told to have received. */
  readonly #unreceived: number[];
  /** By sender: what it was not told to be received. */
  readonly #owed: number[];
  #lastId = 0;
  /** What was granted and has not come. */
  #grantedBytes = 0;
  readonly #ungranted: Receive[] = [];

  constructor(guest: Guest, rank: number, size: number) {
    this.#guest = guest;
    this.rank = rank;
    this.size = size;
    this.#unreceived = Array.from({ length: size }, () => 0);
    this.#owed = Array.from({ length: size }, () => 0);
  }

  fault(text: string): GuestFault {
    return new GuestFault(`${this.call} (rank ${this.rank} of ${this.size}): ${text}`);
  }

  /** @param to  rank of the world. @param isSynchronous  it is done only when its receiver has begun to receive it */
  async send(span: Span, to: number, context: number, tag: number, isSynchronous = false): Promise<Send> {
    const send: Send = { kind: "send", to, span, sentBytes: 0, isDone: false };
    const { sizeBytes } = span;
    const unreceived = (this.#unreceived[to] ?? 0) + sizeBytes + FRAME_OVERHEAD_BYTES;
    if (!isSynchronous && sizeBytes <= EAGER_MAX_BYTES && unreceived <= EAGER_WINDOW_BYTES) {
      this.#unreceived[to] = unreceived;
      await this.#post(to, { kind: "eager", context, tag, bytes: span.view(0, sizeBytes) });
      send.isDone = true;
    } else {
      const sender = this.#nextId();
      this.#sends.set(sender, send);
      await this.#post(to, { kind: "offer", context, tag, sender, sizeBytes });
    }
    return send;
  }

  /** @param source  rank of the world, or ANY */
  async receive(span: Span, source: number, context: number, tag: number): Promise<Receive> {
    const receive: Receive = {
      ...{ kind: "receive", context, source, tag, span, isDone: false },
      ...{ from: ANY, messageTag: ANY, sizeBytes: 0, receivedBytes: 0, grantedBytes: 0, sender: 0, receiver: 0 },
    };
    const at = this.#unexpected.findIndex((arrived) => fits(receive, arrived));
    const [arrived] = at < 0 ? [] : this.#unexpected.splice(at, 1);
    if (arrived === undefined) {
      this.#expected.push(receive);
    } else {
      await this.#match(receive, arrived);
    }
    return receive;
  }

  /** The first message that such a receive would get; null when there is none yet. */
  find(source: number, context: number, tag: number): Arrived | null {
    return this.#unexpected.find((arrived) => fits({ source, context, tag }, arrived)) ?? null;
  }

  /** Takes what has come; `waits`: until something has. @throws GuestFault, and whatever the host ends the call with */
  async progress(waits: boolean): Promise<void> {
    const own = this.#own.splice(0);
    for (const frame of own) {
      await this.#take(this.rank, frame);
    }
    if (own.length > 0) {
      return;
    }
    if (this.size === 1) {
      if (waits) {
        throw this.fault("it waits for a message that nobody can send any more");
      }
      return;
    }
    const { bytes } = await request(this.#guest, Operation.mpiTake, mpiTakeArgs.encode(waits));
    for (const { from, frame } of mpiTakeReply.decode(bytes)) {
      await this.#take(from, decodeFrame(frame));
    }
  }

  async wait(transfers: readonly Transfer[]): Promise<void> {
    while (transfers.some(({ isDone }) => !isDone)) {
      await this.progress(true);
    }
  }

  async #take(from: number, frame: Frame): Promise<void> {
    switch (frame.kind) {
      case "eager": {
        const { context, tag, bytes } = frame;
        await this.#arrive({ context, from, tag, sizeBytes: bytes.byteLength, content: { kind: "bytes", bytes } });
        break;
      }
      case "offer": {
        const { context, tag, sender, sizeBytes } = frame;
        await this.#arrive({ context, from, tag, sizeBytes, content: { kind: "offer", sender } });
        break;
      }
      case "grant":
        await this.#granted(frame);
        break;
      case "data":
        await this.#receivePiece(frame.receiver, frame.offset, frame.bytes);
        break;
      case "credit":
        this.#unreceived[from] = (this.#unreceived[from] ?? 0) - frame.sizeBytes;
        break;
    }
  }

  async #arrive(arrived: Arrived): Promise<void> {
    const at = this.#expected.findIndex((receive) => fits(receive, arrived));
    const [receive] = at < 0 ? [] : this.#expected.splice(at, 1);
    if (receive !== undefined) {
      await this.#match(receive, arrived);
    } else if (arrived.content.kind === "bytes") {
      // The bytes are a piece of what has come with them.
      const bytes = new Uint8Array(arrived.content.bytes);
      this.#unexpected.push({ ...arrived, content: { kind: "bytes", bytes } });
    } else {
      this.#unexpected.push(arrived);
    }
  }

  async #match(receive: Receive, { from, tag, sizeBytes, content }: Arrived): Promise<void> {
    if (sizeBytes > receive.span.sizeBytes) {
      const room = receive.span.sizeBytes;
      throw this.fault(`the message of rank ${from} with tag ${tag} is ${sizeBytes} bytes, the room for it is ${room}`);
    }
    receive.from = from;
    receive.messageTag = tag;
    receive.sizeBytes = sizeBytes;
    if (content.kind === "bytes") {
      receive.span.view(0, sizeBytes).set(content.bytes);
      receive.isDone = true;
      await this.#credit(from, sizeBytes + FRAME_OVERHEAD_BYTES);
      return;
    }
    receive.sender = content.sender;
    if (sizeBytes === 0) {
      receive.isDone = true;
      await this.#post(from, { kind: "grant", sender: content.sender, receiver: 0, upTo: 0 });
      return;
    }
    receive.receiver = this.#nextId();
    this.#receives.set(receive.receiver, receive);
    this.#ungranted.push(receive);
    await this.#grant();
  }

  async #credit(from: number, sizeBytes: number): Promise<void> {
    const owed = (this.#owed[from] ?? 0) + sizeBytes;
    const isDue = owed >= EAGER_WINDOW_BYTES / 4;
    this.#owed[from] = isDue ? 0 : owed;
    if (isDue) {
      await this.#post(from, { kind: "credit", sizeBytes: owed });
    }
  }

  /** Gives room to those that wait for it, as far as there is some. */
  async #grant(): Promise<void> {
    while (this.#grantedBytes < GRANTED_MAX_BYTES) {
      const receive = this.#ungranted.shift();
      if (receive === undefined) {
        return;
      }
      const more = Math.min(GRANT_BYTES, receive.sizeBytes - receive.grantedBytes);
      receive.grantedBytes += more;
      this.#grantedBytes += more;
      const { from, sender, receiver, grantedBytes: upTo } = receive;
      await this.#post(from, { kind: "grant", sender, receiver, upTo });
    }
  }

  async #granted({ sender, receiver, upTo }: Extract<Frame, { kind: "grant" }>): Promise<void> {
    const send = this.#sends.get(sender);
    if (send === undefined) {
      return;
    }
    const { to, span } = send;
    while (send.sentBytes < Math.min(upTo, span.sizeBytes)) {
      const offset = send.sentBytes;
      const length = Math.min(PIECE_BYTES, upTo - offset);
      send.sentBytes += length;
      await this.#post(to, { kind: "data", receiver, offset, bytes: span.view(offset, length) });
    }
    if (send.sentBytes === span.sizeBytes) {
      this.#sends.delete(sender);
      send.isDone = true;
    }
  }

  async #receivePiece(receiver: number, offset: number, bytes: Uint8Array): Promise<void> {
    const receive = this.#receives.get(receiver);
    if (receive === undefined || offset + bytes.byteLength > receive.sizeBytes) {
      throw this.fault("a piece of a message came that nobody waits for");
    }
    receive.span.view(offset, bytes.byteLength).set(bytes);
    receive.receivedBytes += bytes.byteLength;
    this.#grantedBytes -= bytes.byteLength;
    if (receive.receivedBytes === receive.sizeBytes) {
      this.#receives.delete(receiver);
      receive.isDone = true;
    } else if (receive.grantedBytes < receive.sizeBytes && isHalfUsed(receive) && !this.#ungranted.includes(receive)) {
      this.#ungranted.push(receive);
    }
    await this.#grant();
  }

  async #post(to: number, frame: Frame): Promise<void> {
    if (to === this.rank) {
      this.#own.push("bytes" in frame ? { ...frame, bytes: new Uint8Array(frame.bytes) } : frame);
      return;
    }
    const sizeBytes = "bytes" in frame ? frame.bytes.byteLength : 0;
    const w = new ByteWriter(FRAME_OVERHEAD_BYTES + sizeBytes).u16(to);
    await this.#guest.post(Operation.mpiSend, encodeFrame(frame, w).view());
  }

  #nextId(): number {
    this.#lastId = (this.#lastId + 1) >>> 0;
    return this.#lastId;
  }
}

function isHalfUsed({ grantedBytes, receivedBytes }: Receive): boolean {
  return grantedBytes - receivedBytes <= GRANT_BYTES / 2;
}

function fits(wanted: Pick<Receive, "context" | "source" | "tag">, arrived: Arrived): boolean {
  return (
    wanted.context === arrived.context &&
    (wanted.source === ANY || wanted.source === arrived.from) &&
    (wanted.tag === ANY || wanted.tag === arrived.tag)
  );
}
