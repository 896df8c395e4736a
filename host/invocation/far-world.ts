/**
 * Worlds between nodes: how a rank is in one that is at another node, and what such ranks may ask of one that is here.
 *
 * Frames go to the node of the world and from there to their receivers, in the order in which they were sent.
 */
import { ByteReader, ByteWriter } from "../../state/bytes.ts";
import { hasCode, NeapError } from "../../state/errors.ts";
import { type InstanceId, NO_SEQNUM, type SeqNum } from "../../state/ids.ts";
import { mpiTakeReply } from "../abi/operations.ts";
import type { RankAsk, WorldAnswer, WorldDesk } from "../offload/index.ts";
import type { Seat, Seats, Taken, World } from "./world.ts";

/** Of one answer between nodes (H27). */
const TAKE_MAX_BYTES = 128 * 1024;
const NOTHING: Uint8Array = new Uint8Array(0);

/** A world at the node that `desk` asks. */
export class FarWorld implements Seats {
  readonly #desk: WorldDesk;
  readonly #root: InstanceId;

  constructor(desk: WorldDesk, root: InstanceId) {
    this.#desk = desk;
    this.#root = root;
  }

  seat(rank: number, onLost: (loss: NeapError) => void): Seat {
    return new FarSeat((what, seen, bytes) => this.#desk.ask(this.#root, rank, what, seen, bytes), onLost);
  }
}

type Ask = (what: RankAsk, seen: SeqNum, bytes: Uint8Array) => Promise<WorldAnswer>;

class FarSeat implements Seat {
  readonly #ask: Ask;
  readonly #onLost: (loss: NeapError) => void;
  #loss: NeapError | null = null;

  constructor(ask: Ask, onLost: (loss: NeapError) => void) {
    this.#ask = ask;
    this.#onLost = onLost;
  }

  get loss(): NeapError | null {
    return this.#loss;
  }

  async come(): Promise<void> {
    void this.#watch();
    await this.#asked("come");
  }

  /** It does not wait: what is on its way is bounded by what receivers have given room for. */
  send(to: number, frame: Uint8Array, seen: SeqNum): void {
    const w = new ByteWriter(2 + frame.byteLength).u16(to).raw(frame);
    this.#asked("send", seen, w.view()).catch((error) => this.#lost(error));
  }

  async take(waits: boolean): Promise<Taken> {
    const { seen, bytes } = await this.#asked(waits ? "take" : "look");
    return { seen, frames: mpiTakeReply.decode(bytes) };
  }

  async leave(): Promise<void> {
    await this.#asked("leave");
  }

  lose(reason: string): void {
    this.#loss ??= new NeapError("WORLD_LOST", reason);
    this.#ask("lose", NO_SEQNUM, Buffer.from(reason)).catch(() => {});
  }

  async #asked(what: RankAsk, seen: SeqNum = NO_SEQNUM, bytes: Uint8Array = NOTHING): Promise<WorldAnswer> {
    if (this.#loss !== null) {
      throw this.#loss;
    }
    try {
      return await this.#ask(what, seen, bytes);
    } catch (error) {
      throw this.#lost(error);
    }
  }

  async #watch(): Promise<void> {
    try {
      const { bytes } = await this.#ask("watch", NO_SEQNUM, NOTHING);
      if (bytes.byteLength > 0) {
        this.#lost(new NeapError("WORLD_LOST", Buffer.from(bytes).toString()));
      }
    } catch (error) {
      this.#lost(error);
    }
  }

  #lost(error: unknown): NeapError {
    if (!(error instanceof NeapError)) {
      throw error;
    }
    if (this.#loss === null) {
      const why = `the node of the world is out of reach: ${error.message}`;
      this.#loss = hasCode(error, "WORLD_LOST") ? error : new NeapError("WORLD_LOST", why);
      this.#onLost(this.#loss);
    }
    return this.#loss;
  }
}

/** What a rank at another node asks of a world that is here. @throws WORLD_LOST */
export async function answerRank(
  world: World | null,
  rank: number,
  what: RankAsk,
  seen: SeqNum,
  bytes: Uint8Array,
): Promise<WorldAnswer> {
  const place = world?.place(rank) ?? null;
  if (world === null || place === null) {
    throw new NeapError("WORLD_LOST", "the world is gone");
  }
  switch (what) {
    case "come":
      await place.come();
      break;
    case "send":
      place.send(new ByteReader(bytes).u16(), bytes.subarray(2), seen);
      break;
    case "take":
    case "look": {
      const taken = await place.take(what === "take", TAKE_MAX_BYTES);
      return { seen: taken.seen, bytes: mpiTakeReply.encode(taken.frames) };
    }
    case "leave":
      await place.leave();
      break;
    case "lose":
      world.lose(bytes.byteLength > LOSS_MAX_BYTES ? "a rank was lost" : Buffer.from(bytes).toString());
      break;
    case "watch":
      await world.over;
      return { seen: NO_SEQNUM, bytes: Buffer.from(world.loss?.message ?? "") };
  }
  return { seen: NO_SEQNUM, bytes: NOTHING };
}

/** Of a reason. */
const LOSS_MAX_BYTES = 64 * 1024;
