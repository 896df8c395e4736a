import { describe, expect, it } from "vitest";
import { GuestFault } from "../../../../../host/sandbox/guest.ts";
import { endsOrAnswers, MPI, type MpiRank, runRanks } from "../../../../support/mpi-ranks.ts";

const { world, int, double, byte, sum, inPlace } = MPI;
const SENT = 65_536;
const RECEIVED = 1_048_576;
const COUNTS = 1024;
const PLACES = 2048;
const SIZES = [1, 2, 3, 4, 7];

const everyRank = (size: number) => Array.from({ length: size }, (_, rank) => rank);

describe.each(SIZES)("with %i ranks", (size) => {
  const all = everyRank(size);

  it("MPI_Barrier lets nobody go before all have come", async () => {
    let arrived = 0;
    await runRanks(size, async (rank) => {
      for (const round of [1, 2, 3]) {
        arrived += 1;
        await rank.call("Barrier", world);
        expect(arrived).toBeGreaterThanOrEqual(round * size);
        await rank.call("Barrier", world);
      }
    });
  });

  it.each([0, size - 1])("MPI_Bcast gives all what root %i has, long or short", async (root) => {
    await runRanks(size, async (rank) => {
      for (const length of [0, 4, 200_000]) {
        rank.bytes(SENT, length).fill(rank.rank === root ? 7 : 1);
        await rank.call("Bcast", SENT, length, byte, root, world);
        expect(rank.bytes(SENT, length).every((one) => one === 7)).toBe(true);
      }
    });
  });

  it.each([0, size - 1])("MPI_Scatter and MPI_Gather with root %i are the reverse of each other, in place, too", async (root) => {
    await runRanks(size, async (rank) => {
      const values = all.flatMap((one) => [10 * one, 10 * one + 1]);
      if (rank.rank === root) {
        rank.putInts(SENT, ...values);
      }
      await rank.call("Scatter", SENT, 2, int, COUNTS, 2, int, root, world);
      expect(rank.ints(COUNTS, 2)).toEqual([10 * rank.rank, 10 * rank.rank + 1]);
      await rank.call("Gather", COUNTS, 2, int, RECEIVED, 2, int, root, world);
      expect(rank.ints(RECEIVED, 2 * size)).toEqual(rank.rank === root ? values : values.map(() => 0));
      const own = rank.rank === root ? inPlace : COUNTS;
      await rank.call("Scatter", SENT, 2, int, own, 2, int, root, world);
      await rank.call("Gather", own, 2, int, RECEIVED, 2, int, root, world);
      expect(rank.ints(RECEIVED, 2 * size)).toEqual(rank.rank === root ? values : values.map(() => 0));
    });
  });

  it("MPI_Scatterv and MPI_Gatherv take blocks of other sizes and places, none too", async () => {
    const counts = all.map((one) => one % 3);
    const places = all.map((one) => 4 * (size - 1 - one));
    await runRanks(size, async (rank) => {
      rank.putInts(COUNTS, ...counts);
      rank.putInts(PLACES, ...places);
      const own = counts[rank.rank] ?? 0;
      const values = Array.from({ length: 4 * size }, (_, at) => 100 + at);
      if (rank.rank === 0) {
        rank.putInts(SENT, ...values);
      }
      await rank.call("Scatterv", SENT, COUNTS, PLACES, int, RECEIVED, own, int, 0, world);
      const place = places[rank.rank] ?? 0;
      expect(rank.ints(RECEIVED, own)).toEqual(values.slice(place, place + own));
      await rank.call("Gatherv", RECEIVED, own, int, RECEIVED + 4096, COUNTS, PLACES, int, 0, world);
      if (rank.rank === 0) {
        const kept = values.map((value, at) =>
          all.some((one) => at >= (places[one] ?? 0) && at < (places[one] ?? 0) + (counts[one] ?? 0)) ? value : 0,
        );
        expect(rank.ints(RECEIVED + 4096, 4 * size)).toEqual(kept);
      }
    });
  });

  it("MPI_Allgather and MPI_Allgatherv give all blocks to all, in place, too", async () => {
    await runRanks(size, async (rank) => {
      rank.putInts(SENT, rank.rank, 50 - rank.rank);
      await rank.call("Allgather", SENT, 2, int, RECEIVED, 2, int, world);
      const values = all.flatMap((one) => [one, 50 - one]);
      expect(rank.ints(RECEIVED, 2 * size)).toEqual(values);
      rank.putInts(RECEIVED, ...values.map((value, at) => (Math.floor(at / 2) === rank.rank ? value + 5 : 0)));
      await rank.call("Allgather", inPlace, 0, int, RECEIVED, 2, int, world);
      expect(rank.ints(RECEIVED, 2 * size)).toEqual(values.map((value) => value + 5));
      const counts = all.map((one) => one + 1);
      const places = all.map((one) => 10 * one);
      rank.putInts(COUNTS, ...counts);
      rank.putInts(PLACES, ...places);
      rank.putInts(SENT, ...Array.from({ length: rank.rank + 1 }, () => rank.rank));
      await rank.call("Allgatherv", SENT, rank.rank + 1, int, RECEIVED + 4096, COUNTS, PLACES, int, world);
      for (const one of all) {
        expect(rank.ints(RECEIVED + 4096 + 40 * one, one + 1)).toEqual(Array.from({ length: one + 1 }, () => one));
      }
    });
  });

  it("MPI_Alltoall and MPI_Alltoallv give each rank its block of each, long ones, too", async () => {
    await runRanks(size, async (rank) => {
      rank.putInts(SENT, ...all.map((to) => 100 * rank.rank + to));
      await rank.call("Alltoall", SENT, 1, int, RECEIVED, 1, int, world);
      expect(rank.ints(RECEIVED, size)).toEqual(all.map((from) => 100 * from + rank.rank));
      // To rank r as many as r + 1, and 30,000 more to the last one.
      const lengthOf = (from: number, to: number) => to + 1 + (to === size - 1 ? 30_000 : from);
      const places = (lengths: number[]) => lengths.map((_, at) => lengths.slice(0, at).reduce((a, b) => a + b, 0));
      const sent = all.map((to) => lengthOf(rank.rank, to));
      const received = all.map((from) => lengthOf(from, rank.rank));
      rank.putInts(COUNTS, ...sent);
      rank.putInts(COUNTS + 256, ...places(sent));
      rank.putInts(PLACES, ...received);
      rank.putInts(PLACES + 256, ...places(received));
      for (const [to, place] of places(sent).entries()) {
        rank.putInts(SENT + 4 * place, 1000 * rank.rank + to);
      }
      await rank.call("Alltoallv", SENT, COUNTS, COUNTS + 256, int, RECEIVED, PLACES, PLACES + 256, int, world);
      for (const [from, place] of places(received).entries()) {
        expect(rank.int(RECEIVED + 4 * place)).toBe(1000 * from + rank.rank);
      }
    });
  });

  it.each([0, size - 1])(
    "MPI_Reduce to root %i, MPI_Allreduce, MPI_Scan and MPI_Reduce_scatter put values together",
    async (root) => {
      await runRanks(size, async (rank) => {
        const total = all.reduce((a, b) => a + b + 1, 0);
        rank.putInts(SENT, rank.rank + 1, 2 * (rank.rank + 1));
        rank.putInts(RECEIVED, -1, -1);
        await rank.call("Reduce", SENT, RECEIVED, 2, int, sum, root, world);
        expect(rank.ints(RECEIVED, 2)).toEqual(rank.rank === root ? [total, 2 * total] : [-1, -1]);
        await rank.call("Allreduce", SENT, RECEIVED, 2, int, sum, world);
        expect(rank.ints(RECEIVED, 2)).toEqual([total, 2 * total]);
        rank.putInts(RECEIVED, rank.rank + 1);
        await rank.call("Allreduce", inPlace, RECEIVED, 1, int, sum, world);
        expect(rank.int(RECEIVED)).toBe(total);
        await rank.call("Scan", SENT, RECEIVED, 1, int, sum, world);
        expect(rank.int(RECEIVED)).toBe(((rank.rank + 1) * (rank.rank + 2)) / 2);
        rank.putInts(COUNTS, ...all.map((one) => one % 2));
        rank.putInts(SENT, ...all.map((one) => one + rank.rank));
        await rank.call("Reduce_scatter", SENT, RECEIVED, COUNTS, int, sum, world);
        const blocks = all.filter((one) => one % 2 === 1);
        const at = blocks.indexOf(rank.rank);
        if (at >= 0) {
          expect(rank.int(RECEIVED)).toBe(all.reduce((a, b) => a + b + at, 0));
        }
      });
    },
  );

  it("MPI_Allreduce of many values is that of each of them, and floating-point sums are the same at all ranks", async () => {
    const count = 80_000;
    const sums = await runRanks(size, async (rank) => {
      rank.putDoubles(SENT, ...Array.from({ length: 1000 }, (_, at) => 0.1 * at + rank.rank / 3));
      await rank.call("Allreduce", SENT, RECEIVED, count, double, sum, world);
      return rank.doubles(RECEIVED, count);
    });
    for (const one of sums) {
      expect(one).toEqual(sums[0]);
    }
    const [last = 0] = (sums[0] ?? []).slice(999, 1000);
    expect(last).toBeCloseTo(99.9 * size + all.reduce((a, b) => a + b, 0) / 3, 9);
  });
});

type Kind = "i8" | "u8" | "i16" | "u16" | "i32" | "u32" | "i64" | "u64" | "f32" | "f64";
const TYPES: Readonly<
  Record<Kind, readonly [number: number, array: { new (values: readonly never[]): { buffer: ArrayBufferLike } }]>
> = {
  i8: [1, Int8Array as never],
  u8: [2, Uint8Array as never],
  i16: [4, Int16Array as never],
  u16: [5, Uint16Array as never],
  i32: [6, Int32Array as never],
  u32: [7, Uint32Array as never],
  i64: [8, BigInt64Array as never],
  u64: [9, BigUint64Array as never],
  f32: [10, Float32Array as never],
  f64: [11, Float64Array as never],
};
/** Of 6 and 3; the last four are for whole numbers only. */
const RESULTS: readonly (readonly [number: number, result: number, isWhole: boolean])[] = [
  [1, 6, false],
  [2, 3, false],
  [3, 9, false],
  [4, 18, false],
  [5, 1, true],
  [6, 2, true],
  [7, 1, true],
  [8, 7, true],
  [9, 0, true],
  [10, 5, true],
];

describe("predefined operations", () => {
  it.each(Object.keys(TYPES) as Kind[])("put values of %s together", async (kind) => {
    const [type, Values] = TYPES[kind];
    const isBig = kind.endsWith("64") && kind !== "f64";
    const of = (...values: number[]) =>
      Buffer.from(
        new Values(values.map((value) => (isBig ? BigInt(value) : value)) as unknown as readonly never[]).buffer as ArrayBuffer,
      );
    await runRanks(2, async (rank) => {
      for (const [operator, result, isWhole] of RESULTS) {
        const own = of(rank.rank === 0 ? 6 : 3);
        rank.bytes(SENT, own.byteLength).set(own);
        const outcome = rank.call("Allreduce", SENT, RECEIVED, 1, type, operator, world);
        if (isWhole && kind.startsWith("f")) {
          await expect(outcome).rejects.toThrow("is not defined for");
        } else {
          await outcome;
          expect(rank.bytes(RECEIVED, own.byteLength), `operation ${operator}`).toEqual(of(result));
        }
      }
    });
  });

  it("sums and products of whole numbers wrap around", async () => {
    await runRanks(2, async (rank) => {
      rank.putInts(SENT, 2 ** 31 - 1);
      await rank.call("Allreduce", SENT, RECEIVED, 1, int, sum, world);
      expect(rank.int(RECEIVED)).toBe(-2);
      await rank.call("Allreduce", SENT, RECEIVED, 1, int, MPI.product, world);
      expect(rank.int(RECEIVED)).toBe(1);
    });
  });

  it("MPI_MINLOC and MPI_MAXLOC tell where the value is, of equal ones the first", async () => {
    await runRanks(3, async (rank) => {
      rank.putInts(SENT, rank.rank === 0 ? 9 : 4, 10 + rank.rank);
      await rank.call("Allreduce", SENT, RECEIVED, 1, MPI.intInt, MPI.minloc, world);
      expect(rank.ints(RECEIVED, 2)).toEqual([4, 11]);
      await rank.call("Allreduce", SENT, RECEIVED, 1, MPI.intInt, MPI.maxloc, world);
      expect(rank.ints(RECEIVED, 2)).toEqual([9, 10]);
      rank.putDoubles(SENT, -rank.rank / 2);
      rank.putInts(SENT + 8, rank.rank);
      await rank.call("Allreduce", SENT, RECEIVED, 1, MPI.doubleInt, MPI.minloc, world);
      expect([rank.doubles(RECEIVED, 1), rank.int(RECEIVED + 8)]).toEqual([[-1], 2]);
      await expect(rank.call("Allreduce", SENT, RECEIVED, 1, MPI.intInt, sum, world)).rejects.toThrow(
        "MPI_SUM is not defined for MPI_2INT",
      );
    });
  });

  it("MPI_Op_create makes one of a function, which gets the values in the order of the ranks, also of a type of its own", async () => {
    const FUNCTION = 5;
    await runRanks(5, async (rank) => {
      // Digits one behind the other: not the same in another order.
      rank.guest.functions.set(FUNCTION, (memory, lower = 0, higher = 0, length = 0, type = 0) => {
        expect([memory.getInt32(length, true), memory.getInt32(type, true)]).toEqual([1, rank.int(128)]);
        for (const at of [0, 4]) {
          memory.setInt32(higher + at, 10 * memory.getInt32(lower + at, true) + memory.getInt32(higher + at, true), true);
        }
      });
      await rank.call("Type_contiguous", 2, int, 128);
      await rank.call("Op_create", FUNCTION, 0, 132);
      rank.putInts(SENT, rank.rank + 1, 0);
      await rank.call("Scan", SENT, RECEIVED, 1, rank.int(128), rank.int(132), world);
      expect(rank.int(RECEIVED)).toBe([1, 12, 123, 1234, 12_345][rank.rank]);
    });
  });

  it("a function that is none ends the call", async () => {
    await expect(
      runRanks(2, async (rank) => {
        await rank.call("Op_create", 3, 1, 132);
        await rank.call("Allreduce", SENT, RECEIVED, 1, int, rank.int(132), world);
      }),
    ).rejects.toThrow("the table has no function");
  });
});

describe("mistakes", () => {
  const MISTAKES: readonly (readonly [string, readonly number[], string])[] = [
    ["Barrier", [0], "the communicator is MPI_COMM_NULL"],
    ["Bcast", [SENT, 1, int, 4, world], "the root is 4, must be a rank of the communicator, 0 to 0"],
    ["Bcast", [SENT, -1, int, 0, world], "the count of the buffer is -1"],
    ["Scatter", [SENT, 2, int, RECEIVED, 1, int, 0, world], "this rank sends itself 8 bytes, and wants 4"],
    ["Scatter", [SENT, -2, int, RECEIVED, 1, int, 0, world], "the count of the send buffer is -2"],
    ["Gather", [-1, 1, int, -4, 1, int, 0, world], "the receive buffer at 4294967292 + 4 is outside the memory"],
    ["Scatterv", [SENT, -4, PLACES, int, RECEIVED, 1, int, 0, world], "the counts of the send buffer at 4294967292"],
    ["Gatherv", [SENT, 1, int, RECEIVED, COUNTS, -4, int, 0, world], "the displacements of the receive buffer at 4294967292"],
    ["Allgather", [SENT, 1, int, RECEIVED, 2 ** 31 - 1, int, world], "the receive buffer at 1048576"],
    ["Allgatherv", [SENT, 1, 99, RECEIVED, COUNTS, PLACES, int, world], "there is no datatype 99"],
    ["Alltoall", [inPlace, 1, int, RECEIVED, 1, int, world], "the send buffer at 4294967295"],
    ["Alltoallv", [SENT, COUNTS, PLACES, int, RECEIVED, -1, PLACES, int, world], "the counts of the receive buffer"],
    ["Reduce", [SENT, RECEIVED, 1, int, 99, 0, world], "there is no operation 99"],
    ["Reduce", [SENT, RECEIVED, -1, int, sum, 0, world], "the count of the receive buffer is -1"],
    ["Allreduce", [SENT, RECEIVED, 1, double, MPI.bitAnd, world], "MPI_BAND is not defined for MPI_DOUBLE"],
    ["Scan", [SENT, -8, 1, double, sum, world], "the receive buffer at 4294967288"],
    ["Reduce_scatter", [SENT, RECEIVED, -1, int, sum, world], "the counts at 4294967295"],
  ];

  it.each(MISTAKES)("MPI_%s(%j) end the call", async (name, args, text) => {
    await runRanks(1, async (rank) => {
      const outcome = await rank.call(name, ...args).catch((error: unknown) => error);
      expect(outcome).toBeInstanceOf(GuestFault);
      expect(String(outcome)).toContain(text);
    });
  });

  it("ranks that do not agree on a size end their call", async () => {
    const main = async (rank: MpiRank) => {
      await rank.call("Bcast", SENT, rank.rank === 0 ? 1 : 2, int, 0, world);
    };
    await expect(runRanks(2, main)).rejects.toThrow("rank 0 of the communicator has sent 4 bytes, 8 are wanted here");
  });

  it.each([
    ["Bcast", 5],
    ["Scatter", 8],
    ["Scatterv", 9],
    ["Gather", 8],
    ["Gatherv", 9],
    ["Allgather", 7],
    ["Allgatherv", 8],
    ["Alltoall", 7],
    ["Alltoallv", 9],
    ["Reduce", 7],
    ["Allreduce", 6],
    ["Scan", 6],
    ["Reduce_scatter", 6],
  ] as const)("whatever a rank passes to MPI_%s, it ends the call or answers", async (name, count) => {
    await endsOrAnswers(name, count, [0, 1, 2, 6, 11, -1, SENT, COUNTS, 2 ** 31 - 1, -(2 ** 31), 2_621_438]);
  });
});
