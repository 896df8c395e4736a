import { describe, expect, it } from "vitest";
import { filledDims } from "../../../../../host/abi/mpi/grids.ts";
import { GuestFault } from "../../../../../host/sandbox/guest.ts";
import { MPI, type MpiRank, runRanks } from "../../../../support/mpi-ranks.ts";

const { world, self, int, sum, nobody } = MPI;
const NONE = MPI.undefined;
const SENT = 65_536;
const RESULT = 64;
const OTHER = 96;
const MADE = 128;

const sizeAndRank = async (rank: MpiRank, comm: number) => {
  await rank.call("Comm_size", comm, RESULT);
  await rank.call("Comm_rank", comm, RESULT + 4);
  return rank.ints(RESULT, 2);
};

describe("communicators", () => {
  it("tell rank and size, and there is one of each rank alone", async () => {
    await runRanks(3, async (rank) => {
      expect(await sizeAndRank(rank, world)).toEqual([3, rank.rank]);
      expect(await sizeAndRank(rank, self)).toEqual([1, 0]);
    });
  });

  it("MPI_Comm_split makes one for each colour, ordered by key, with ranks and messages of its own", async () => {
    await runRanks(5, async (rank) => {
      const color = rank.rank === 4 ? NONE : rank.rank % 2;
      await rank.call("Comm_split", world, color, -rank.rank, MADE);
      const made = rank.int(MADE);
      if (rank.rank === 4) {
        expect(made).toBe(0);
        return;
      }
      expect(await sizeAndRank(rank, made)).toEqual([2, rank.rank < 2 ? 1 : 0]);
      rank.putInts(SENT, rank.rank);
      await rank.call("Allreduce", SENT, OTHER, 1, int, sum, made);
      expect(rank.int(OTHER)).toBe(rank.rank % 2 === 0 ? 2 : 4);
    });
  });

  it("MPI_Comm_dup keeps its messages apart from those of the first one", async () => {
    await runRanks(2, async (rank) => {
      await rank.call("Comm_dup", world, MADE);
      const made = rank.int(MADE);
      expect(made).not.toBe(world);
      if (rank.rank === 0) {
        rank.putInts(SENT, 1, 2);
        await rank.call("Send", SENT, 1, int, 1, 0, made);
        await rank.call("Send", SENT + 4, 1, int, 1, 0, world);
      } else {
        await rank.call("Recv", SENT, 1, int, 0, 0, world, 0);
        await rank.call("Recv", SENT + 4, 1, int, 0, 0, made, 0);
        expect(rank.ints(SENT, 2)).toEqual([2, 1]);
      }
      await rank.call("Comm_free", MADE);
      expect(rank.int(MADE)).toBe(0);
      await expect(rank.call("Comm_size", made, RESULT)).rejects.toThrow(`there is no communicator ${made}`);
    });
  });

  it("that are not there, or not to be freed, end the call", async () => {
    await runRanks(1, async (rank) => {
      rank.putInts(MADE, world);
      await expect(rank.call("Comm_free", MADE)).rejects.toThrow("communicator 1 is none that was made");
      await expect(rank.call("Comm_rank", 9, RESULT)).rejects.toThrow("there is no communicator 9");
      await expect(rank.call("Comm_rank", world, -1)).rejects.toThrow(GuestFault);
      await expect(rank.call("Comm_split", world, -3, 0, MADE)).rejects.toThrow("the color is -3");
      await expect(rank.call("Comm_dup", world, -2)).rejects.toThrow("the new communicator at 4294967294");
    });
  });

  it("there is an end to them", async () => {
    await runRanks(1, async (rank) => {
      const many = async () => {
        for (;;) {
          await rank.call("Comm_dup", self, MADE);
        }
      };
      await expect(many()).rejects.toThrow("there are 1024 communicators, more there may not be");
    });
  });
});

describe("grids", () => {
  const DIMS = 256;
  const PERIODS = 288;

  it("have ranks at places, and neighbours", async () => {
    await runRanks(7, async (rank) => {
      rank.putInts(DIMS, 2, 3);
      rank.putInts(PERIODS, 0, 1);
      await rank.call("Cart_create", world, 2, DIMS, PERIODS, 1, MADE);
      const grid = rank.int(MADE);
      if (rank.rank === 6) {
        expect(grid).toBe(0);
        return;
      }
      await rank.call("Cart_coords", grid, rank.rank, 2, RESULT);
      const place = [Math.floor(rank.rank / 3), rank.rank % 3];
      expect(rank.ints(RESULT, 2)).toEqual(place);
      await rank.call("Cart_rank", grid, RESULT, OTHER);
      expect(rank.int(OTHER)).toBe(rank.rank);
      await rank.call("Cart_get", grid, 2, RESULT, RESULT + 8, RESULT + 16);
      expect(rank.ints(RESULT, 6)).toEqual([2, 3, 0, 1, ...place]);
      await rank.call("Cartdim_get", grid, RESULT);
      expect(rank.int(RESULT)).toBe(2);
      await rank.call("Cart_shift", grid, 0, 1, RESULT, RESULT + 4);
      expect(rank.ints(RESULT, 2)).toEqual(rank.rank < 3 ? [nobody, rank.rank + 3] : [rank.rank - 3, nobody]);
      await rank.call("Cart_shift", grid, 1, 1, RESULT, RESULT + 4);
      const row = 3 * Math.floor(rank.rank / 3);
      expect(rank.ints(RESULT, 2)).toEqual([row + ((rank.rank + 2) % 3), row + ((rank.rank + 1) % 3)]);
      await rank.call("Comm_dup", grid, OTHER);
      await rank.call("Cartdim_get", rank.int(OTHER), RESULT);
      expect(rank.int(RESULT)).toBe(2);
    });
  });

  it("MPI_Dims_create finds dimensions that are near each other, and keeps those that are given", () => {
    expect(filledDims(12, [0, 0])).toEqual([4, 3]);
    expect(filledDims(7, [0, 0])).toEqual([7, 1]);
    expect(filledDims(8, [0, 0, 0])).toEqual([2, 2, 2]);
    expect(filledDims(12, [0, 2, 0])).toEqual([3, 2, 2]);
    expect(filledDims(6, [2, 3])).toEqual([2, 3]);
    expect(filledDims(6, [4, 0])).toBeNull();
    expect(filledDims(6, [2, 2])).toBeNull();
    expect(filledDims(1, [0, 0])).toEqual([1, 1]);
  });

  it("that cannot be end the call", async () => {
    await runRanks(2, async (rank) => {
      rank.putInts(DIMS, 3, 0);
      rank.putInts(PERIODS, 0, 0);
      await expect(rank.call("Cart_create", world, 1, DIMS, PERIODS, 0, MADE)).rejects.toThrow("a grid of 3 has no place");
      await expect(rank.call("Cart_create", world, 2, DIMS, PERIODS, 0, MADE)).rejects.toThrow("a grid of 3 × 0");
      await expect(rank.call("Cart_create", world, 17, DIMS, PERIODS, 0, MADE)).rejects.toThrow(
        "the number of dimensions is 17, must be 1 to 16",
      );
      await expect(rank.call("Cart_create", world, 1, -1, PERIODS, 0, MADE)).rejects.toThrow("the dimensions at 4294967295");
      await expect(rank.call("Cart_shift", world, 0, 1, RESULT, OTHER)).rejects.toThrow("communicator 1 is no grid");
      rank.putInts(DIMS, 2);
      await rank.call("Cart_create", world, 1, DIMS, PERIODS, 0, MADE);
      const grid = rank.int(MADE);
      rank.putInts(RESULT, 2);
      await expect(rank.call("Cart_rank", grid, RESULT, OTHER)).rejects.toThrow("there is no place 2 in a grid of 2");
      await expect(rank.call("Cart_coords", grid, 2, 1, RESULT)).rejects.toThrow("the rank is 2");
      await expect(rank.call("Cart_shift", grid, 1, 1, RESULT, OTHER)).rejects.toThrow("the direction is 1, must be 0 to 0");
      await expect(rank.call("Cart_get", grid, 0, RESULT, RESULT, RESULT)).rejects.toThrow("the number of dimensions is 0");
      await expect(rank.call("Cartdim_get", grid, -1)).rejects.toThrow(GuestFault);
      rank.putInts(DIMS, 4);
      await expect(rank.call("Dims_create", 6, 1, DIMS)).rejects.toThrow("6 ranks cannot be a grid of 4");
    });
  });
});

describe("types and operations", () => {
  it("MPI_Type_contiguous makes elements of elements, that are sent as such", async () => {
    await runRanks(2, async (rank) => {
      await rank.call("Type_contiguous", 3, int, MADE);
      await rank.call("Type_contiguous", 2, rank.int(MADE), MADE + 4);
      await rank.call("Type_commit", MADE + 4);
      const type = rank.int(MADE + 4);
      await rank.call("Type_size", type, RESULT);
      expect(rank.int(RESULT)).toBe(24);
      await rank.call("Type_size", MPI.doubleInt, RESULT);
      expect(rank.int(RESULT)).toBe(12);
      if (rank.rank === 0) {
        rank.putInts(SENT, 1, 2, 3, 4, 5, 6);
        await rank.call("Send", SENT, 1, type, 1, 0, world);
      } else {
        await rank.call("Recv", SENT, 2, type, 0, 0, world, OTHER);
        expect(rank.ints(SENT, 6)).toEqual([1, 2, 3, 4, 5, 6]);
        await rank.call("Get_count", OTHER, type, RESULT);
        expect(rank.int(RESULT)).toBe(1);
      }
      await rank.call("Type_free", MADE + 4);
      expect(rank.int(MADE + 4)).toBe(0);
      await expect(rank.call("Type_size", type, RESULT)).rejects.toThrow(`there is no datatype ${type}`);
    });
  });

  it("that are not there, or are no one's to free, end the call", async () => {
    await runRanks(1, async (rank) => {
      rank.putInts(MADE, int);
      await expect(rank.call("Type_free", MADE)).rejects.toThrow("datatype 6 is none that was made");
      await expect(rank.call("Type_contiguous", -1, int, MADE)).rejects.toThrow("the count is -1");
      await expect(rank.call("Type_contiguous", 1, 0, MADE)).rejects.toThrow("there is no datatype 0");
      await expect(rank.call("Type_commit", -3)).rejects.toThrow(GuestFault);
      await expect(rank.call("Op_create", 1, 0, -3)).rejects.toThrow(GuestFault);
      await expect(rank.call("Op_free", MADE)).rejects.toThrow("operation 6 is none that was made");
      await rank.call("Op_create", 1, 0, MADE);
      await rank.call("Op_free", MADE);
      expect(rank.int(MADE)).toBe(0);
    });
  });

  it("there is an end to them", async () => {
    await runRanks(1, async (rank) => {
      const endless = async (make: () => Promise<number>) => {
        for (;;) {
          await make();
        }
      };
      await expect(endless(() => rank.call("Type_contiguous", 1, int, MADE))).rejects.toThrow("there are 1024 datatypes");
      await expect(endless(() => rank.call("Op_create", 1, 0, MADE))).rejects.toThrow("there are 1024 operations");
    });
  });
});

describe("the world", () => {
  it("MPI_Init_thread says what there is, MPI_Initialized whether it has begun", async () => {
    await runRanks(1, async (rank) => {
      await rank.call("Initialized", RESULT);
      expect(rank.int(RESULT)).toBe(1);
      await expect(rank.call("Init_thread", 0, 0, 3, RESULT)).rejects.toThrow("MPI_Init_thread: MPI_Init has been called");
      await expect(rank.call("Init_thread", 0, 0, 3, -1)).rejects.toThrow("MPI_Init_thread: provided");
      await rank.call("Get_processor_name", SENT, RESULT);
      expect(rank.bytes(SENT, 5).toString()).toBe("neap\0");
      expect(rank.int(RESULT)).toBe(4);
      await rank.call("Get_version", RESULT, RESULT + 4);
      expect(rank.ints(RESULT, 2)).toEqual([2, 2]);
      await expect(rank.call("Get_version", -1, 0)).rejects.toThrow(GuestFault);
      await expect(rank.call("Get_processor_name", -1, 0)).rejects.toThrow(GuestFault);
      await expect(rank.call("Initialized", -1)).rejects.toThrow(GuestFault);
      await expect(rank.call("Finalized", -1)).rejects.toThrow(GuestFault);
    });
  });

  it("MPI_Wtime never goes back", async () => {
    for (const size of [1, 2]) {
      await runRanks(size, async (rank) => {
        const first = await rank.call("Wtime");
        const second = await rank.call("Wtime");
        expect(second).toBeGreaterThanOrEqual(first);
        expect(await rank.call("Wtick")).toBeGreaterThan(0);
      });
    }
  });

  it("MPI_Abort ends it", async () => {
    await runRanks(1, async (rank) => {
      await expect(rank.call("Abort", world, 3)).rejects.toThrow("MPI_Abort (rank 0 of 1): error code 3");
    });
    await expect(runRanks(2, (rank) => rank.call(rank.rank === 0 ? "Abort" : "Barrier", world, 3))).rejects.toThrow("aborted");
  });
});
