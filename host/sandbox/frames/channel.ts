/**
 * Flat binary messages between the main thread and one worker, in both directions (H11).
 *
 * Owns: the layout of a frame in the ring, bodies too large for it (attachments), what happens when the ring is full, and the control
 * word, by which the worker's preemptible guests see that frames wait.
 *
 * 1. Messages arrive in the order they were sent, whatever their size: an attachment is posted before the frame that refers to it.
 * 2. The worker's side waits for room, the main thread's side never blocks: it keeps what does not fit and sends it later.
 * 3. A received body is a copy, whose buffer other bodies may share, unless it was in shared memory before: nothing outside this file
 *    points into a ring.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import { invariant } from "../../../state/errors.ts";
import type { ExecutorChannel, HostChannel, OutgoingFrame, Transfer } from "./carrier.ts";
import { ControlWord } from "./control-word.ts";
import { blankFrame, EMPTY, type Frame, type FrameType } from "./protocol.ts";
import { createRing, RingReader, RingWriter } from "./ring.ts";
import { isShared, SHARED_MIN_BYTES } from "./shared-bytes.ts";

const RING_BYTES = 1024 * 1024;
/** Larger bodies travel beside the ring. */
const INLINE_MAX_BYTES = SHARED_MIN_BYTES;
/** total bytes, type | attached | code, call, attempt, a, b, c, body bytes, x (f64), y (f64), z (f64) */
const HEADER_BYTES = 56;
const ATTACHED = 0x100;
/** Bodies up to this size share a slab: a buffer of its own costs ten times the copy. */
const SLAB_BODY_MAX_BYTES = 2048;
const SLAB_BYTES = 32 * 1024;

/** What a worker needs to open its side. Goes through `workerData`, with `port` transferred. */
export interface ChannelEnd {
  readonly toWorker: SharedArrayBuffer;
  readonly toMain: SharedArrayBuffer;
  readonly port: MessagePort;
  readonly control: WebAssembly.Memory;
}

/** The two ends of a new channel: the second goes to the worker. */
export function createChannel(): { main: Channel; workerEnd: ChannelEnd } {
  const { port1, port2 } = new MessageChannel();
  const toWorker = createRing(RING_BYTES);
  const toMain = createRing(RING_BYTES);
  const control = new ControlWord();
  const workerEnd = { toWorker, toMain, port: port2, control: control.memory };
  return { main: new Channel(toWorker, toMain, port1, control, false), workerEnd };
}

export function openWorkerEnd(end: ChannelEnd): Channel {
  return new Channel(end.toMain, end.toWorker, end.port, new ControlWord(end.control), true);
}

export class Channel implements HostChannel, ExecutorChannel {
  readonly #out: RingWriter;
  readonly #in: RingReader;
  readonly #port: MessagePort;
  readonly control: ControlWord;
  readonly #mayBlock: boolean;
  /** Frames that did not fit, with their bodies copied or attached. */
  #backlog: OutgoingFrame[] = [];
  #closed = false;
  #slab = new Uint8Array(SLAB_BYTES);
  #slabUsed = 0;
  /** The main thread wakes a sleeping worker at the end of its turn. See docs/decisions/0013-wake-ups.md. */
  #wakes = false;
  readonly #wake = (): void => {
    this.#wakes = false;
    this.#out.wake();
  };
  readonly #frame: Frame = blankFrame();

  constructor(
    outgoing: SharedArrayBuffer,
    incoming: SharedArrayBuffer,
    port: MessagePort,
    control: ControlWord,
    mayBlock: boolean,
  ) {
    this.#out = new RingWriter(outgoing);
    this.#in = new RingReader(incoming);
    this.#port = port;
    this.control = control;
    this.#mayBlock = mayBlock;
  }

  /**
   * Sends at once, or, with a full ring, as soon as the other side has made room. `body` and `tail` arrive as one body. A large body in
   * shared memory is not copied.
   */
  send(frame: OutgoingFrame): void {
    const bodyBytes = (frame.body?.byteLength ?? 0) + (frame.tail?.byteLength ?? 0);
    if (this.#closed) {
      return;
    }
    if (bodyBytes > INLINE_MAX_BYTES) {
      const { body = EMPTY } = frame;
      if (isShared(body) && body.byteLength === bodyBytes) {
        this.sendAttached(frame, body);
      } else {
        const whole = joined(frame);
        this.sendAttached(frame, whole, [whole.buffer as ArrayBuffer]);
      }
    } else if (this.#backlog.length > 0) {
      this.#backlog.push({ ...frame, body: joined(frame), tail: EMPTY });
    } else if (!this.#write(frame, bodyBytes, 0)) {
      this.#sendLater({ ...frame, body: joined(frame), tail: EMPTY });
    }
  }

  sendAttached(frame: OutgoingFrame, attachment: unknown, transfer: Transfer = []): void {
    this.#port.postMessage(attachment, transfer);
    const bare = { ...frame, body: ATTACHMENT, tail: EMPTY };
    if (this.#backlog.length > 0) {
      this.#backlog.push(bare);
    } else if (!this.#write(bare, 0, ATTACHED)) {
      this.#sendLater(bare);
    }
  }

  sendPort(frame: OutgoingFrame, port: MessagePort): void {
    this.sendAttached(frame, port, [port]);
  }

  receive(): Frame | undefined {
    const offset = this.#closed ? -1 : this.#in.next();
    if (offset < 0) {
      return undefined;
    }
    const { words, floats } = this.#in;
    const frame = this.#frame;
    const w = offset >> 2;
    const totalBytes = words[w] as number;
    const kind = words[w + 1] as number;
    frame.type = (kind & 0xff) as FrameType;
    frame.code = kind >>> 16;
    frame.call = words[w + 2] as number;
    frame.attempt = words[w + 3] as number;
    frame.a = words[w + 4] as number;
    frame.b = words[w + 5] as number;
    frame.c = words[w + 6] as number;
    const bodyBytes = words[w + 7] as number;
    const f = (offset >> 3) + 4;
    frame.x = floats[f] as number;
    frame.y = floats[f + 1] as number;
    frame.z = floats[f + 2] as number;
    frame.body = bodyBytes === 0 ? EMPTY : this.#copy(offset + HEADER_BYTES, bodyBytes);
    frame.attachment = undefined;
    this.#in.release(totalBytes);
    if ((kind & ATTACHED) !== 0) {
      this.#takeAttachment(frame);
    }
    return frame;
  }

  /** Blocks until a message may be there. */
  sleep(isOwed: boolean): boolean {
    this.#in.sleep(isOwed);
    return false;
  }

  sleepAsync(wake: () => void): boolean {
    const woken = this.#in.sleepAsync();
    woken?.then(wake);
    return woken !== undefined;
  }

  interrupt(): void {
    this.control.raise();
  }

  close(): void {
    this.#closed = true;
    this.#backlog = [];
    this.#port.close();
    this.#in.wakeSelf();
  }

  #takeAttachment(frame: Frame): void {
    const received = receiveMessageOnPort(this.#port);
    invariant(received !== undefined, "an attachment is posted before the frame that refers to it");
    if (received.message instanceof Uint8Array) {
      frame.body = received.message;
    } else {
      frame.attachment = received.message;
    }
  }

  #write(frame: OutgoingFrame, bodyBytes: number, flags: number): boolean {
    const totalBytes = HEADER_BYTES + bodyBytes;
    const offset = this.#out.reserve(totalBytes);
    if (offset < 0) {
      return false;
    }
    const { words, floats, bytes } = this.#out;
    const w = offset >> 2;
    words[w] = totalBytes;
    words[w + 1] = frame.type | flags | ((frame.code ?? 0) << 16);
    words[w + 2] = frame.call ?? 0;
    words[w + 3] = frame.attempt ?? 0;
    words[w + 4] = frame.a ?? 0;
    words[w + 5] = frame.b ?? 0;
    words[w + 6] = frame.c ?? 0;
    words[w + 7] = bodyBytes;
    const f = (offset >> 3) + 4;
    floats[f] = frame.x ?? 0;
    floats[f + 1] = frame.y ?? 0;
    floats[f + 2] = frame.z ?? 0;
    if (bodyBytes > 0) {
      const body = frame.body ?? EMPTY;
      bytes.set(body, offset + HEADER_BYTES);
      if (frame.tail !== undefined) {
        bytes.set(frame.tail, offset + HEADER_BYTES + body.byteLength);
      }
    }
    this.#out.publish();
    if (this.#mayBlock) {
      this.#out.wake();
      return true;
    }
    this.control.raise();
    if (!this.#wakes) {
      this.#wakes = true;
      setImmediate(this.#wake);
    }
    return true;
  }

  #sendLater(frame: OutgoingFrame): void {
    this.#backlog.push(frame);
    if (this.#mayBlock) {
      while (!this.#drainBacklog()) {
        this.#out.waitForRoom();
      }
    } else {
      this.#awaitRoom();
    }
  }

  #awaitRoom(): void {
    for (;;) {
      const room = this.#out.roomAsync();
      if (room !== undefined) {
        room.then(() => {
          if (!this.#closed && !this.#drainBacklog()) {
            this.#awaitRoom();
          }
        });
        return;
      }
      if (this.#drainBacklog()) {
        return;
      }
    }
  }

  /** True when nothing is left. */
  #drainBacklog(): boolean {
    let sent = 0;
    for (const frame of this.#backlog) {
      const attached = frame.body === ATTACHMENT;
      if (!this.#write(frame, attached ? 0 : (frame.body?.byteLength ?? 0), attached ? ATTACHED : 0)) {
        break;
      }
      sent++;
    }
    this.#backlog.splice(0, sent);
    return this.#backlog.length === 0;
  }

  #copy(offset: number, sizeBytes: number): Uint8Array {
    const source = this.#in.bytes.subarray(offset, offset + sizeBytes);
    if (sizeBytes > SLAB_BODY_MAX_BYTES) {
      return Uint8Array.prototype.slice.call(source);
    }
    if (this.#slabUsed + sizeBytes > SLAB_BYTES) {
      this.#slab = new Uint8Array(SLAB_BYTES);
      this.#slabUsed = 0;
    }
    const copy = this.#slab.subarray(this.#slabUsed, this.#slabUsed + sizeBytes);
    copy.set(source);
    this.#slabUsed = (this.#slabUsed + sizeBytes + 7) & -8;
    return copy;
  }
}

/** Stands for the body of a frame whose body is beside the ring. */
const ATTACHMENT = new Uint8Array(0);

function joined(frame: OutgoingFrame): Uint8Array {
  const body = frame.body ?? EMPTY;
  const tail = frame.tail ?? EMPTY;
  const whole = new Uint8Array(body.byteLength + tail.byteLength);
  whole.set(body);
  whole.set(tail, body.byteLength);
  return whole;
}
