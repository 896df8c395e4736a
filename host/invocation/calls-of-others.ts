/**
 * What other nodes have run here: calls that have moved, and ranks of their worlds; and what such ranks ask of worlds that are here.
 *
 * Owns: nothing that lasts. Does not own: the runs (service), the worlds.
 */
import { type InstanceId, type LogBookId, NO_SEQNUM, type SeqNum } from "../../state/ids.ts";
import type { Shard } from "../../state/logbook/index.ts";
import {
  type CallTaker,
  type MovedCall,
  type MoveReply,
  type NodeLoad,
  type OtherNodes,
  type OwnRanks,
  type RankAsk,
  type RankCall,
  type RankEnd,
  spreadRanks,
  type WorldAnswer,
  type WorldDesk,
} from "../offload/index.ts";
import {
  type InstanceOutcome,
  type InstanceRunner,
  type InstanceSpec,
  type InvocationContext,
  shardOf,
  Trace,
  toNeapError,
} from "./context.ts";
import { answerRank, FarWorld } from "./far-world.ts";
import { decodeInit, type InstanceInit } from "./instance-record.ts";
import { rankEnd } from "./mpi-operations.ts";
import type { Parking } from "./parking.ts";
import type { Worlds } from "./world.ts";

const STOPS = "the host is stopping";
/** Each of the two nodes would wait for the other one. */
const COMES_BACK = "the call has come from here, where its outcome is waited for";

export class CallsOfOthers implements CallTaker, OwnRanks {
  readonly #context: InvocationContext;
  readonly #runner: InstanceRunner;
  readonly #worlds: Worlds;
  readonly #parking: Parking;
  readonly #stops: () => boolean;
  readonly #isElsewhere: (instance: InstanceId) => boolean;

  /**
   * @param parking  where calls that have come have room until they have a sandbox
   * @param stops  whether nothing is taken any more
   * @param isElsewhere  whether this node waits for what becomes of the instance at another one
   */
  constructor(
    context: InvocationContext,
    runner: InstanceRunner,
    worlds: Worlds,
    parking: Parking,
    stops: () => boolean,
    isElsewhere: (instance: InstanceId) => boolean,
  ) {
    this.#context = context;
    this.#runner = runner;
    this.#worlds = worlds;
    this.#parking = parking;
    this.#stops = stops;
    this.#isElsewhere = isElsewhere;
  }

  get name(): string {
    return this.#context.nodeName;
  }

  /** From now on ranks of worlds of this process run at other nodes, too, when these have less to do. */
  shareRanks(own: () => NodeLoad, nodes: OtherNodes): void {
    this.#worlds.places = async (count) => {
      const others = (await nodes()).flatMap(({ ranks, queue, workers }) =>
        ranks === undefined ? [] : [{ ranks, queue, workers }],
      );
      return spreadRanks(own(), others, count);
    };
  }

  async runRank({ tenant, instance, init: bytes }: RankCall, desk: WorldDesk): Promise<RankEnd> {
    if (this.#stops()) {
      return { kind: "refused", reason: STOPS };
    }
    const { shard, init } = await this.#prepared(tenant, instance, bytes);
    const root = init.root as InstanceId;
    this.#worlds.attach(root, new FarWorld(desk, root));
    try {
      const { epoch } = shard;
      const trace = new Trace();
      return rankEnd(await this.#runner.run({ tenant, instance, init, epoch, begin: { kind: "logged" } }, trace), trace);
    } finally {
      this.#worlds.detach(root);
    }
  }

  ask(root: InstanceId, rank: number, what: RankAsk, seen: SeqNum, bytes: Uint8Array): Promise<WorldAnswer> {
    return answerRank(this.#worlds.own(root), rank, what, seen, bytes);
  }

  async take(call: MovedCall): Promise<MoveReply> {
    const { moves } = this.#context;
    const refusal = this.#refusal(call);
    moves.count(call.cause, refusal === null ? "taken" : "turned away");
    if (refusal !== null) {
      return { kind: "refused", reason: refusal };
    }
    try {
      const trace = new Trace();
      const outcome = await this.#goOn(call, trace);
      if (moves.besideData) {
        trace.movedBytes = 0;
      }
      return toMoveReply(outcome, trace);
    } catch (error) {
      const { code, message } = toNeapError(error);
      return { kind: "refused", reason: `${code}: ${message}` };
    }
  }

  #refusal({ instance, guest, cause }: MovedCall): string | null {
    if (this.#stops()) {
      return STOPS;
    }
    if (this.#isElsewhere(instance)) {
      return COMES_BACK;
    }
    const { byteLength } = guest;
    return this.#parking.fits(byteLength)
      ? this.#context.moves.refusal(cause)
      : `stopped calls have ${this.#parking.usedBytes} bytes here, ${byteLength} more are too many (--parked-max-bytes)`;
  }

  async #goOn(moved: MovedCall, trace: Trace): Promise<InstanceOutcome> {
    const { tenant, instance, steps } = moved;
    const { shard, init } = await this.#prepared(tenant, instance, moved.init);
    const { initialCursor } = steps.pins;
    const begin: InstanceSpec["begin"] =
      steps.origin === "unlogged" ? { kind: "unlogged", initialCursor, dependency: steps.dependency } : { kind: "logged" };
    return this.#runner.run({ tenant, instance, init, epoch: shard.epoch, begin, moved }, trace);
  }

  /** Where a call of another node can run: what it needs is here, and it is this node's. */
  async #prepared(tenant: LogBookId, instance: InstanceId, bytes: Uint8Array): Promise<{ shard: Shard; init: InstanceInit }> {
    const shard = await shardOf(this.#context);
    const init = decodeInit(bytes);
    await Promise.all([this.#context.functions.artefact(shard, init.module), shard.hold(tenant, instance)]);
    return { shard, init };
  }
}

function toMoveReply(outcome: InstanceOutcome, { executedAt, moves, movedBytes, readBytes, cpuMs }: Trace): MoveReply {
  const trace = { executedAt: [...executedAt], moves, movedBytes, readBytes, cpuMs };
  switch (outcome.kind) {
    case "completed": {
      const { done, output, seqnum } = outcome;
      return seqnum !== NO_SEQNUM || output.kind === "blob"
        ? { kind: "logged", trace }
        : { kind: "ended", returnValue: done.returnValue, trap: done.trap, output: output.bytes, trace };
    }
    case "pending":
      return { kind: "lost", reason: outcome.reason };
    case "failed":
      return { kind: "refused", reason: `${outcome.code}: ${outcome.message}` };
  }
}
