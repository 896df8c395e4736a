import { describe, expect, it } from "vitest";
import { GuestFault } from "../../../../../host/sandbox/guest.ts";
import { endsOrAnswers, MPI, type MpiRank, runRanks } from "../../../../support/mpi-ranks.ts";

const { world, int, byte, anySource, anyTag, nobody, undefined: none } = MPI;
const BUFFER = 65_536;
const STATUS = 16;
const REQUESTS = 256;
const RESULT = 64;

/** Source, tag, error, bytes. */
const statusOf = (rank: MpiRank, pointer = STATUS) => rank.ints(pointer, 4);

describe("MPI_Send and MPI_Recv", () => {
  it.each([0, 1, 4, 32 * 1024, 32 * 1024 + 4, 300_000, 2_000_000])(
    "carry %i bytes unchanged, with their source, tag and size",
    async (length) => {
      const pattern = Buffer.alloc(length, "the quick brown fox");
      await runRanks(2, async (rank) => {
        if (rank.rank === 0) {
          rank.bytes(BUFFER, length).set(pattern);
          await rank.call("Send", BUFFER, length, byte, 1, 7, world);
        } else {
          await rank.call("Recv", BUFFER, length, byte, 0, 7, world, STATUS);
          expect(Buffer.compare(rank.bytes(BUFFER, length), pattern)).toBe(0);
          expect(statusOf(rank)).toEqual([0, 7, 0, length]);
          expect(rank.bytes(BUFFER + length, 8)).toEqual(Buffer.alloc(8));
        }
      });
    },
  );

  it("give messages of one rank in the order in which they were sent, whatever their sizes, and by tag if that is asked for", async () => {
    const sizes = [4, 100_000, 8, 40_000, 4, 0];
    await runRanks(2, async (rank) => {
      if (rank.rank === 0) {
        for (const [at, size] of sizes.entries()) {
          rank.putInts(BUFFER, at);
          await rank.call("Isend", BUFFER, size, byte, 1, 1, world, REQUESTS + 4 * at);
          await rank.call("Wait", REQUESTS + 4 * at, 0);
        }
        rank.putInts(BUFFER, 55);
        await rank.call("Send", BUFFER, 1, int, 1, 9, world);
        await rank.call("Send", BUFFER, 1, int, 1, 8, world);
        return;
      }
      const received: number[] = [];
      for (const _ of sizes) {
        await rank.call("Recv", BUFFER, 100_000, byte, 0, 1, world, STATUS);
        received.push(statusOf(rank)[3] ?? -1);
      }
      expect(received).toEqual(sizes);
      await rank.call("Recv", BUFFER, 1, int, 0, 8, world, 0);
      await rank.call("Recv", BUFFER, 1, int, anySource, anyTag, world, STATUS);
      expect(statusOf(rank)).toEqual([0, 9, 0, 4]);
    });
  });

  it("give what has come before it is asked for in the order in which it was sent", async () => {
    const sent = [1, 2, 3, 4, 5];
    await runRanks(2, async (rank) => {
      if (rank.rank === 0) {
        for (const value of sent) {
          rank.putInts(BUFFER, value);
          await rank.call("Send", BUFFER, 1, int, 1, 1, world);
        }
        await rank.call("Send", BUFFER, 1, int, 1, 2, world);
        return;
      }
      await rank.call("Recv", BUFFER, 1, int, 0, 2, world, 0);
      const received: number[] = [];
      for (const _ of sent) {
        await rank.call("Recv", BUFFER, 1, int, anySource, 1, world, 0);
        received.push(rank.int(BUFFER));
      }
      expect(received).toEqual(sent);
    });
  });

  it("let all ranks send to the next one at once, long messages too, when each has begun to receive", async () => {
    await runRanks(4, async (rank) => {
      const length = 1_000_000;
      const next = (rank.rank + 1) % 4;
      const before = (rank.rank + 3) % 4;
      rank.bytes(BUFFER, length).fill(rank.rank + 1);
      const room = BUFFER + length;
      await rank.call("Irecv", room, length, byte, before, 0, world, REQUESTS);
      await rank.call("Send", BUFFER, length, byte, next, 0, world);
      await rank.call("Wait", REQUESTS, 0);
      expect(rank.bytes(room, length).every((one) => one === before + 1)).toBe(true);
    });
  });

  it("reach the rank itself, and nobody", async () => {
    await runRanks(1, async (rank) => {
      for (const length of [4, 100_000]) {
        rank.bytes(BUFFER, length).fill(9);
        await rank.call("Isend", BUFFER, length, byte, 0, 3, MPI.self, REQUESTS);
        await rank.call("Recv", BUFFER + length, length, byte, 0, 3, MPI.self, STATUS);
        await rank.call("Wait", REQUESTS, 0);
        expect(rank.bytes(BUFFER + length, length).every((one) => one === 9)).toBe(true);
      }
      await rank.call("Send", BUFFER, 1, int, nobody, 0, world);
      await rank.call("Recv", BUFFER, 1, int, nobody, 0, world, STATUS);
      expect(statusOf(rank)).toEqual([nobody, anyTag, 0, 0]);
    });
  });

  it("keep at most 256 KiB for a receiver that does not receive: what is sent beyond that waits at its sender", async () => {
    const count = 100;
    const length = 10_000;
    await runRanks(2, async (rank) => {
      if (rank.rank === 0) {
        for (let at = 0; at < count; at += 1) {
          await rank.call("Isend", BUFFER, length, byte, 1, at, world, REQUESTS + 4 * at);
        }
        expect(rank.guest.sentBytes).toBeGreaterThan(200 * 1024);
        expect(rank.guest.sentBytes).toBeLessThan(300 * 1024);
        await rank.call("Waitall", count, REQUESTS, 0);
        expect(rank.ints(REQUESTS, count).every((request) => request === 0)).toBe(true);
        return;
      }
      for (let at = count - 1; at >= 0; at -= 1) {
        await rank.call("Recv", BUFFER, length, byte, 0, at, world, 0);
      }
    });
  });

  it("MPI_Ssend is done only when its message is being received, MPI_Send before", async () => {
    const order: string[] = [];
    await runRanks(2, async (rank) => {
      if (rank.rank === 0) {
        await rank.call("Send", BUFFER, 1, int, 1, 0, world);
        order.push("sent");
        await rank.call("Send", BUFFER, 1, int, 1, 2, world);
        await rank.call("Ssend", BUFFER, 1, int, 1, 1, world);
        order.push("sent and received");
      } else {
        await rank.call("Recv", BUFFER, 1, int, 0, 2, world, 0);
        order.push("about to receive");
        await rank.call("Recv", BUFFER, 1, int, 0, 1, world, 0);
        await rank.call("Recv", BUFFER, 1, int, 0, 0, world, 0);
      }
    });
    expect(order).toEqual(["sent", "about to receive", "sent and received"]);
  });

  it("MPI_Sendrecv exchanges long messages between two ranks", async () => {
    await runRanks(2, async (rank) => {
      const other = 1 - rank.rank;
      const count = 50_000;
      rank.putInts(BUFFER, ...Array.from({ length: 100 }, () => rank.rank + 5));
      const room = BUFFER + 4 * count;
      await rank.call("Sendrecv", BUFFER, count, int, other, 1, room, count, int, other, 1, world, STATUS);
      expect(rank.ints(room, 100)).toEqual(Array.from({ length: 100 }, () => other + 5));
      expect(statusOf(rank)).toEqual([other, 1, 0, 4 * count]);
    });
  });
});

describe("requests", () => {
  it("MPI_Waitany names one that has ended, and the others stay", async () => {
    await runRanks(3, async (rank) => {
      if (rank.rank > 0) {
        rank.putInts(BUFFER, rank.rank);
        if (rank.rank === 1) {
          // Only when the other one was heard.
          await rank.call("Recv", BUFFER, 1, int, 0, 0, world, 0);
        }
        await rank.call("Send", BUFFER, 1, int, 0, rank.rank, world);
        return;
      }
      await rank.call("Irecv", BUFFER, 1, int, 1, 1, world, REQUESTS);
      await rank.call("Irecv", BUFFER + 4, 1, int, 2, 2, world, REQUESTS + 4);
      await rank.call("Waitany", 2, REQUESTS, RESULT, STATUS);
      expect([rank.int(RESULT), statusOf(rank)]).toEqual([1, [2, 2, 0, 4]]);
      expect(rank.int(REQUESTS + 4)).toBe(0);
      await rank.call("Send", BUFFER, 1, int, 1, 0, world);
      await rank.call("Waitany", 2, REQUESTS, RESULT, STATUS);
      expect([rank.int(RESULT), statusOf(rank)]).toEqual([0, [1, 1, 0, 4]]);
      await rank.call("Waitany", 2, REQUESTS, RESULT, STATUS);
      expect(rank.int(RESULT)).toBe(none);
    });
  });

  it("MPI_Test tells whether one has ended, MPI_Wait of none returns at once, MPI_Request_free lets one go", async () => {
    await runRanks(2, async (rank) => {
      if (rank.rank === 1) {
        await rank.call("Recv", BUFFER, 1, int, 0, 0, world, 0);
        await rank.call("Send", BUFFER, 1, int, 0, 1, world);
        await rank.call("Send", BUFFER, 1, int, 0, 2, world);
        return;
      }
      await rank.call("Irecv", BUFFER, 1, int, 1, 1, world, REQUESTS);
      await rank.call("Test", REQUESTS, RESULT, STATUS);
      expect(rank.int(RESULT)).toBe(0);
      await rank.call("Send", BUFFER, 1, int, 1, 0, world);
      while (rank.int(RESULT) === 0) {
        await rank.call("Test", REQUESTS, RESULT, STATUS);
      }
      expect([rank.int(REQUESTS), statusOf(rank)]).toEqual([0, [1, 1, 0, 4]]);
      await rank.call("Wait", REQUESTS, STATUS);
      expect(statusOf(rank)).toEqual([anySource, anyTag, 0, 0]);
      await rank.call("Irecv", BUFFER, 1, int, 1, 2, world, REQUESTS);
      await rank.call("Request_free", REQUESTS);
      expect(rank.int(REQUESTS)).toBe(0);
      await expect(rank.call("Request_free", REQUESTS)).rejects.toThrow("the request is MPI_REQUEST_NULL");
    });
  });
});

describe("MPI_Probe, MPI_Iprobe and MPI_Get_count", () => {
  it("tell of a message and leave it where it is", async () => {
    await runRanks(2, async (rank) => {
      if (rank.rank === 0) {
        await rank.call("Iprobe", anySource, anyTag, world, RESULT, STATUS);
        expect(rank.int(RESULT)).toBe(0);
        await rank.call("Send", BUFFER, 1, int, 1, 0, world);
        await rank.call("Probe", anySource, anyTag, world, STATUS);
        expect(statusOf(rank)).toEqual([1, 4, 0, 10]);
        await rank.call("Get_count", STATUS, byte, RESULT);
        expect(rank.int(RESULT)).toBe(10);
        await rank.call("Get_count", STATUS, int, RESULT);
        expect(rank.int(RESULT)).toBe(none);
        await rank.call("Iprobe", 1, 4, world, RESULT, 0);
        expect(rank.int(RESULT)).toBe(1);
        await rank.call("Recv", BUFFER, 10, byte, 1, 4, world, 0);
        await rank.call("Iprobe", 1, 4, world, RESULT, 0);
        expect(rank.int(RESULT)).toBe(0);
      } else {
        await rank.call("Recv", BUFFER, 1, int, 0, 0, world, 0);
        await rank.call("Send", BUFFER, 10, byte, 0, 4, world);
      }
    });
  });
});

describe("a mistake ends the call, with the call, the rank and the argument", () => {
  const MISTAKES: readonly (readonly [string, readonly number[], string])[] = [
    ["Send", [BUFFER, -1, int, 0, 0, world], "MPI_Send (rank 0 of 1): the count of the buffer is -1, must be 0 or more"],
    ["Send", [BUFFER, 1, 99, 0, 0, world], "there is no datatype 99"],
    ["Send", [BUFFER, 1, int, 1, 0, world], "the destination is 1, must be a rank of the communicator, 0 to 0"],
    ["Send", [BUFFER, 1, int, -1, 0, world], "the destination is -1, must be a rank"],
    ["Send", [BUFFER, 1, int, 0, -5, world], "the tag is -5, must be 0 or more"],
    ["Send", [BUFFER, 1, int, 0, 0, 0], "the communicator is MPI_COMM_NULL"],
    ["Send", [BUFFER, 1, int, 0, 0, 77], "there is no communicator 77"],
    ["Send", [-8, 10, int, 0, 0, world], "the buffer at 4294967288 + 40 is outside the memory"],
    ["Send", [BUFFER, 2 ** 31 - 1, MPI.double, 0, 0, world], "is outside the memory"],
    ["Isend", [BUFFER, 1, int, 0, 0, world, -2], "the request at 4294967294 + 4 is outside the memory"],
    ["Recv", [BUFFER, 1, int, 5, 0, world, 0], "the source is 5"],
    ["Recv", [BUFFER, 1, int, 0, 0, world, -4], "the status at 4294967292 + 16 is outside the memory"],
    ["Recv", [BUFFER, 1, int, 0, 0, world, 0], "it waits for a message that nobody can send any more"],
    ["Irecv", [BUFFER, 1, int, 0, 0, world, 2 ** 31 - 1], "the request at 2147483647 + 4 is outside the memory"],
    ["Sendrecv", [BUFFER, 1, int, 0, 0, BUFFER, 1, int, 3, 0, world, 0], "the source is 3"],
    ["Wait", [-1, 0], "the requests at 4294967295 + 4 is outside the memory"],
    ["Waitall", [-1, REQUESTS, 0], "the count is -1"],
    ["Waitall", [2 ** 30, REQUESTS, 0], "at most 65536 requests can be waited for"],
    ["Waitany", [1, REQUESTS, -1, 0], "the index at 4294967295"],
    ["Test", [REQUESTS, -1, 0], "the flag at 4294967295"],
    ["Probe", [0, 0, world, 0], "it waits for a message that nobody can send any more"],
    ["Iprobe", [9, 0, world, RESULT, 0], "the source is 9"],
    ["Get_count", [STATUS, 99, RESULT], "there is no datatype 99"],
  ];

  it.each(MISTAKES)("MPI_%s(%j)", async (name, args, text) => {
    await runRanks(1, async (rank) => {
      await expect(rank.call(name, ...args)).rejects.toThrow(GuestFault);
      await expect(rank.call(name, ...args)).rejects.toThrow(text);
      await expect(rank.call(name, ...args)).rejects.toThrow(`MPI_${name} (rank 0 of 1)`);
    });
  });

  it("a request that nobody has begun", async () => {
    await runRanks(1, async (rank) => {
      rank.putInts(REQUESTS, 77);
      await expect(rank.call("Wait", REQUESTS, 0)).rejects.toThrow("there is no request 77");
    });
  });

  it("a message that is longer than the room for it", async () => {
    await runRanks(2, async (rank) => {
      if (rank.rank === 0) {
        await rank.call("Send", BUFFER, 8, byte, 1, 3, world);
      } else {
        await expect(rank.call("Recv", BUFFER, 7, byte, 0, 3, world, 0)).rejects.toThrow(
          "MPI_Recv (rank 1 of 2): the message of rank 0 with tag 3 is 8 bytes, the room for it is 7",
        );
      }
    });
  });

  it("anything before MPI_Init, after MPI_Finalize, twice MPI_Init, or inside of a storage part", async () => {
    await runRanks(1, async (rank) => {
      await expect(rank.call("Init", 0, 0)).rejects.toThrow("MPI_Init: MPI_Init has been called");
      rank.guest.call.inPart = true;
      await expect(rank.call("Barrier", world)).rejects.toThrow("MPI_Barrier: not possible inside a storage part");
      rank.guest.call.inPart = false;
      await rank.call("Finalized", RESULT);
      expect(rank.int(RESULT)).toBe(0);
      await rank.call("Finalize");
      await rank.call("Finalized", RESULT);
      expect(rank.int(RESULT)).toBe(1);
      await expect(rank.call("Send", BUFFER, 1, int, 0, 0, world)).rejects.toThrow("MPI_Send: MPI_Finalize has been called");
    }).catch((error) => expect(String(error)).toContain("MPI_Finalize: MPI_Finalize has been called"));
  });
});

const EDGES = [0, 1, 2, 3, 4, -1, -2, 16, 64, 256, BUFFER, 2 ** 31 - 1, -(2 ** 31), -4, 2_621_440, 2_621_438];
const COUNTS: Readonly<Record<string, number>> = {
  Send: 6,
  Ssend: 6,
  Isend: 7,
  Recv: 7,
  Irecv: 7,
  Sendrecv: 12,
  Wait: 2,
  Waitall: 3,
  Waitany: 4,
  Test: 3,
  Request_free: 1,
  Probe: 4,
  Iprobe: 5,
  Get_count: 3,
};

describe("whatever a rank passes, an import ends the call or answers", () => {
  it.each(Object.entries(COUNTS))("MPI_%s", async (name, count) => {
    await endsOrAnswers(name, count, EDGES);
  });
});
