/**
 * The threads of a call that run parallel regions together: the main thread, which begins them, and others that wait in between.
 *
 * Owns: who is in the region that runs, and where its threads wait for each other. Does not own: how a thread is started (`team.ts`).
 *
 * 1. One word says which region runs and how many threads it has: a thread that wakes late never takes one for another.
 * 2. What it says of a region changes only when all its threads have come to its end.
 * 3. The order in which threads take turns at `awaitTurn` is that of their ranks: what they put together so is the same in each run.
 * 4. Each word is changed by one atomic operation at a time; threads wait for the guest's doing only (H10).
 */
import type { GuestCrew, ParallelRegion } from "../guest.ts";
import { CrewLoops, LOOP_BYTES } from "./crew-loops.ts";

/** The region that runs: its number, then its threads in the lower bits. */
const REGION = 0;
const FUNCTION = 1;
const ARGUMENTS = 2;
const ARGUMENT_COUNT = 3;
/** Threads at the barrier, and how often all were there. */
const ARRIVED = 4;
const BARRIERS = 5;
/** Threads that have come to the end of the region, without the main thread. */
const FINISHED = 6;
const CLAIMED = 7;
const TURN = 8;
/** Threads that live, without the main thread. */
const MEMBERS = 9;
const WORDS = 10;
const LOOPS_AT = WORDS * Int32Array.BYTES_PER_ELEMENT;

const SIZE_BITS = 8;
const SIZE_MASK = (1 << SIZE_BITS) - 1;
const DISMISSED = -1;

export const CREW_BYTES = LOOPS_AT + LOOP_BYTES;

/** Starts the thread of that rank. False when there is no room for it. */
export type StartMember = (rank: number, seen: number, grow: (pages: number) => number) => boolean;

export class Crew implements GuestCrew {
  readonly rank: number;
  wanted = 0;
  readonly #words: Int32Array;
  readonly #loops: CrewLoops;
  readonly #isLeader: boolean;
  readonly #start: StartMember;
  /** Threads of the region that it shares with others; 1 outside of one. */
  #sharedSize = 1;
  /** Regions in which it is alone, innermost. */
  #alone = 0;
  #claims = 0;
  #turns = 0;

  /** @param shared  CREW_BYTES, zero when the call begins  @param isLeader  of the main thread */
  constructor(rank: number, isLeader: boolean, shared: SharedArrayBuffer, start: StartMember) {
    this.rank = rank;
    this.#isLeader = isLeader;
    this.#words = new Int32Array(shared, 0, WORDS);
    this.#loops = new CrewLoops(shared, LOOPS_AT);
    this.#start = start;
  }

  get index(): number {
    return this.size === 1 ? 0 : this.rank;
  }

  get size(): number {
    return this.#alone > 0 ? 1 : this.#sharedSize;
  }

  get level(): number {
    return this.#alone + (this.isShared ? 1 : 0);
  }

  get isShared(): boolean {
    return this.#sharedSize > 1;
  }

  fork(size: number, { tableIndex, argumentsPointer, argumentCount }: ParallelRegion, grow: (pages: number) => number): void {
    const threads = this.level === 0 && this.#isLeader ? this.#members(Math.min(size, SIZE_MASK), grow) : 1;
    if (threads === 1) {
      this.enter();
      return;
    }
    const words = this.#words;
    words[FUNCTION] = tableIndex;
    words[ARGUMENTS] = argumentsPointer;
    words[ARGUMENT_COUNT] = argumentCount;
    for (const word of [ARRIVED, FINISHED, CLAIMED, TURN]) {
      Atomics.store(words, word, 0);
    }
    this.#begin(threads, true);
    const number = (Atomics.load(words, REGION) >> SIZE_BITS) + 1;
    // Numbers repeat after 2^22 regions: a thread that would take one for another would have slept through all of them.
    Atomics.store(words, REGION, ((number & 0x3fffff) << SIZE_BITS) | threads);
    Atomics.notify(words, REGION);
  }

  join(): void {
    if (this.leave()) {
      return;
    }
    for (let finished = this.#finished(); finished < this.#sharedSize - 1; finished = this.#finished()) {
      Atomics.wait(this.#words, FINISHED, finished);
    }
    this.#sharedSize = 1;
  }

  enter(): void {
    this.#alone += 1;
    this.#loops.enterAlone();
  }

  leave(): boolean {
    if (this.#alone === 0) {
      return false;
    }
    this.#alone -= 1;
    this.#loops.leaveAlone();
    return true;
  }

  barrier(): void {
    const { size } = this;
    if (size === 1) {
      return;
    }
    const words = this.#words;
    const before = Atomics.load(words, BARRIERS);
    if (Atomics.add(words, ARRIVED, 1) + 1 === size) {
      Atomics.store(words, ARRIVED, 0);
      Atomics.add(words, BARRIERS, 1);
      Atomics.notify(words, BARRIERS);
      return;
    }
    while (Atomics.load(words, BARRIERS) === before) {
      Atomics.wait(words, BARRIERS, before);
    }
  }

  once(): boolean {
    if (this.size === 1) {
      return true;
    }
    const claim = this.#claims++;
    return Atomics.compareExchange(this.#words, CLAIMED, claim, claim + 1) === claim;
  }

  awaitTurn(): void {
    if (this.size === 1) {
      return;
    }
    const turn = this.#turns * this.size + this.rank;
    for (let at = Atomics.load(this.#words, TURN); at !== turn; at = Atomics.load(this.#words, TURN)) {
      Atomics.wait(this.#words, TURN, at);
    }
  }

  passTurn(): void {
    if (this.size === 1) {
      return;
    }
    this.#turns += 1;
    Atomics.add(this.#words, TURN, 1);
    Atomics.notify(this.#words, TURN);
  }

  beginLoop(total: bigint): void {
    this.#loops.begin(total, this.size);
  }

  takeTurns(want: (left: bigint) => bigint): { readonly from: bigint; readonly count: bigint } | null {
    return this.#loops.take(want);
  }

  dismiss(): void {
    const words = this.#words;
    // In the middle of a region they do not come to its end; then they end with the call.
    if (this.#sharedSize > 1 || Atomics.load(words, MEMBERS) === 0) {
      return;
    }
    Atomics.store(words, REGION, DISMISSED);
    Atomics.notify(words, REGION);
    for (let live = Atomics.load(words, MEMBERS); live > 0; live = Atomics.load(words, MEMBERS)) {
      Atomics.wait(words, MEMBERS, live);
    }
  }

  // of the threads that the main thread has started

  /** Runs this thread's share of each region, from the one behind `seen` on, until it is dismissed. */
  serve(seen: number, run: (region: ParallelRegion) => void): void {
    const words = this.#words;
    for (let known = seen; ; ) {
      while (Atomics.load(words, REGION) === known) {
        Atomics.wait(words, REGION, known);
      }
      known = Atomics.load(words, REGION);
      if (known === DISMISSED) {
        return;
      }
      const size = known & SIZE_MASK;
      if (this.rank < size) {
        this.#begin(size, false);
        const [tableIndex = 0, argumentsPointer = 0, argumentCount = 0] = words.subarray(FUNCTION);
        run({ tableIndex, argumentsPointer, argumentCount });
        this.#sharedSize = 1;
        this.#alone = 0;
        Atomics.add(words, FINISHED, 1);
        Atomics.notify(words, FINISHED);
      }
    }
  }

  /** This thread touches the guest's memory no more. */
  left(): void {
    Atomics.sub(this.#words, MEMBERS, 1);
    Atomics.notify(this.#words, MEMBERS);
  }

  #finished(): number {
    return Atomics.load(this.#words, FINISHED);
  }

  #begin(size: number, isLeader: boolean): void {
    this.#sharedSize = size;
    this.#alone = 0;
    this.#claims = 0;
    this.#turns = 0;
    this.#loops.beginRegion(isLeader);
  }

  /** Starts those that are missing. @returns how many threads there are, the main thread included */
  #members(size: number, grow: (pages: number) => number): number {
    const seen = Atomics.load(this.#words, REGION);
    let live = Atomics.load(this.#words, MEMBERS);
    while (live < size - 1 && this.#start(live + 1, seen, grow)) {
      live = Atomics.add(this.#words, MEMBERS, 1) + 1;
    }
    return Math.max(1, Math.min(size, live + 1));
  }
}
