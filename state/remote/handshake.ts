/**
 * How two nodes show each other that they know the cluster key, before any other message. The key itself never travels.
 *
 *   owner → node   [PROTOCOL, version, owner's nonce]
 *   node → owner   [node's nonce, proof over everything said so far and by the node, name, incarnation]
 *   owner → node   [proof over everything, journal, epoch, name]
 *
 * A proof is an HMAC-SHA256 under the key; nonces are fresh, and the two sides' proofs differ in their first field, so none can be
 * replayed or reflected. What follows is not encrypted: nodes speak over a network of their own.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import type { RawData, WebSocket } from "ws";
import { NeapError } from "../errors.ts";
import { isName } from "../ids.ts";
import type { Random } from "../ports.ts";
import { Bytes, Count, choice, type Shape, Text, tuple } from "../shape.ts";
import { pack, unpack } from "./frames.ts";
import { CloseCode } from "./peer.ts";

const PROTOCOL = "neap cluster";
export const PROTOCOL_VERSION = 5;
const NONCE_BYTES = 32;
export const INCARNATION_BYTES = 16;
/** Nobody needs more before authentication. */
export const HANDSHAKE_MAX_BYTES = 8 * 1024;
/** A connection that has not authenticated after this time is dropped. */
export const HANDSHAKE_MS = 5_000;

/** What the owner says of itself. */
export interface OwnerHello {
  readonly nodeName: string;
  readonly journalId: string;
  readonly epoch: number;
}

/** What a node says of itself. */
export interface NodeHello {
  readonly nodeName: string;
  /** Drawn when the node started: two connections with the same one come from the same process. */
  readonly incarnation: Uint8Array;
}

type Done<Hello> = (result: Hello | NeapError) => void;

const Challenge = tuple(choice(PROTOCOL), Count, Bytes);
const Proof = tuple(Bytes, Bytes, Text, Bytes);
const Welcome = tuple(Bytes, Text, Count, Text);

/**
 * The owner's side of a connection that has just been opened. Calls `done` once and synchronously with the message that decides:
 * with the node's hello, or CLUSTER_KEY_REFUSED (closed with 4401), BAD_MESSAGE (4400), OWNER_UNAVAILABLE (closed before).
 */
export function authenticateNode(socket: WebSocket, key: string, random: Random, owner: OwnerHello, done: Done<NodeHello>): void {
  const ownerNonce = random.bytes(NONCE_BYTES);
  const conversation = new Conversation(socket, done);
  conversation.send([PROTOCOL, PROTOCOL_VERSION, Buffer.from(ownerNonce)]);
  conversation.expect(Proof, ([nodeNonce, proof, nodeName, incarnation]) => {
    if (!sameBytes(proof, nodeProof(key, ownerNonce, nodeNonce, { nodeName, incarnation }))) {
      conversation.fail(new NeapError("CLUSTER_KEY_REFUSED", "a node has another cluster key"), CloseCode.keyRefused);
    } else if (!isName(nodeName)) {
      conversation.fail(new NeapError("BAD_MESSAGE", "the node's name is not a name"), CloseCode.badMessage);
    } else {
      const { journalId, epoch } = owner;
      conversation.send([ownerProof(key, ownerNonce, nodeNonce, owner), journalId, epoch, owner.nodeName]);
      conversation.succeed({ nodeName, incarnation });
    }
  });
}

/** The node's side of it; `done` as above, with the owner's hello. */
export function authenticateOwner(socket: WebSocket, key: string, random: Random, node: NodeHello, done: Done<OwnerHello>): void {
  const nodeNonce = random.bytes(NONCE_BYTES);
  const conversation = new Conversation(socket, done);
  conversation.expect(Challenge, ([, version, ownerNonce]) => {
    if (version !== PROTOCOL_VERSION) {
      const text = `the owner speaks version ${version} of the protocol, this node version ${PROTOCOL_VERSION}`;
      conversation.fail(new NeapError("OWNER_UNAVAILABLE", text), CloseCode.badMessage);
      return;
    }
    const proof = nodeProof(key, ownerNonce, nodeNonce, node);
    conversation.send([Buffer.from(nodeNonce), proof, node.nodeName, Buffer.from(node.incarnation)]);
    conversation.expect(Welcome, ([proof, journalId, epoch, nodeName]) => {
      const owner = { journalId, epoch, nodeName };
      if (sameBytes(proof, ownerProof(key, ownerNonce, nodeNonce, owner))) {
        conversation.succeed(owner);
      } else {
        conversation.fail(new NeapError("CLUSTER_KEY_REFUSED", "the owner has another cluster key"), CloseCode.keyRefused);
      }
    });
  });
}

/** Messages of agreed shapes, one after the other, until it is decided. */
class Conversation<Hello> {
  readonly #socket: WebSocket;
  readonly #done: Done<Hello>;
  #next: (message: unknown) => void = () => {};

  constructor(socket: WebSocket, done: Done<Hello>) {
    this.#socket = socket;
    this.#done = done;
    socket.on("message", this.#onMessage).on("close", this.#onClose).on("error", this.#onError);
  }

  send(message: readonly unknown[]): void {
    this.#socket.send(pack(message), { binary: true });
  }

  expect<T>(wanted: Shape<T>, then: (message: T) => void): void {
    this.#next = (message) => {
      if (wanted.has(message)) {
        then(message);
      } else {
        throw new NeapError("BAD_MESSAGE", "a message of the handshake has the wrong shape");
      }
    };
  }

  succeed(hello: Hello): void {
    this.#leave();
    this.#done(hello);
  }

  fail(error: NeapError, code: number): void {
    this.#leave();
    // An error after this is the end of a connection nobody uses any more.
    this.#socket.on("error", () => {});
    this.#socket.close(code);
    this.#done(error);
  }

  readonly #onMessage = (data: RawData): void => {
    try {
      this.#next(unpack(data as Buffer));
    } catch (error) {
      if (!(error instanceof NeapError)) {
        throw error;
      }
      this.fail(error, CloseCode.badMessage);
    }
  };

  readonly #onClose = (code: number): void => {
    const refused = code === CloseCode.keyRefused;
    this.fail(
      refused
        ? new NeapError("CLUSTER_KEY_REFUSED", "the owner has another cluster key than this node")
        : new NeapError("OWNER_UNAVAILABLE", `the connection was closed during the handshake, code ${code}`),
      CloseCode.goodbye,
    );
  };

  readonly #onError = (cause: Error): void => {
    this.fail(new NeapError("OWNER_UNAVAILABLE", "the connection failed during the handshake", { cause }), CloseCode.goodbye);
  };

  #leave(): void {
    this.#socket.off("message", this.#onMessage).off("close", this.#onClose).off("error", this.#onError);
  }
}

function nodeProof(key: string, ownerNonce: Uint8Array, nodeNonce: Uint8Array, node: NodeHello): Buffer {
  return proofOf(key, ["node", ownerNonce, nodeNonce, node.nodeName, node.incarnation]);
}

function ownerProof(key: string, ownerNonce: Uint8Array, nodeNonce: Uint8Array, owner: OwnerHello): Buffer {
  return proofOf(key, ["owner", ownerNonce, nodeNonce, owner.journalId, owner.epoch, owner.nodeName]);
}

function proofOf(key: string, said: readonly (string | number | Uint8Array)[]): Buffer {
  const plain = said.map((part) => (part instanceof Uint8Array ? Buffer.from(part) : part));
  return createHmac("sha256", key)
    .update(pack([PROTOCOL, PROTOCOL_VERSION, ...plain]))
    .digest();
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && timingSafeEqual(a, b);
}
