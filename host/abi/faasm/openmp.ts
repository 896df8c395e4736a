/**
 * Imports: what compilers make of OpenMP's directives. The names and types are those of LLVM's runtime
 * (https://openmp.llvm.org/doxygen/group__PARALLEL.html and its neighbours); a variadic call has a pointer to what is more in its last
 * parameter. Threads put reductions together in the order of their numbers, so that each run gets the same.
 */
import { type Guest, type GuestCrew, GuestFault, type ParallelRegion } from "../../sandbox/guest.ts";
import { GuestMutexes } from "./guest-mutexes.ts";
import { threadsWanted } from "./omp.ts";

/** What `__kmpc_reduce` answers to who shall put its part to the others'. */
const COMBINE = 1;

/** @throws GuestFault  the module's memory is not shared, which its upload has made sure of */
export function crewOf({ team }: Guest): GuestCrew {
  if (team === null) {
    throw new GuestFault("OpenMP: the call has no threads");
  }
  return team.crew;
}

export const openmp = (guest: Guest) => {
  const mutexes = new GuestMutexes(guest);
  /** For the next region that this thread begins; 0: as ever. */
  let pushed = 0;

  const critical = (name: string, pointer: number) => mutexes.at(`${name}: lock`, pointer);

  /** Ends the region with this thread's share, which has come back. */
  function forkCall(region: ParallelRegion): Promise<void> | undefined {
    const crew = crewOf(guest);
    const size = threadsWanted(guest, pushed);
    pushed = 0;
    crew.fork(size, region, (pages) => guest.grow(pages));
    const running = guest.runRegion(region);
    if (running === undefined) {
      crew.join();
      return undefined;
    }
    return running.then(() => crew.join());
  }

  const reduce = (
    _location: number,
    _thread: number,
    _variables: number,
    _sizeBytes: number,
    _data: number,
    _tableIndex: number,
    _lock: number,
  ): number => {
    crewOf(guest).awaitTurn();
    return COMBINE;
  };

  function endReduce(): void {
    crewOf(guest).passTurn();
  }

  guest.beforeEnd(() => {
    pushed = 0;
    guest.team?.crew.dismiss();
    return undefined;
  });

  return {
    "env.__kmpc_fork_call": (_location: number, count: number, tableIndex: number, pointer: number): Promise<void> | undefined =>
      forkCall({ tableIndex: tableIndex >>> 0, argumentsPointer: pointer, argumentCount: count }),

    "env.__kmpc_push_num_threads": (_location: number, _thread: number, count: number): void => {
      if (count < 1) {
        throw new GuestFault(`__kmpc_push_num_threads: ${count} threads, must be 1 at least`);
      }
      pushed = count;
    },

    "env.__kmpc_serialized_parallel": (_location: number, _thread: number): void => crewOf(guest).enter(),
    "env.__kmpc_end_serialized_parallel": (_location: number, _thread: number): void => {
      if (!crewOf(guest).leave()) {
        throw new GuestFault("__kmpc_end_serialized_parallel: no region has begun in which the thread is alone");
      }
    },

    "env.__kmpc_global_thread_num": (_location: number): number => crewOf(guest).rank,
    "env.__kmpc_barrier": (_location: number, _thread: number): void => crewOf(guest).barrier(),
    "env.__kmpc_flush": (_location: number): void => {
      // What imports do to shared memory is in one order with what others see.
    },

    "env.__kmpc_critical": (_location: number, _thread: number, pointer: number): void => {
      mutexes.lock(critical("__kmpc_critical", pointer));
    },
    "env.__kmpc_critical_with_hint": (_location: number, _thread: number, pointer: number, _hint: number): void => {
      mutexes.lock(critical("__kmpc_critical_with_hint", pointer));
    },
    "env.__kmpc_end_critical": (_location: number, _thread: number, pointer: number): void => {
      mutexes.unlock(critical("__kmpc_end_critical", pointer));
    },

    "env.__kmpc_master": (_location: number, _thread: number): number => (crewOf(guest).index === 0 ? 1 : 0),
    "env.__kmpc_end_master": (_location: number, _thread: number): void => {},
    "env.__kmpc_single": (_location: number, _thread: number): number => (crewOf(guest).once() ? 1 : 0),
    "env.__kmpc_end_single": (_location: number, _thread: number): void => {},

    "env.__kmpc_reduce": reduce,
    "env.__kmpc_reduce_nowait": reduce,
    "env.__kmpc_end_reduce": (_location: number, _thread: number, _lock: number): void => {
      endReduce();
      crewOf(guest).barrier();
    },
    "env.__kmpc_end_reduce_nowait": (_location: number, _thread: number, _lock: number): void => endReduce(),
  };
};
