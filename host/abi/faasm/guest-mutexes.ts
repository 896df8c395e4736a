/** Mutexes as words of the guest's memory, laid out by this host: free and normal where they are zero. Waiting for one blocks the thread. */
import type { Guest } from "../../sandbox/guest.ts";
import { guestWords } from "../guest-memory.ts";
import { Errno } from "../wasi/index.ts";

const TYPE = 0;
const LOCK = 1;
const OWNER = 2;
/** How often its owner has taken it beyond the first time. */
const COUNT = 3;
/** Values of LOCK: somebody may be waiting for it. */
const Lock = { free: 0, held: 1, awaited: 2 } as const;
const MUTEX_BYTES = 24;

export const MutexType = { normal: 0, recursive: 1, errorCheck: 2 } as const;

export class GuestMutexes {
  readonly #guest: Guest;

  constructor(guest: Guest) {
    this.#guest = guest;
  }

  /** @throws GuestFault  there is no room for one */
  at(what: string, pointer: number): Int32Array {
    return guestWords(this.#guest, what, pointer, MUTEX_BYTES);
  }

  init(at: Int32Array, type: number): void {
    at.fill(0);
    at[TYPE] = type;
  }

  /** Of one that is in use, by threads that all say the same. */
  setType(at: Int32Array, type: number): void {
    Atomics.store(at, TYPE, type);
  }

  isFree(at: Int32Array): boolean {
    return Atomics.load(at, LOCK) === Lock.free;
  }

  /** How often its owner holds it. */
  depth(at: Int32Array): number {
    return this.isFree(at) ? 0 : (at[COUNT] ?? 0) + 1;
  }

  /** @returns 0, or deadlk when this thread holds it and its type asks for that */
  lock(at: Int32Array): number {
    const again = this.#relock(at);
    if (again !== null) {
      return again;
    }
    if (Atomics.compareExchange(at, LOCK, Lock.free, Lock.held) !== Lock.free) {
      while (Atomics.exchange(at, LOCK, Lock.awaited) !== Lock.free) {
        Atomics.wait(at, LOCK, Lock.awaited);
      }
    }
    return this.#own(at);
  }

  /** @returns 0, or busy */
  tryLock(at: Int32Array): number {
    const again = this.#relock(at);
    if (again !== null) {
      return again === 0 ? 0 : Errno.busy;
    }
    return Atomics.compareExchange(at, LOCK, Lock.free, Lock.held) === Lock.free ? this.#own(at) : Errno.busy;
  }

  /** @returns 0, or perm when this thread does not hold it and its type asks for that */
  unlock(at: Int32Array): number {
    if (at[TYPE] !== MutexType.normal) {
      if (this.isFree(at) || at[OWNER] !== this.#self) {
        return Errno.perm;
      }
      if ((at[COUNT] ?? 0) > 0) {
        at[COUNT] = (at[COUNT] ?? 0) - 1;
        return 0;
      }
    }
    at[OWNER] = 0;
    if (Atomics.exchange(at, LOCK, Lock.free) === Lock.awaited) {
      Atomics.notify(at, LOCK, 1);
    }
    return 0;
  }

  /** Not 0, and another one for each thread. */
  get #self(): number {
    return (this.#guest.team?.thread ?? 0) + 1;
  }

  /** Owners are told apart where the type asks for it. @returns null: it must be taken as any other */
  #relock(at: Int32Array): number | null {
    if (at[TYPE] === MutexType.normal || this.isFree(at) || at[OWNER] !== this.#self) {
      return null;
    }
    if (at[TYPE] !== MutexType.recursive) {
      return Errno.deadlk;
    }
    at[COUNT] = (at[COUNT] ?? 0) + 1;
    return 0;
  }

  #own(at: Int32Array): number {
    at[OWNER] = this.#self;
    at[COUNT] = 0;
    return 0;
  }
}
