/** Ranks of a world that call single imports of MPI as a guest does, each with a memory of its own; the world between them is the host's. */
import fc from "fast-check";
import { expect } from "vitest";
import { importFunctions } from "../../host/abi/create-imports.ts";
import { mpiJoinReply, mpiTakeArgs, mpiTakeReply, Operation } from "../../host/abi/operations.ts";
import { type Seat, World } from "../../host/invocation/world.ts";
import { GuestFault } from "../../host/sandbox/guest.ts";
import type { OperationReply } from "../../host/sandbox/sandbox.ts";
import { NO_SEQNUM } from "../../state/ids.ts";
import { MemoryGuest, MemoryHost } from "./memory-guest.ts";

const PAGES = { initial: 40, maximum: 200 };
/** By the numbers of guest-sdk/include/mpi.h. */
export const MPI = {
  world: 1,
  self: 2,
  char: 1,
  byte: 3,
  int: 6,
  unsigned: 7,
  long64: 8,
  float: 10,
  double: 11,
  intInt: 12,
  doubleInt: 14,
  max: 1,
  min: 2,
  sum: 3,
  product: 4,
  and: 5,
  bitAnd: 6,
  xor: 9,
  minloc: 11,
  maxloc: 12,
  replace: 13,
  anySource: -1,
  anyTag: -1,
  nobody: -2,
  undefined: -32_766,
  inPlace: -1,
} as const;

/** What a function of the guest's table does, by index: with its memory, and four addresses. */
export type TableFunction = (memory: DataView, ...args: readonly number[]) => void;

class RankGuest extends MemoryGuest {
  readonly #seat: Seat;
  readonly #rank: number;
  readonly #size: number;
  readonly functions = new Map<number, TableFunction>();
  /** Frames sent, and their bytes. */
  frames = 0;
  sentBytes = 0;

  constructor(world: World, rank: number, size: number) {
    super(new MemoryHost(), new Uint8Array(0));
    const seat = world.seat(rank, () => {});
    if (seat === null) {
      throw new Error(`there is no rank ${rank}`);
    }
    this.#seat = seat;
    this.#rank = rank;
    this.#size = size;
  }

  override async request(operation: number, args: Uint8Array): Promise<OperationReply> {
    const reply = (bytes: Uint8Array = new Uint8Array(0)): OperationReply => ({
      code: 0,
      timeMs: 0,
      bytes: new Uint8Array(bytes),
    });
    switch (operation) {
      case Operation.mpiJoin:
        await this.#seat.come();
        return reply(mpiJoinReply.encode(this.#rank, this.#size));
      case Operation.mpiTake:
        return reply(mpiTakeReply.encode((await this.#seat.take(mpiTakeArgs.decode(args).waits)).frames));
      case Operation.mpiLeave:
        await this.#seat.leave();
        return reply();
      case Operation.mpiAbort:
        this.#seat.lose("aborted");
        throw this.#seat.loss;
      default:
        return super.request(operation, args);
    }
  }

  override post(operation: number, args: Uint8Array): Promise<void> | undefined {
    if (operation !== Operation.mpiSend) {
      return super.post(operation, args);
    }
    const copy = Uint8Array.from(args);
    this.frames += 1;
    this.sentBytes += copy.byteLength;
    void this.#seat.send(new DataView(copy.buffer).getUint16(0, true), copy.subarray(2), NO_SEQNUM);
    return this.frames % 3 === 0 ? Promise.resolve() : undefined;
  }

  override callTableFunction(tableIndex: number, ...args: number[]): void {
    const run = this.functions.get(tableIndex);
    if (run === undefined) {
      super.callTableFunction(tableIndex);
      return;
    }
    const bytes = this.memory();
    run(new DataView(bytes.buffer), ...args);
  }
}

export class MpiRank {
  readonly rank: number;
  readonly guest: RankGuest;
  readonly #memory = new WebAssembly.Memory(PAGES);
  readonly #functions: ReturnType<typeof importFunctions>;

  constructor(world: World, rank: number, size: number) {
    this.rank = rank;
    this.guest = new RankGuest(world, rank, size);
    this.guest.attach({ memory: this.#memory });
    this.#functions = importFunctions(this.guest);
  }

  /** Calls "env.MPI_<name>". */
  async call(name: string, ...args: readonly number[]): Promise<number> {
    const run = this.#functions[`env.MPI_${name}`] as ((...args: readonly number[]) => unknown) | undefined;
    if (run === undefined) {
      throw new Error(`there is no MPI_${name}`);
    }
    return Number(await run(...args));
  }

  ints(pointer: number, count: number): number[] {
    return Array.from(new Int32Array(this.#memory.buffer, pointer, count));
  }

  int(pointer: number): number {
    return this.ints(pointer, 1)[0] ?? 0;
  }

  putInts(pointer: number, ...values: readonly number[]): void {
    new Int32Array(this.#memory.buffer, pointer, values.length).set(values);
  }

  doubles(pointer: number, count: number): number[] {
    return Array.from(new Float64Array(this.#memory.buffer, pointer, count));
  }

  putDoubles(pointer: number, ...values: readonly number[]): void {
    new Float64Array(this.#memory.buffer, pointer, values.length).set(values);
  }

  bytes(pointer: number, length: number): Buffer {
    return Buffer.from(this.#memory.buffer, pointer, length);
  }

  get memoryBytes(): number {
    return this.#memory.buffer.byteLength;
  }
}

/** Runs `main` as each of `size` ranks, between MPI_Init and MPI_Finalize. @returns what each of them returns */
export async function runRanks<T>(size: number, main: (rank: MpiRank) => Promise<T>): Promise<T[]> {
  const world = new World(size);
  const ranks = Array.from({ length: size }, (_, rank) => new MpiRank(world, rank, size));
  return Promise.all(
    ranks.map(async (rank) => {
      try {
        await rank.call("Init", 0, 0);
        const result = await main(rank);
        await rank.call("Finalize");
        return result;
      } catch (error) {
        world.lose(String(error));
        throw error;
      }
    }),
  );
}

/** Whatever a lone rank passes to "env.MPI_<name>", which takes `count` numbers: it ends the call or answers. */
export async function endsOrAnswers(name: string, count: number, edges: readonly number[]): Promise<void> {
  const i32 = fc.oneof(fc.constantFrom(...edges), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }));
  await fc.assert(
    fc.asyncProperty(fc.array(i32, { minLength: count, maxLength: count }), async (args) => {
      await runRanks(1, async (rank) => {
        const outcome = await rank.call(name, ...args).catch((error: unknown) => error);
        expect(outcome === 0 || outcome instanceof GuestFault).toBe(true);
      });
    }),
    { numRuns: 150 },
  );
}
