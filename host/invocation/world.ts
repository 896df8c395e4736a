/**
 * The ranks of one call with MPI, and the frames between them.
 *
 * Owns: who of the ranks is there, frames from when they are sent until they are taken. Does not own: what frames mean (host/abi/mpi),
 * the ranks' instances.
 *
 * W1. All ranks or none: nobody gets beyond MPI_Init before all have come.
 * W2. Frames are in no log. A rank that has come is never run again: how it ends, its world ends with it, unless all have called MPI_Finalize.
 * W3. A world that is lost says why, once, and every rank of it is ended with that.
 * W4. Who takes a frame has seen what its sender had: `seen` goes along, and moves the receiver's cursor. So what a rank has written before it
 *     sends, others find; and nothing that rests on a frame leaves the platform before what the frame rests on is durable (F8).
 * W5. What is kept for a rank is bounded: ranks say what they have room for, and who sends more than that loses the world.
 */
import { NeapError } from "../../state/errors.ts";
import { type InstanceId, NO_SEQNUM, type SeqNum } from "../../state/ids.ts";
import type { MpiFrame } from "../abi/operations.ts";
import type { RankHost } from "../offload/index.ts";

/** What one answer holds at most, but for a frame that is longer: a unit of work of the main thread (H27). */
const TAKE_MAX_BYTES = 256 * 1024;
/** Of frames that wait for one rank: more than its own rules of giving room let through. */
const WAITING_MAX_BYTES = 64 * 1024 * 1024;

export interface Taken {
  readonly frames: readonly MpiFrame[];
  /** The highest seqnum that any of the frames rests on. */
  readonly seen: SeqNum;
}

const NOTHING: Taken = { frames: [], seen: NO_SEQNUM };

/** A rank's place in its world, wherever that is. */
export interface Seat {
  /** Resolves when all ranks have come. @throws WORLD_LOST */
  come(): Promise<void>;
  /** @throws WORLD_LOST */
  send(to: number, frame: Uint8Array, seen: SeqNum): Promise<void> | void;
  /** What has come; `waits`: when something has. Frames of at most `maxBytes`, or one. @throws WORLD_LOST */
  take(waits: boolean, maxBytes?: number): Promise<Taken> | Taken;
  /** The rank needs the others no more; resolves when none does. @throws WORLD_LOST */
  leave(): Promise<void>;
  /** The rank has come to nothing; nobody else's loss counts after the first. */
  lose(reason: string): void;
  /** Why the world is lost; null: it is not. */
  readonly loss: NeapError | null;
}

interface Waiting extends MpiFrame {
  readonly seen: SeqNum;
}

class Place implements Seat {
  readonly #world: World;
  readonly rank: number;
  readonly #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #taker: { readonly maxBytes: number; readonly taken: PromiseWithResolvers<Taken> } | null = null;
  #isHere = false;
  #hasLeft = false;
  /** Ends the rank. */
  onLost: (loss: NeapError) => void = () => {};

  constructor(world: World, rank: number) {
    this.#world = world;
    this.rank = rank;
  }

  get isHere(): boolean {
    return this.#isHere;
  }

  get hasLeft(): boolean {
    return this.#hasLeft;
  }

  get loss(): NeapError | null {
    return this.#world.loss;
  }

  async come(): Promise<void> {
    this.#world.check();
    this.#isHere = true;
    await this.#world.allHere();
  }

  send(to: number, frame: Uint8Array, seen: SeqNum): void {
    this.#world.check();
    this.#world.place(to)?.receive({ from: this.rank, frame, seen });
  }

  receive(frame: Waiting): void {
    this.#waiting.push(frame);
    this.#waitingBytes += frame.frame.byteLength;
    if (this.#waitingBytes > WAITING_MAX_BYTES) {
      this.#world.lose(
        `more than ${WAITING_MAX_BYTES} bytes wait for rank ${this.rank}, the last of them from rank ${frame.from}`,
      );
    } else if (this.#taker !== null) {
      this.#taker.taken.resolve(this.#some(this.#taker.maxBytes));
      this.#taker = null;
    }
  }

  take(waits: boolean, maxBytes = TAKE_MAX_BYTES): Promise<Taken> | Taken {
    this.#world.check();
    if (this.#waiting.length > 0) {
      return this.#some(maxBytes);
    }
    if (!waits) {
      return NOTHING;
    }
    this.#taker = { maxBytes, taken: Promise.withResolvers() };
    return this.#taker.taken.promise;
  }

  async leave(): Promise<void> {
    this.#world.check();
    this.#hasLeft = true;
    await this.#world.allLeft();
  }

  lose(reason: string): void {
    this.#world.lose(reason);
  }

  drop(loss: NeapError): void {
    this.#waiting.length = 0;
    this.#waitingBytes = 0;
    this.#taker?.taken.reject(loss);
    this.#taker = null;
  }

  #some(maxBytes: number): Taken {
    let sizeBytes = 0;
    let count = 0;
    let seen: SeqNum = NO_SEQNUM;
    for (const one of this.#waiting) {
      if (count > 0 && sizeBytes + one.frame.byteLength > maxBytes) {
        break;
      }
      count += 1;
      sizeBytes += one.frame.byteLength;
      seen = one.seen > seen ? one.seen : seen;
    }
    this.#waitingBytes -= sizeBytes;
    return { frames: this.#waiting.splice(0, count), seen };
  }
}

export class World implements Seats {
  readonly size: number;
  readonly #places: readonly Place[];
  readonly #here = Promise.withResolvers<void>();
  readonly #left = Promise.withResolvers<void>();
  readonly #over = Promise.withResolvers<void>();
  #loss: NeapError | null = null;

  constructor(size: number) {
    this.size = size;
    this.#places = Array.from({ length: size }, (_, rank) => new Place(this, rank));
    // Ranks that wait for it are ended otherwise, too.
    this.#here.promise.catch(() => {});
    this.#left.promise.catch(() => {});
  }

  get loss(): NeapError | null {
    return this.#loss;
  }

  place(rank: number): Place | null {
    return this.#places[rank] ?? null;
  }

  /** @param onLost  ends the rank. @returns null when there is no such rank, or it was there before */
  seat(rank: number, onLost: (loss: NeapError) => void): Seat | null {
    const place = this.place(rank);
    if (place === null || place.isHere) {
      return null;
    }
    place.onLost = onLost;
    return place;
  }

  /** Resolves when the world is lost, or nobody needs it any more. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  close(): void {
    this.#over.resolve();
  }

  hasLeft(rank: number): boolean {
    return this.place(rank)?.hasLeft === true;
  }

  /** @throws WORLD_LOST */
  check(): void {
    if (this.#loss !== null) {
      throw this.#loss;
    }
  }

  allHere(): Promise<void> {
    if (this.#places.every(({ isHere }) => isHere)) {
      this.#here.resolve();
    }
    return this.#here.promise;
  }

  allLeft(): Promise<void> {
    if (this.#places.every(({ hasLeft }) => hasLeft)) {
      this.#left.resolve();
    }
    return this.#left.promise;
  }

  lose(reason: string): void {
    if (this.#loss !== null) {
      return;
    }
    const loss = new NeapError("WORLD_LOST", reason);
    this.#loss = loss;
    this.#over.resolve();
    this.#here.reject(loss);
    this.#left.reject(loss);
    for (const place of this.#places) {
      place.drop(loss);
      place.onLost(loss);
    }
  }
}

/** Where ranks find their places. */
export interface Seats {
  /** @param onLost  ends the rank. @returns null when there is no such rank, or it was there before */
  seat(rank: number, onLost: (loss: NeapError) => void): Seat | null;
}

/** Where so many ranks beside the first run; null: here. */
export type RankPlaces = (count: number) => Promise<readonly (RankHost | null)[]>;

/** The worlds of the ranks that run in this process, by the instance of rank 0. */
export class Worlds {
  /** For worlds whose rank 0 runs here. */
  places: RankPlaces = async () => [];
  readonly #worlds = new Map<InstanceId, World>();
  readonly #far = new Map<InstanceId, { readonly seats: Seats; readonly ranks: number }>();

  open(root: InstanceId, size: number): World {
    const world = new World(size);
    this.#worlds.set(root, world);
    return world;
  }

  /** That of a rank, here or at another node. */
  find(root: InstanceId): Seats | null {
    return this.#worlds.get(root) ?? this.#far.get(root)?.seats ?? null;
  }

  /** One whose rank 0 runs here. */
  own(root: InstanceId): World | null {
    return this.#worlds.get(root) ?? null;
  }

  close(root: InstanceId): void {
    this.#worlds.get(root)?.close();
    this.#worlds.delete(root);
  }

  /** From now on a rank here finds its world at another node, as often as it is attached. */
  attach(root: InstanceId, seats: Seats): void {
    this.#far.set(root, { seats, ranks: (this.#far.get(root)?.ranks ?? 0) + 1 });
  }

  detach(root: InstanceId): void {
    const far = this.#far.get(root);
    if (far !== undefined && far.ranks > 1) {
      this.#far.set(root, { ...far, ranks: far.ranks - 1 });
    } else {
      this.#far.delete(root);
    }
  }
}
