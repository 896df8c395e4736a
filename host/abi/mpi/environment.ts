/** Imports: the beginning and the end of a world, time. */
import { type Guest, GuestFault } from "../../sandbox/guest.ts";
import { nextTimeNs } from "../clock-random.ts";
import { guestBytes } from "../guest-memory.ts";
import { mpiAbortArgs, mpiJoinReply, Operation } from "../operations.ts";
import { request } from "../requests.ts";
import { type Ranks, SUCCESS } from "./rank.ts";

const VERSION = [2, 2] as const;
const THREAD_SINGLE = 0;
const PROCESSOR = "neap";
const NS_PER_S = 1e9;
const MS_PER_S = 1e3;

export const environment = (guest: Guest, ranks: Ranks) => {
  async function begin(call: string): Promise<number> {
    ranks.checkPlace(call);
    if (ranks.current !== null) {
      throw new GuestFault(`${call}: MPI_Init has been called`);
    }
    const { rank, size } = mpiJoinReply.decode((await request(guest, Operation.mpiJoin, new Uint8Array(0))).bytes);
    ranks.begin(rank, size);
    return SUCCESS;
  }

  function storeI32(what: string, pointer: number, value: number): number {
    const bytes = guestBytes(guest, what, pointer, 4);
    new DataView(bytes.buffer, bytes.byteOffset, 4).setInt32(0, value, true);
    return SUCCESS;
  }

  return {
    "env.MPI_Init": (_argc: number, _argv: number): Promise<number> => begin("MPI_Init"),

    "env.MPI_Init_thread": async (_argc: number, _argv: number, _required: number, providedPointer: number): Promise<number> => {
      guestBytes(guest, "MPI_Init_thread: provided", providedPointer, 4);
      await begin("MPI_Init_thread");
      return storeI32("MPI_Init_thread: provided", providedPointer, THREAD_SINGLE);
    },

    "env.MPI_Initialized": (pointer: number): number =>
      storeI32("MPI_Initialized: flag", pointer, ranks.current === null ? 0 : 1),

    "env.MPI_Finalized": (pointer: number): number =>
      storeI32("MPI_Finalized: flag", pointer, ranks.current?.isFinalized === true ? 1 : 0),

    "env.MPI_Finalize": async (): Promise<number> => {
      const rank = ranks.at("MPI_Finalize");
      if (rank.messages.size > 1) {
        await request(guest, Operation.mpiLeave, new Uint8Array(0));
      }
      rank.isFinalized = true;
      return SUCCESS;
    },

    "env.MPI_Abort": async (_comm: number, code: number): Promise<number> => {
      const { messages } = ranks.at("MPI_Abort");
      if (messages.size > 1) {
        await request(guest, Operation.mpiAbort, mpiAbortArgs.encode(code));
      }
      throw messages.fault(`error code ${code}`);
    },

    "env.MPI_Wtime": (): number => {
      const isRunOnce = (ranks.current?.messages.size ?? 1) > 1;
      return isRunOnce ? (performance.timeOrigin + performance.now()) / MS_PER_S : Number(nextTimeNs(guest)) / NS_PER_S;
    },

    "env.MPI_Wtick": (): number => 1 / NS_PER_S,

    "env.MPI_Get_processor_name": (pointer: number, lengthPointer: number): number => {
      const name = Buffer.from(`${PROCESSOR}\0`);
      const room = guestBytes(guest, "MPI_Get_processor_name: name", pointer, name.byteLength);
      guestBytes(guest, "MPI_Get_processor_name: length", lengthPointer, 4);
      room.set(name);
      return storeI32("MPI_Get_processor_name: length", lengthPointer, PROCESSOR.length);
    },

    "env.MPI_Get_version": (versionPointer: number, subversionPointer: number): number => {
      guestBytes(guest, "MPI_Get_version: subversion", subversionPointer, 4);
      storeI32("MPI_Get_version: version", versionPointer, VERSION[0]);
      return storeI32("MPI_Get_version: subversion", subversionPointer, VERSION[1]);
    },
  };
};
