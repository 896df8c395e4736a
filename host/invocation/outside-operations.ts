/** A guest's requests to other systems. */
import { crc32 } from "node:zlib";
import { ByteReader, ByteWriter } from "../../state/bytes.ts";
import type { LogBookId } from "../../state/ids.ts";
import { RecordKind, type Shard } from "../../state/logbook/index.ts";
import { decodeStep, fingerprint, NO_FINGERPRINT } from "../../state/logbook/step-record.ts";
import type { Drafts } from "../../state/objects/index.ts";
import { Fenced, type StepStream } from "../../state/protocols/index.ts";
import type { Transactions } from "../../state/txn/index.ts";
import { GuestError, httpReadArgs, httpReadReply, httpRequestArgs, Operation, OUTPUT_SLICE_BYTES } from "../abi/operations.ts";
import { type EgressRequest, type EgressResponse, type Header, isEgressFailure, wrongWith } from "../egress/index.ts";
import type { OperationReply } from "../sandbox/sandbox.ts";
import type { InvocationContext } from "./context.ts";
import { type Payload, payloadBlobs, readPayload, writePayload } from "./instance-record.ts";
import { plainReply } from "./object-operations.ts";
import { payloadSize, payloadSlice, toPayload } from "./payloads.ts";

const EMPTY = new Uint8Array(0);

/** What came of a request. */
interface Outcome {
  /** GuestError.noAnswer: `head` is why, as a code, and `body` the same as a text. */
  readonly status: number;
  /** Lines "name: value". */
  readonly head: string;
  readonly body: Payload;
}

type AskedRequest = ReturnType<typeof httpRequestArgs.decode>;

/**
 * Owns: the request that is under way, what came of the last one. Does not own: how and where it is sent (host/egress).
 *
 * O1. A request is two steps: that it is about to leave, and what came of it (F15). It leaves when the first one, and all that the call
 *     has written or consulted before, is durable in this epoch (F1, F3, F8). A replay gets the second one.
 * O2. Where a replay finds the first step alone, nobody knows whether the request has left. It is sent again, with the same
 *     `Idempotency-Key`, which names instance and position; one that is to be sent once has the outcome EGRESS_UNKNOWN_OUTCOME.
 * O3. What the host cannot do for the guest (refused, no connection, no time) is an outcome too: the guest goes on, in a replay too.
 *     So whatever can be read of a request is in the log.
 * O4. Nothing leaves in a transaction: what has left cannot be taken back.
 */
export class OutsideOperations {
  readonly #context: InvocationContext;
  readonly #shard: Shard;
  readonly #drafts: Drafts;
  readonly #tenant: LogBookId;
  readonly #steps: StepStream;
  readonly #transactions: Transactions;
  readonly #atMostMs: number;
  readonly #stopped = new AbortController();
  #last: Outcome | null = null;

  /** Whether the answer to a request is kept here, which the guest may read on. */
  get keepsAnswer(): boolean {
    return this.#last !== null;
  }

  /** @param wallTimeMs  the call's limit: a request may take half of it */
  constructor(options: {
    context: InvocationContext;
    shard: Shard;
    drafts: Drafts;
    tenant: LogBookId;
    steps: StepStream;
    transactions: Transactions;
    wallTimeMs: number;
  }) {
    this.#context = options.context;
    this.#shard = options.shard;
    this.#drafts = options.drafts;
    this.#tenant = options.tenant;
    this.#steps = options.steps;
    this.#transactions = options.transactions;
    this.#atMostMs = Math.ceil(options.wallTimeMs / 2);
  }

  /** @returns null when `operation` is not one of requests */
  perform(operation: number, args: Uint8Array): Promise<OperationReply> | null {
    switch (operation) {
      case Operation.httpRequest:
        return this.#request(httpRequestArgs.decode(args));
      case Operation.httpRead:
        return this.#read(args);
      default:
        return null;
    }
  }

  /** The attempt was stopped: what is under way is given up. */
  close(): void {
    this.#stopped.abort(new Fenced("closed", "the attempt was stopped"));
  }

  async #request(asked: AskedRequest): Promise<OperationReply> {
    const { method, url, headers: lines, body } = asked;
    if (this.#transactions.open !== null) {
      return plainReply(GuestError.inTransaction);
    }
    const headers = parsedHeaders(lines);
    const wrong = headers === null ? "a header has no colon" : wrongWith({ method, url, headers, body });
    if (headers === null || wrong !== null) {
      return this.#log(withoutAnswer("EGRESS_BAD_REQUEST", wrong ?? ""));
    }
    const idempotencyKey = `${this.#steps.instance}-${this.#steps.position}`;
    const intent = await this.#steps.step({
      kind: RecordKind.outside,
      fingerprint: fingerprint(`${asked.once} ${method} ${url}`, crc32(body, crc32(lines))),
      payload: EMPTY,
    });
    if (this.#steps.replaying) {
      return this.#log(null);
    }
    if (asked.once && intent.theirs !== null) {
      return this.#log(withoutAnswer("EGRESS_UNKNOWN_OUTCOME", `whether ${method} ${url} has left is not known`));
    }
    return this.#log(await this.#exchange({ tenant: this.#tenant, method, url, headers, body, idempotencyKey }));
  }

  async #exchange(request: EgressRequest): Promise<Outcome> {
    const { egress, faults } = this.#context;
    const { signal } = this.#stopped;
    await this.#shard.whenDurable(this.#steps.dependency);
    faults.at("outside:before");
    try {
      const outcome = await egress.exchange(request, this.#atMostMs, signal, (response) => this.#received(response));
      faults.at("outside:after");
      return outcome;
    } catch (error) {
      if (isEgressFailure(error)) {
        return withoutAnswer(error.code, error.message);
      }
      throw error;
    }
  }

  async #received({ status, headers, body }: EgressResponse): Promise<Outcome> {
    const head = headers.map(([name, value]) => `${name}: ${value}`).join("\n");
    return { status, head, body: await toPayload(this.#drafts, body) };
  }

  /** @param outcome  null: it is in the log already */
  async #log(outcome: Outcome | null): Promise<OperationReply> {
    const { record, theirs } = await this.#steps.step({
      kind: RecordKind.outsideDone,
      fingerprint: NO_FINGERPRINT,
      payload: outcome === null ? EMPTY : encodeOutcome(outcome),
      blobs: outcome === null ? [] : payloadBlobs(outcome.body),
    });
    this.#last = theirs === null ? outcome : decodeOutcome(decodeStep(theirs.data).payload);
    return plainReply(this.#last?.status ?? GuestError.noAnswer, record.timeMs);
  }

  async #read(args: Uint8Array): Promise<OperationReply> {
    const { part, offset } = httpReadArgs.decode(args);
    this.#last ??= await this.#logged();
    if (this.#last === null) {
      return plainReply(GuestError.notFound);
    }
    const { head, body } = this.#last;
    const read: Payload = part === 0 ? { kind: "inline", bytes: Buffer.from(head) } : body;
    const slice = await payloadSlice(this.#shard.blobs, read, offset, OUTPUT_SLICE_BYTES);
    return { code: 0, timeMs: 0, bytes: httpReadReply.encode(payloadSize(read), slice) };
  }

  /** Of a request that was made before this process went on with the call. */
  async #logged(): Promise<Outcome | null> {
    const { book, tag, position } = this.#steps;
    const { records } = await book.readStream(tag, 0);
    const done = records.slice(0, position).findLast(({ kind }) => kind === RecordKind.outsideDone);
    return done === undefined ? null : decodeOutcome(decodeStep(done.data).payload);
  }
}

function withoutAnswer(code: string, message: string): Outcome {
  return { status: GuestError.noAnswer, head: code, body: { kind: "inline", bytes: Buffer.from(message) } };
}

/** Null when a line is no header. */
function parsedHeaders(lines: string): readonly Header[] | null {
  const headers: Header[] = [];
  for (const line of lines.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) {
      headers.push([line.slice(0, colon), line.slice(colon + 1).trim()]);
    } else if (line !== "") {
      return null;
    }
  }
  return headers;
}

function encodeOutcome({ status, head, body }: Outcome): Uint8Array {
  return writePayload(new ByteWriter(64 + head.length + payloadSize(body)).i32(status).text(head), body).take();
}

function decodeOutcome(payload: Uint8Array): Outcome {
  const r = new ByteReader(payload);
  return { status: r.i32(), head: r.text(), body: readPayload(r) };
}
