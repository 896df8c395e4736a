/** A guest's storage parts, on the side of the caller: offered, shipped, and taken back. */
import { type LogBookId, MAX_SEQNUM } from "../../state/ids.ts";
import { decodeObjectValue, objectSize } from "../../state/objects/object-record.ts";
import type { StepStream } from "../../state/protocols/index.ts";
import type { Transactions } from "../../state/txn/index.ts";
import { Operation, type PartAnswer, Placement, partAnswer, partOfferArgs } from "../abi/operations.ts";
import { type Artefact, usesRegions, usesThreads } from "../modules/artefact.ts";
import type { Offload, PartReply, PartRequest, PlacementDecision, StoragePool } from "../offload/index.ts";
import { guestStateBytes } from "../sandbox/frames/protocol.ts";
import type { OperationReply } from "../sandbox/sandbox.ts";
import type { Trace } from "./context.ts";
import { encodeInit, type InstanceInit, isOfWorld } from "./instance-record.ts";
import { plainReply } from "./object-operations.ts";
import type { StateMeter } from "./state-meter.ts";

interface Offer {
  readonly tableIndex: number;
  readonly decision: PlacementDecision;
}

/**
 * P1. Nothing of the caller changes before the reply is applied; a part that is lost is run here from the same position, and the
 *     log makes the lost run's steps its own (H17).
 * P2. While a part runs elsewhere, only that node numbers the instance's steps (H16): the guest is suspended, so nothing else asks.
 * P3. A read in a part never goes on from one before it, nor one after it from the part's: from another node it could not.
 */
export class PartOperations {
  readonly #offload: Offload;
  readonly #tenant: LogBookId;
  readonly #steps: StepStream;
  readonly #transactions: Transactions;
  readonly #artefact: Artefact;
  readonly #init: InstanceInit;
  readonly #meter: StateMeter;
  readonly #trace: Trace;
  readonly #nodeName: string;
  #offers = 0;
  #offered: Offer | null = null;
  #shipped: { readonly pool: StoragePool; readonly request: PartRequest } | null = null;

  constructor(options: {
    offload: Offload;
    tenant: LogBookId;
    steps: StepStream;
    transactions: Transactions;
    artefact: Artefact;
    init: InstanceInit;
    meter: StateMeter;
    trace: Trace;
    nodeName: string;
  }) {
    this.#offload = options.offload;
    this.#tenant = options.tenant;
    this.#steps = options.steps;
    this.#transactions = options.transactions;
    this.#artefact = options.artefact;
    this.#init = options.init;
    this.#meter = options.meter;
    this.#trace = options.trace;
    this.#nodeName = options.nodeName;
  }

  /** @returns null when `operation` is not one of parts */
  perform(operation: number, args: Uint8Array): Promise<OperationReply> | null {
    switch (operation) {
      case Operation.partOffer:
        this.#steps.nextMoment();
        return this.#offer(args);
      case Operation.partShip:
        return this.#ship(args);
      case Operation.partEnd:
        this.#steps.nextMoment();
        return Promise.resolve(plainReply(0));
      default:
        return null;
    }
  }

  /** The attempt was stopped: a part that is still out need not go on. Its reply still comes: what it has logged is settled then. */
  close(): void {
    if (this.#shipped !== null) {
      this.#shipped.pool.cancel(this.#shipped.request);
    }
  }

  async #offer(args: Uint8Array): Promise<OperationReply> {
    const { key, tableIndex, usesSideModules } = partOfferArgs.decode(args);
    if (this.#transactions.open !== null) {
      // What the transaction has written is here and nowhere else.
      this.#ranHere("inside a transaction");
      return plainReply(Placement.local);
    }
    if (usesRegions(this.#artefact)) {
      // The regions are here, and so is what the part may do to them; a lock on one is held here, too (H20).
      this.#ranHere("uses memory regions");
      return plainReply(Placement.local);
    }
    if (usesThreads(this.#artefact)) {
      // Threads of the call may write into its memory meanwhile (H20).
      this.#ranHere("has threads");
      return plainReply(Placement.local);
    }
    if (usesSideModules) {
      // Its table is not the module's any more, and what they are is here (H20).
      this.#ranHere("holds side modules");
      return plainReply(Placement.local);
    }
    if (isOfWorld(this.#init)) {
      // Its messages come here.
      this.#ranHere("is a rank of a world");
      return plainReply(Placement.local);
    }
    const decision = await this.#offload.decide({
      module: this.#artefact.hash,
      forbidden: this.#init.forbidPushDown,
      objectBytes: () => this.#objectBytes(key),
    });
    if (decision.pool === null) {
      this.#ranHere(decision.reason);
      return plainReply(Placement.local);
    }
    this.#offered = { tableIndex, decision };
    return plainReply(Placement.ship);
  }

  /** As it is now, for the decision only: a read that the guest does not see leaves its cursor free to move. */
  async #objectBytes(key: string): Promise<number | null> {
    const { record } = await this.#steps.book.readCell(key, MAX_SEQNUM);
    const value = record === null ? null : decodeObjectValue(record);
    return value === null ? null : objectSize(value);
  }

  async #ship(args: Uint8Array): Promise<OperationReply> {
    const offered = this.#offered;
    this.#offered = null;
    if (offered === null || offered.decision.pool === null) {
      return partReply({ kind: "local" });
    }
    const { pool, reason } = offered.decision;
    this.#offers += 1;
    const request: PartRequest = {
      tenant: this.#tenant,
      instance: this.#steps.instance,
      offer: this.#offers,
      module: this.#artefact.hash,
      init: encodeInit(this.#init),
      steps: this.#steps.state(),
      writtenBytes: this.#meter.writtenBytes,
      part: {
        snapshotHash: this.#artefact.snapshot.hash,
        tableIndex: offered.tableIndex,
        state: guestStateBytes.decode(args),
      },
    };
    this.#shipped = { pool, request };
    const reply = await pool.run(request);
    this.#shipped = null;
    this.#trace.moved(args.byteLength);
    return partReply(this.#takeBack(reply, pool, reason, args.byteLength));
  }

  #takeBack(reply: PartReply, pool: StoragePool, reason: string, deltaOutBytes: number): PartAnswer {
    if (reply.kind === "lost") {
      this.#steps.doubt(reply.mayGoOn);
    }
    if (reply.kind === "refused" || reply.kind === "lost") {
      this.#ranHere(`${reply.kind}: ${reply.reason}`, deltaOutBytes);
      return { kind: "local" };
    }
    this.#steps.adopt(reply.steps);
    this.#steps.reads.adopt(reply.reads);
    this.#meter.writtenBytes = reply.writtenBytes;
    this.#trace.computed(reply.cpuMs);
    this.#trace.executedAt.add(pool.name);
    const deltaBackBytes = reply.kind === "done" ? reply.state.delta.byteLength + reply.state.hostState.byteLength : 0;
    this.#trace.moved(deltaBackBytes);
    this.#trace.parts.push({ executedAt: pool.name, reason, deltaOutBytes, deltaBackBytes });
    this.#offload.learn(this.#artefact.hash, deltaOutBytes + deltaBackBytes);
    return reply.kind === "done"
      ? { kind: "done", value: reply.value, state: reply.state }
      : { kind: "trapped", message: reply.message };
  }

  #ranHere(reason: string, deltaOutBytes = 0): void {
    this.#trace.parts.push({ executedAt: this.#nodeName, reason, deltaOutBytes, deltaBackBytes: 0 });
  }
}

function partReply(answer: PartAnswer): OperationReply {
  return { code: 0, timeMs: 0, ...partAnswer.encode(answer) };
}
