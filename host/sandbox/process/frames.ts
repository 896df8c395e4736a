/**
 * Frames as bytes of a pipe.
 *
 * Header, little-endian: body bytes u32 | type u8 | flags u8 | code u16 | call i32 | attempt i32 | a i32 | b i32 | c i32 | head bytes u32 |
 * x f64 | y f64 | z f64 | worker u32. Then the body. With head bytes the body is an object: its head, then the bytes of all its views.
 *
 * 1. What the reader is given may be anything: it throws a BrokenFrame, or returns frames.
 * 2. A large body is not gathered in pieces first: room for it is made when its header is there, which costs nothing until it is filled.
 */
import type { OutgoingFrame } from "../frames/carrier.ts";
import { blankFrame, EMPTY, type Frame, FrameType } from "../frames/protocol.ts";
import { isShared } from "../frames/shared-bytes.ts";
import { decodeBeside, encodeBeside } from "./beside.ts";

const HEADER_BYTES = 60;
/** The body is in shared memory at the sender, and shall be at the receiver. */
const SHARED = 1;
const SLAB_BYTES = 64 * 1024;
/** Larger bodies are not copied together with others. */
const SLAB_BODY_MAX_BYTES = 8 * 1024;
const TYPES: ReadonlySet<number> = new Set(Object.values(FrameType));

export class BrokenFrame extends Error {
  override name = "BrokenFrame";
}

export class FrameWriter {
  readonly #write: (bytes: Uint8Array) => void;
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #from = 0;
  #to = 0;

  /** @param write  keeps the bytes until they are on their way */
  constructor(write: (bytes: Uint8Array) => void) {
    this.#write = write;
  }

  /** Bytes that were not written yet. */
  get pendingBytes(): number {
    return this.#to - this.#from;
  }

  add(frame: OutgoingFrame): void {
    const { body = EMPTY, tail = EMPTY } = frame;
    const flags = isShared(body) && tail.byteLength === 0 ? SHARED : 0;
    this.#add(frame, flags, 0, [body, tail]);
  }

  addObject(frame: OutgoingFrame, object: unknown): void {
    const { head, views } = encodeBeside(object);
    this.#add(frame, 0, head.byteLength, [head, ...views]);
  }

  flush(): void {
    if (this.#to > this.#from) {
      const bytes = this.#slab.subarray(this.#from, this.#to);
      this.#from = this.#to;
      this.#write(bytes);
    }
  }

  #add(frame: OutgoingFrame, flags: number, headBytes: number, pieces: readonly Uint8Array[]): void {
    const sizeBytes = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
    this.#header(frame, flags, sizeBytes, headBytes);
    for (const piece of pieces) {
      if (piece.byteLength <= SLAB_BODY_MAX_BYTES) {
        this.#room(piece.byteLength);
        this.#slab.set(piece, this.#to);
        this.#to += piece.byteLength;
      } else {
        this.flush();
        this.#write(isShared(piece) ? piece : Uint8Array.from(piece));
      }
    }
  }

  #header(frame: OutgoingFrame, flags: number, sizeBytes: number, headBytes: number): void {
    this.#room(HEADER_BYTES);
    const slab = this.#slab;
    const at = this.#to;
    slab.writeUInt32LE(sizeBytes, at);
    slab[at + 4] = frame.type;
    slab[at + 5] = flags;
    slab.writeUInt16LE(frame.code ?? 0, at + 6);
    slab.writeInt32LE(frame.call ?? 0, at + 8);
    slab.writeInt32LE(frame.attempt ?? 0, at + 12);
    slab.writeInt32LE(frame.a ?? 0, at + 16);
    slab.writeInt32LE(frame.b ?? 0, at + 20);
    slab.writeInt32LE(frame.c ?? 0, at + 24);
    slab.writeUInt32LE(headBytes, at + 28);
    slab.writeDoubleLE(frame.x ?? 0, at + 32);
    slab.writeDoubleLE(frame.y ?? 0, at + 40);
    slab.writeDoubleLE(frame.z ?? 0, at + 48);
    slab.writeUInt32LE(frame.worker ?? 0, at + 56);
    this.#to = at + HEADER_BYTES;
  }

  #room(sizeBytes: number): void {
    if (this.#to + sizeBytes > SLAB_BYTES) {
      this.flush();
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#from = 0;
      this.#to = 0;
    }
  }
}

export class FrameReader {
  readonly #bodyMaxBytes: number;
  readonly #takesObjects: boolean;
  readonly #sharesObjects: boolean;
  readonly #chunks: Buffer[] = [];
  #chunkAt = 0;
  #pendingBytes = 0;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerBytes = 0;
  #body: Uint8Array | undefined;
  #bodyBytes = 0;
  readonly #frame: Frame = blankFrame();

  /**
   * @param takesObjects   only from a sender that is trusted
   * @param sharesObjects  their views are in shared memory
   */
  constructor(bodyMaxBytes: number, takesObjects: boolean, sharesObjects = false) {
    this.#bodyMaxBytes = bodyMaxBytes;
    this.#takesObjects = takesObjects;
    this.#sharesObjects = sharesObjects;
  }

  /** Bytes that have come and are in no frame yet. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#pendingBytes += chunk.byteLength;
  }

  /** The next whole frame, or undefined. The object is reused, its body is not. @throws BrokenFrame */
  next(): Frame | undefined {
    if (this.#headerBytes < HEADER_BYTES) {
      this.#headerBytes += this.#take(this.#header, this.#headerBytes);
      if (this.#headerBytes < HEADER_BYTES) {
        return undefined;
      }
      this.#body = this.#roomForBody();
      this.#bodyBytes = 0;
    }
    const body = this.#body as Uint8Array;
    this.#bodyBytes += this.#take(body, this.#bodyBytes);
    if (this.#bodyBytes < body.byteLength) {
      return undefined;
    }
    this.#headerBytes = 0;
    this.#body = undefined;
    return this.#fill(body);
  }

  /** Copies what has come into `target` from `at` on; returns how many bytes. */
  #take(target: Uint8Array, at: number): number {
    let taken = 0;
    for (let chunk = this.#chunks[0]; chunk !== undefined && at + taken < target.byteLength; chunk = this.#chunks[0]) {
      const piece = chunk.subarray(this.#chunkAt, this.#chunkAt + target.byteLength - at - taken);
      target.set(piece, at + taken);
      taken += piece.byteLength;
      this.#chunkAt += piece.byteLength;
      if (this.#chunkAt === chunk.byteLength) {
        this.#chunks.shift();
        this.#chunkAt = 0;
      }
    }
    this.#pendingBytes -= taken;
    return taken;
  }

  #roomForBody(): Uint8Array {
    const header = this.#header;
    const sizeBytes = header.readUInt32LE(0);
    if (sizeBytes > this.#bodyMaxBytes) {
      throw new BrokenFrame(`a body of ${sizeBytes} bytes, at most ${this.#bodyMaxBytes} are allowed`);
    }
    if (!TYPES.has(header[4] as number)) {
      throw new BrokenFrame(`a frame of type ${header[4]}`);
    }
    const headBytes = header.readUInt32LE(28);
    if (headBytes > sizeBytes || (headBytes > 0 && !this.#takesObjects)) {
      throw new BrokenFrame(`an object of ${headBytes} bytes in a body of ${sizeBytes}`);
    }
    if (sizeBytes === 0) {
      return EMPTY;
    }
    const isShared = ((header[5] as number) & SHARED) !== 0 || (this.#sharesObjects && headBytes > 0);
    return isShared ? new Uint8Array(new SharedArrayBuffer(sizeBytes)) : new Uint8Array(sizeBytes);
  }

  #fill(body: Uint8Array): Frame {
    const frame = this.#frame;
    const header = this.#header;
    frame.type = header[4] as FrameType;
    frame.code = header.readUInt16LE(6);
    frame.call = header.readInt32LE(8);
    frame.attempt = header.readInt32LE(12);
    frame.a = header.readInt32LE(16);
    frame.b = header.readInt32LE(20);
    frame.c = header.readInt32LE(24);
    frame.x = header.readDoubleLE(32);
    frame.y = header.readDoubleLE(40);
    frame.z = header.readDoubleLE(48);
    frame.worker = header.readUInt32LE(56);
    const headBytes = header.readUInt32LE(28);
    frame.body = headBytes > 0 ? EMPTY : body;
    frame.attachment = headBytes > 0 ? decodeBeside(body.subarray(0, headBytes), body.subarray(headBytes)) : undefined;
    return frame;
  }
}
