/** What a rank of a world asks for. */
import { ByteReader } from "../../state/bytes.ts";
import { NeapError } from "../../state/errors.ts";
import { type InstanceId, NO_SEQNUM, type SeqNum } from "../../state/ids.ts";
import type { StepStream } from "../../state/protocols/index.ts";
import { mpiAbortArgs, mpiJoinReply, mpiTakeArgs, mpiTakeReply, Operation } from "../abi/operations.ts";
import type { RankEnd } from "../offload/index.ts";
import type { OperationReply } from "../sandbox/sandbox.ts";
import type { AttemptEnd } from "./attempt.ts";
import type { AttemptWait } from "./attempt-wait.ts";
import type { ChildOperations } from "./child-operations.ts";
import type { InstanceOutcome, Trace } from "./context.ts";
import type { InstanceInit } from "./instance-record.ts";
import { plainReply } from "./object-operations.ts";
import type { Seat, Seats, Taken, World, Worlds } from "./world.ts";

const SHORT_BYTES = 4096;

/** How a rank's world has come out. */
export interface WorldEnd {
  /** Why it is lost; null: it is not. */
  readonly failure: string | null;
}

export class MpiOperations {
  readonly #worlds: Worlds;
  readonly #children: ChildOperations;
  readonly #steps: StepStream;
  readonly #init: InstanceInit;
  readonly #instance: InstanceId;
  readonly #wait: AttemptWait;
  readonly #fail: (error: NeapError) => void;
  #seat: Seat | null = null;
  /** Of rank 0: what comes of the others. */
  #others: Promise<RankEnd[]> | null = null;
  #hasLeft = false;

  constructor(options: {
    worlds: Worlds;
    children: ChildOperations;
    steps: StepStream;
    init: InstanceInit;
    instance: InstanceId;
    wait: AttemptWait;
    /** Ends the attempt. */
    fail: (error: NeapError) => void;
  }) {
    this.#worlds = options.worlds;
    this.#children = options.children;
    this.#steps = options.steps;
    this.#init = options.init;
    this.#instance = options.instance;
    this.#wait = options.wait;
    this.#fail = options.fail;
  }

  /** @returns null when `operation` is not one of MPI */
  perform(operation: number, args: Uint8Array): Promise<OperationReply> | null {
    switch (operation) {
      case Operation.mpiJoin:
        return this.#join();
      case Operation.mpiSend:
        return this.#send(args);
      case Operation.mpiTake:
        return this.#take(args);
      case Operation.mpiLeave:
        return this.#leave();
      case Operation.mpiAbort:
        return this.#abort(args);
      default:
        return null;
    }
  }

  /**
   * After the end of an attempt that was a rank: its world is lost, unless it had all it needed of it. Rank 0 waits for what comes of the
   * others. Null for any other attempt.
   */
  async end(end: AttemptEnd): Promise<WorldEnd | null> {
    const seat = this.#seat;
    if (seat === null) {
      return null;
    }
    const reason = this.#whyLost(end);
    if (reason !== null) {
      seat.lose(reason);
    }
    for (const rank of (await this.#others) ?? []) {
      if (rank.kind === "ended") {
        this.#steps.consulted(rank.dependency);
      }
    }
    if (this.#init.rank === 0) {
      this.#worlds.close(this.#instance);
    }
    return { failure: seat.loss?.message ?? null };
  }

  #whyLost(end: AttemptEnd): string | null {
    if (end.kind === "returned" && end.value === 0 && this.#hasLeft) {
      return null;
    }
    const isLost = end.kind === "failed" && end.error.code === "WORLD_LOST";
    return isLost ? end.error.message : `rank ${this.#init.rank} of ${this.#init.worldSize} ${whyEnded(end)}`;
  }

  async #join(): Promise<OperationReply> {
    const { worldSize: size, rank } = this.#init;
    if (size > 1) {
      const seat = rank === 0 ? await this.#open(size) : this.#sitDown(this.#worlds.find(this.#init.root as InstanceId), rank);
      await this.#wait.for(seat.come());
    }
    return { code: 0, timeMs: 0, bytes: mpiJoinReply.encode(rank, Math.max(1, size)) };
  }

  /** The world begins: all other ranks are called, or none. */
  async #open(size: number): Promise<Seat> {
    this.#children.checkMayStartRanks(size - 1);
    const places = await this.#worlds.places(size - 1);
    const world = this.#worlds.open(this.#instance, size);
    const seat = this.#sitDown(world, 0);
    const ends: Promise<RankEnd>[] = [];
    for (let rank = 1; rank < size; rank += 1) {
      const started = await this.#children.startRank(rank, places[rank - 1] ?? null);
      if (started === null) {
        throw new NeapError("WORLD_LOST", `rank 0 of ${size} was interrupted: messages of its world are gone`);
      }
      ends.push(started.end.then((end) => watched(world, rank, end)));
      this.#others = Promise.all(ends);
    }
    return seat;
  }

  #sitDown(seats: Seats | null, rank: number): Seat {
    const seat = seats?.seat(rank, this.#fail) ?? null;
    if (seat === null) {
      throw new NeapError("WORLD_LOST", `rank ${rank} of ${this.#init.worldSize} was interrupted: its world is gone`);
    }
    this.#seat = seat;
    return seat;
  }

  async #send(args: Uint8Array): Promise<OperationReply> {
    const to = new ByteReader(args).u16();
    const frame = args.subarray(2);
    // A short one shares its buffer with others, which would be kept as long as it waits.
    const kept = frame.byteLength < SHORT_BYTES ? new Uint8Array(frame) : frame;
    await this.#mustSit().send(to, kept, this.#seen());
    return plainReply(0);
  }

  async #take(args: Uint8Array): Promise<OperationReply> {
    const taken = this.#mustSit().take(mpiTakeArgs.decode(args).waits);
    const { frames, seen }: Taken = taken instanceof Promise ? await this.#wait.for(taken) : taken;
    if (frames.length > 0) {
      this.#steps.join(seen);
    }
    return { code: 0, timeMs: 0, bytes: mpiTakeReply.encode(frames) };
  }

  async #leave(): Promise<OperationReply> {
    await this.#wait.for(this.#mustSit().leave());
    this.#hasLeft = true;
    return plainReply(0);
  }

  async #abort(args: Uint8Array): Promise<OperationReply> {
    const { code } = mpiAbortArgs.decode(args);
    const { rank, worldSize } = this.#init;
    const seat = this.#mustSit();
    seat.lose(`rank ${rank} of ${worldSize} called MPI_Abort with ${code}`);
    throw seat.loss ?? new NeapError("WORLD_LOST", "MPI_Abort");
  }

  #mustSit(): Seat {
    if (this.#seat === null) {
      throw new NeapError("WORLD_LOST", "the call is no rank of a world");
    }
    return this.#seat;
  }

  /** All that the guest can have seen, or written. */
  #seen(): SeqNum {
    return this.#steps.dependency;
  }
}

function whyEnded(end: AttemptEnd): string {
  switch (end.kind) {
    case "returned":
      return end.value === 0 ? "ended without MPI_Finalize" : `returned ${end.value}`;
    case "trapped":
      return `failed: ${end.message}`;
    case "killed":
      return `was ended: ${end.message}`;
    case "failed":
      return `was ended: ${end.error.code}: ${end.error.message}`;
    case "fenced":
      return `was ended: ${end.fenced.message}`;
    default:
      return "was interrupted";
  }
}

/** What came of a rank is the world's matter when the rank has come to nothing without a seat in it, or after its attempt. */
function watched(world: World, rank: number, end: RankEnd): RankEnd {
  const failure = end.kind === "refused" ? end.reason : end.failure;
  if (failure !== null) {
    world.lose(`rank ${rank} of ${world.size} ${failure}`);
  } else if (!world.hasLeft(rank)) {
    world.lose(`rank ${rank} of ${world.size} ended without MPI_Finalize`);
  }
  return end;
}

/** What came of a rank, for its world. */
export function rankEnd(outcome: InstanceOutcome, { cpuMs }: Trace): RankEnd {
  if (outcome.kind !== "completed") {
    const why = outcome.kind === "pending" ? outcome.reason : outcome.message;
    return { kind: "ended", failure: `was ended: ${why}`, dependency: NO_SEQNUM, cpuMs };
  }
  const { returnValue, trap } = outcome.done;
  const failure = trap !== "" ? `failed: ${trap}` : returnValue !== 0 ? `returned ${returnValue}` : null;
  return { kind: "ended", failure, dependency: outcome.dependency, cpuMs };
}
