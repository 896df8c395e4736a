import { describe, expect, it } from "vitest";
import { MPI, type MpiRank, runRanks } from "../../../../support/mpi-ranks.ts";

const { world, int, sum, replace, nobody } = MPI;
const WINDOW_AT = 65_536;
const OWN = 1_048_576;
const MADE = 128;

/** A window of so many i32s at each rank. */
async function window(rank: MpiRank, count: number): Promise<number> {
  await rank.call("Win_create", WINDOW_AT, 4 * count, 4, 0, world, MADE);
  return rank.int(MADE);
}

describe.each([1, 2, 3, 4])("one-sided, with %i ranks", (size) => {
  const all = Array.from({ length: size }, (_, rank) => rank);

  it("MPI_Put writes at all ranks what each of them has put there, when all are at the fence", async () => {
    await runRanks(size, async (rank) => {
      const made = await window(rank, size);
      rank.putInts(OWN, ...all.map((to) => 100 * rank.rank + to));
      await rank.call("Win_fence", 0, made);
      for (const to of all) {
        await rank.call("Put", OWN + 4 * to, 1, int, to, rank.rank, 1, int, made);
      }
      await rank.call("Put", OWN, 1, int, nobody, 0, 1, int, made);
      await rank.call("Win_fence", 0, made);
      expect(rank.ints(WINDOW_AT, size)).toEqual(all.map((from) => 100 * from + rank.rank));
      await rank.call("Win_free", MADE);
      expect(rank.int(MADE)).toBe(0);
    });
  });

  it("MPI_Get reads what is there, MPI_Accumulate adds to it, long ones, too", async () => {
    const count = 100_000;
    await runRanks(size, async (rank) => {
      const made = await window(rank, count);
      rank.putInts(WINDOW_AT, rank.rank + 1);
      rank.putInts(WINDOW_AT + 4 * (count - 1), rank.rank + 2);
      await rank.call("Win_fence", 0, made);
      const other = (rank.rank + 1) % size;
      await rank.call("Get", OWN, count, int, other, 0, count, int, made);
      await rank.call("Win_fence", 0, made);
      expect([rank.int(OWN), rank.int(OWN + 4 * (count - 1))]).toEqual([other + 1, other + 2]);
      await rank.call("Accumulate", OWN, count, int, 0, 0, count, int, sum, made);
      await rank.call("Win_fence", 0, made);
      if (rank.rank === 0) {
        const total = all.reduce((a, b) => a + b + 1, 0);
        expect([rank.int(WINDOW_AT), rank.int(WINDOW_AT + 4 * (count - 1))]).toEqual([1 + total, 2 + total + size]);
      }
      await rank.call("Accumulate", OWN, 1, int, other, 0, 1, int, replace, made);
      await rank.call("Win_fence", 0, made);
      const before = (rank.rank + size - 1) % size;
      expect(rank.int(WINDOW_AT)).toBe(((before + 1) % size) + 1);
    });
  });
});

describe("mistakes", () => {
  it("end the call, with what is wrong", async () => {
    await runRanks(1, async (rank) => {
      const made = await window(rank, 4);
      const mistakes: readonly (readonly [string, readonly number[], string])[] = [
        ["Put", [OWN, 1, int, 0, 4, 1, int, made], "4 bytes at 16 reach beyond the window of rank 0, which has 16"],
        ["Put", [OWN, 1, int, 0, -1, 1, int, made], "4 bytes at -4 reach beyond"],
        ["Put", [OWN, 1, int, 2, 0, 1, int, made], "the target is 2"],
        ["Put", [OWN, 2, int, 0, 0, 1, int, made], "the origin has 8 bytes, the target 4"],
        ["Get", [-1, 1, int, 0, 0, 1, int, made], "the origin buffer at 4294967295"],
        ["Get", [OWN, 1, int, 0, 0, -1, int, made], "the target count is -1"],
        ["Get", [OWN, 1, int, 0, 0, 1, int, 9], "there is no window 9"],
        ["Accumulate", [OWN, 1, int, 0, 0, 1, int, 99, made], "there is no predefined operation 99"],
        ["Accumulate", [OWN, 1, MPI.double, 0, 0, 1, MPI.double, MPI.xor, made], "MPI_LXOR is not defined for MPI_DOUBLE"],
        ["Win_fence", [0, 9], "there is no window 9"],
        ["Win_free", [-1], "the window at 4294967295"],
        ["Win_create", [-1, 8, 1, 0, world, MADE], "the base at 4294967295"],
        ["Win_create", [WINDOW_AT, -1, 1, 0, world, MADE], "the count of the base is -1"],
        ["Win_create", [WINDOW_AT, 8, 0, 0, world, MADE], "the displacement unit is 0, must be 1 or more"],
        ["Win_create", [WINDOW_AT, 8, 1, 0, 0, MADE], "the communicator is MPI_COMM_NULL"],
      ];
      for (const [name, args, text] of mistakes) {
        await expect(rank.call(name, ...args), `${name} ${args}`).rejects.toThrow(text);
      }
    });
  });

  it("there is an end to accesses between two fences", async () => {
    await runRanks(1, async (rank) => {
      const made = await window(rank, 4);
      const many = async () => {
        for (;;) {
          await rank.call("Put", OWN, 1, int, 0, 0, 1, int, made);
        }
      };
      await expect(many()).rejects.toThrow("there are 65536 accesses since the last fence");
    });
  });
});
