/**
 * The node at the other end of an authenticated connection.
 *
 * Owns: the ws connection, requests in both directions, the moment it ends. Does not own: what the methods do, reconnecting.
 *
 * P1. Every request is settled: by its answer, or when the connection ends.
 * P2. A frame of another epoch is never acted on: a request is answered EPOCH_CHANGED, anything else ends the connection (F1).
 * P3. Whatever bytes come in, nothing is thrown into the host: a body of the wrong shape is answered BAD_MESSAGE, a message that
 *     is no list of frames ends the connection.
 * P4. After `failure` is set nothing is sent and no handler is called.
 */
import type { RawData } from "ws";
import { InvariantBroken, NeapError } from "../errors.ts";
import { quote } from "../ids.ts";
import type { Timers } from "../ports.ts";
import type { Shape } from "../shape.ts";
import { type Frame, FrameKind, MESSAGE_HEADER_BYTES, packFrame, splitMessage } from "./frames.ts";
import { watchHeartbeat } from "./heartbeat.ts";
import type { Log } from "./log.ts";
import type { ByteCount, MessageSocket } from "./message-socket.ts";
import type { Method } from "./method.ts";
import { MAX_UNANSWERED, SendQueue } from "./send-queue.ts";

export interface PeerOptions {
  /** Name of the node at the other end. */
  readonly name: string;
  readonly epoch: number;
  readonly timers: Timers;
  readonly log: Log;
  readonly limits: PeerLimits;
}

export interface PeerLimits {
  /** A message above it is not sent; one that comes in ends the connection. */
  readonly messageMaxBytes: number;
  /** A node that is silent for three heartbeats counts as gone. */
  readonly heartbeatMs: number;
}

export const DEFAULT_PEER_LIMITS: PeerLimits = { messageMaxBytes: 16 * 1024 * 1024, heartbeatMs: 1_000 };

/** ws close codes of ours. */
export const CloseCode = { goodbye: 1000, badMessage: 4400, keyRefused: 4401, gone: 4408, epochChanged: 4410 } as const;

/** Above what an honest node sends: its requests and some notices. */
const MAX_SERVING = 2 * MAX_UNANSWERED;
/** How long the other node has to answer a close. */
const CLOSE_MS = 1_000;

interface Outstanding {
  readonly method: string;
  readonly answer: Shape<unknown>;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: unknown) => void;
}

interface Service {
  readonly body: Shape<unknown>;
  readonly run: (body: unknown) => Promise<unknown>;
}

export class Peer {
  readonly name: string;
  readonly epoch: number;
  /** Resolves to the reason when the connection has ended. */
  readonly ended: Promise<NeapError>;
  readonly #options: PeerOptions;
  readonly #socket: MessageSocket;
  readonly #queue: SendQueue;
  readonly #services = new Map<string, Service>();
  readonly #outstanding = new Map<number, Outstanding>();
  readonly #end: (reason: NeapError) => void;
  readonly #stopHeartbeat: () => void;
  #failure: NeapError | undefined;
  #lastId = 0;
  #serving = 0;

  /** @param stream  the TCP connection below the socket, whose bytes are the signs of life */
  constructor(socket: MessageSocket, stream: ByteCount, options: PeerOptions) {
    this.#socket = socket;
    this.#options = options;
    this.name = options.name;
    this.epoch = options.epoch;
    const { promise, resolve } = Promise.withResolvers<NeapError>();
    this.ended = promise;
    this.#end = resolve;
    this.#queue = new SendQueue(socket, () =>
      this.#fail(new NeapError("OWNER_UNAVAILABLE", `node ${this.name} does not read`), CloseCode.gone),
    );
    this.#stopHeartbeat = watchHeartbeat(socket, stream, options.timers, options.limits.heartbeatMs, () => {
      options.log.warn("a node has fallen silent; its connection is dropped", { peer: this.name });
      this.#fail(new NeapError("OWNER_UNAVAILABLE", `node ${this.name} has fallen silent`), CloseCode.gone);
      socket.terminate();
    });
    socket.binaryType = "fragments";
    socket.on("message", (data) => this.#receive(data));
    socket.on("error", (cause) => this.#fail(this.#lost(cause), CloseCode.goodbye));
    socket.on("close", () => this.#fail(this.#lost(undefined), CloseCode.goodbye));
  }

  /** Why the connection has ended; undefined while it lives. */
  get failure(): NeapError | undefined {
    return this.#failure;
  }

  /**
   * What the other node's handler answers. Waits before it sends while too much is unsent or unanswered.
   *
   * @throws OWNER_UNAVAILABLE  the connection has ended; whether the request was carried out is not known
   * @throws EPOCH_CHANGED      the other node is of another epoch; it was not carried out
   * @throws MESSAGE_TOO_LARGE  nothing was sent
   * @throws BAD_MESSAGE        no such method there, or body or answer have the wrong shape
   * @throws REMOTE_FAILED      the handler met an unexpected error
   * @throws whatever NeapError the handler threw
   */
  request<Body, Answer>(method: Method<Body, Answer>, body: Body): Promise<Answer> {
    if (this.#failure !== undefined) {
      return Promise.reject(this.#failure);
    }
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const id = ++this.#lastId;
    this.#outstanding.set(id, {
      method: method.name,
      answer: method.answer,
      resolve: (answer) => resolve(answer as Answer),
      reject,
    });
    this.#queue.request(() => {
      try {
        this.#post([FrameKind.request, this.epoch, id, method.name, body]);
      } catch (error) {
        this.#settle(id)?.reject(error);
      }
    });
    return promise;
  }

  /** Sends a body nobody answers; dropped without a word when the connection has ended. @throws MESSAGE_TOO_LARGE */
  notify<Body>(method: Method<Body, null>, body: Body): void {
    if (this.#failure === undefined) {
      this.#post([FrameKind.notice, this.epoch, 0, method.name, body]);
    }
  }

  /** From now on `run` serves requests and notices of this method. A NeapError it throws reaches the caller with its code. */
  handle<Body, Answer>(method: Method<Body, Answer>, run: (body: NoInfer<Body>) => Promise<NoInfer<Answer>>): void {
    this.#services.set(method.name, { body: method.body, run: (body) => run(body as Body) });
  }

  /** Resolves when fewer than HIGH_WATER_BYTES are unsent: what a handler of large answers waits for before it makes one. */
  room(): Promise<void> {
    return this.#failure === undefined ? this.#queue.room() : Promise.resolve();
  }

  /** Ends the connection; everything outstanding is rejected with `reason`. Harmless when it has ended. */
  close(reason = new NeapError("OWNER_UNAVAILABLE", `connection to node ${this.name} was closed`)): void {
    this.#fail(reason, reason.code === "EPOCH_CHANGED" ? CloseCode.epochChanged : CloseCode.goodbye);
  }

  #lost(cause: unknown): NeapError {
    return new NeapError("OWNER_UNAVAILABLE", `connection to node ${this.name} was lost`, { cause });
  }

  #fail(reason: NeapError, code: number): void {
    if (this.#failure !== undefined) {
      return;
    }
    this.#failure = reason;
    this.#stopHeartbeat();
    this.#queue.discard();
    this.#socket.close(code);
    const cancel = this.#options.timers.after(CLOSE_MS, () => this.#socket.terminate());
    this.#socket.once("close", cancel);
    for (const one of this.#outstanding.values()) {
      one.reject(reason);
    }
    this.#outstanding.clear();
    this.#end(reason);
  }

  #post(frame: Frame): void {
    const packed = packFrame(frame);
    const sizeBytes = packed.head.length + (packed.tail?.byteLength ?? MESSAGE_HEADER_BYTES);
    if (sizeBytes > this.#options.limits.messageMaxBytes) {
      const limitBytes = this.#options.limits.messageMaxBytes;
      throw new NeapError("MESSAGE_TOO_LARGE", `message is ${sizeBytes} bytes, the limit is ${limitBytes}`);
    }
    this.#queue.post(packed);
  }

  #receive(data: RawData): void {
    if (this.#failure !== undefined) {
      return;
    }
    try {
      for (const frame of splitMessage(data as Buffer[])) {
        this.#take(frame);
      }
    } catch (error) {
      if (!(error instanceof NeapError)) {
        throw error;
      }
      this.#options.log.warn("a node sent what it may not; its connection is dropped", {
        peer: this.name,
        code: error.code,
        error,
      });
      this.#fail(error, error.code === "EPOCH_CHANGED" ? CloseCode.epochChanged : CloseCode.badMessage);
    }
  }

  #take(frame: Frame): void {
    const [kind, epoch, id] = frame;
    if (this.#failure !== undefined) {
      return;
    }
    if (kind === FrameKind.request) {
      void this.#serve(epoch, id, frame[3], frame[4]);
      return;
    }
    if (epoch !== this.epoch) {
      throw this.#otherEpoch(epoch);
    }
    if (kind === FrameKind.notice) {
      void this.#serve(epoch, undefined, frame[3], frame[4]);
      return;
    }
    const one = this.#settle(id);
    if (one === undefined) {
      throw new NeapError("BAD_MESSAGE", `node ${this.name} answers request ${id}, which was not asked or is answered`);
    }
    if (kind === FrameKind.error) {
      one.reject(new NeapError(frame[3], frame[4]));
    } else if (one.answer.has(frame[3])) {
      one.resolve(frame[3]);
    } else {
      one.reject(new NeapError("BAD_MESSAGE", `node ${this.name} answers ${one.method} with another shape than agreed`));
    }
  }

  #settle(id: number): Outstanding | undefined {
    const one = this.#outstanding.get(id);
    if (one !== undefined) {
      this.#outstanding.delete(id);
      this.#queue.answered();
    }
    return one;
  }

  async #serve(epoch: number, id: number | undefined, method: string, body: unknown): Promise<void> {
    if (this.#serving >= MAX_SERVING) {
      this.#fail(new NeapError("BAD_MESSAGE", `node ${this.name} has ${MAX_SERVING} unanswered requests`), CloseCode.badMessage);
      return;
    }
    this.#serving++;
    try {
      const answer = await this.#run(epoch, method, body);
      if (id !== undefined && this.#failure === undefined) {
        this.#post([FrameKind.answer, this.epoch, id, answer]);
      }
    } catch (error) {
      const { code, message } = this.#described(method, error);
      if (id !== undefined && this.#failure === undefined) {
        this.#post([FrameKind.error, this.epoch, id, code, message]);
      }
    } finally {
      this.#serving--;
    }
  }

  #run(epoch: number, method: string, body: unknown): Promise<unknown> {
    if (epoch !== this.epoch) {
      throw this.#otherEpoch(epoch);
    }
    const service = this.#services.get(method);
    if (service === undefined) {
      throw new NeapError("BAD_MESSAGE", `method ${quote(method)} is not offered here`);
    }
    if (!service.body.has(body)) {
      throw new NeapError("BAD_MESSAGE", `body of ${method} has the wrong shape`);
    }
    return service.run(body);
  }

  /** What the caller may know of an error. */
  #described(method: string, error: unknown): { code: string; message: string } {
    if (error instanceof NeapError) {
      return error;
    }
    if (error instanceof InvariantBroken) {
      throw error;
    }
    this.#options.log.error("a request of another node failed unexpectedly", { peer: this.name, method, error });
    return { code: "REMOTE_FAILED", message: `${method} failed unexpectedly` };
  }

  #otherEpoch(epoch: number): NeapError {
    return new NeapError("EPOCH_CHANGED", `message is of epoch ${epoch}, this connection of epoch ${this.epoch}`);
  }
}
