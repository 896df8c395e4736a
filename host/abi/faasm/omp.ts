/** Imports: OpenMP's own functions, as omp.h declares them. What this host does not do, nested regions of several threads, they say so. */
import { type Guest, GuestFault } from "../../sandbox/guest.ts";
import { nextTimeNs } from "../clock-random.ts";
import { processors } from "../threads.ts";
import { GuestMutexes, MutexType } from "./guest-mutexes.ts";

const NS_PER_S = 1_000_000_000n;
const NS_TO_S = 1e-9;

/** How many threads a region has that begins now. @param asked  0: not said for this region */
export function threadsWanted({ team }: Guest, asked: number): number {
  const threadsMax = team?.threadsMax ?? 1;
  return Math.min(threadsMax, asked || team?.crew.wanted || processors);
}

export const omp = (guest: Guest) => {
  const mutexes = new GuestMutexes(guest);
  const crew = () => guest.team?.crew;
  const lockAt = (name: string, pointer: number) => mutexes.at(`${name}: lock`, pointer);

  /** A lock of that type, or of the other one, is the same to all functions but these. */
  const functionsOf = (kind: "lock" | "nest_lock", type: number) => ({
    [`env.omp_init_${kind}`]: (pointer: number): void => mutexes.init(lockAt(`omp_init_${kind}`, pointer), type),
    [`env.omp_destroy_${kind}`]: (pointer: number): void => mutexes.init(lockAt(`omp_destroy_${kind}`, pointer), type),
    [`env.omp_set_${kind}`]: (pointer: number): void => {
      mutexes.lock(lockAt(`omp_set_${kind}`, pointer));
    },
    [`env.omp_unset_${kind}`]: (pointer: number): void => {
      mutexes.unlock(lockAt(`omp_unset_${kind}`, pointer));
    },
    [`env.omp_test_${kind}`]: (pointer: number): number => {
      const at = lockAt(`omp_test_${kind}`, pointer);
      return mutexes.tryLock(at) === 0 ? mutexes.depth(at) : 0;
    },
  });

  return {
    "env.omp_get_num_threads": (): number => crew()?.size ?? 1,
    "env.omp_get_max_threads": (): number => threadsWanted(guest, 0),
    "env.omp_get_thread_num": (): number => crew()?.index ?? 0,
    "env.omp_get_num_procs": (): number => processors,
    "env.omp_get_thread_limit": (): number => guest.team?.threadsMax ?? 1,
    "env.omp_in_parallel": (): number => ((crew()?.isShared ?? false) ? 1 : 0),
    "env.omp_get_level": (): number => crew()?.level ?? 0,
    "env.omp_get_active_level": (): number => ((crew()?.isShared ?? false) ? 1 : 0),
    "env.omp_get_max_active_levels": (): number => 1,
    "env.omp_set_max_active_levels": (_levels: number): void => {},
    "env.omp_get_nested": (): number => 0,
    "env.omp_set_nested": (_isNested: number): void => {},
    "env.omp_get_dynamic": (): number => 0,
    "env.omp_set_dynamic": (_isDynamic: number): void => {},
    "env.omp_set_num_threads": (count: number): void => {
      if (count < 1) {
        throw new GuestFault(`omp_set_num_threads: ${count} threads, must be 1 at least`);
      }
      const own = crew();
      if (own !== undefined) {
        own.wanted = count;
      }
    },
    "env.omp_get_wtime": (): number => {
      const timeNs = nextTimeNs(guest);
      return Number(timeNs / NS_PER_S) + Number(timeNs % NS_PER_S) * NS_TO_S;
    },
    "env.omp_get_wtick": (): number => NS_TO_S,
    ...functionsOf("lock", MutexType.normal),
    ...functionsOf("nest_lock", MutexType.recursive),
  };
};
