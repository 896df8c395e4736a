/**
 * Imports: pthreads as Faasm's modules import them. Threads have a stack of 1 MiB that the host adds to the memory. Mutexes and condition
 * variables are words of the guest's memory, laid out by this host, and zero where they are initialised statically.
 */
import { type Guest, type GuestCall, GuestFault, ThreadExit } from "../../sandbox/guest.ts";
import { timeNowNs } from "../clock-random.ts";
import { guestBytes } from "../guest-memory.ts";
import { Errno } from "../wasi/index.ts";

/** Words of a mutex. */
const TYPE = 0;
const LOCK = 1;
const OWNER = 2;
const COUNT = 3;
const MutexType = { normal: 0, recursive: 1, errorCheck: 2 } as const;
/** Values of LOCK: somebody may be waiting for it. */
const Lock = { free: 0, held: 1, awaited: 2 } as const;
const MUTEX_BYTES = 24;
const CONDITION_BYTES = 48;
const ATTRIBUTES_BYTES = 36;
/** Word of the attributes of a thread: 1 when nobody joins it. */
const DETACHED = 3;
const Once = { fresh: 0, runs: 1, done: 2 } as const;
const KEYS_MAX = 128;
const NS_PER_MS = 1_000_000n;
const NS_PER_S = 1_000_000_000n;

export const threads = (guest: Guest) => {
  /** What this thread keeps under its keys, in this call. */
  const kept = new WeakMap<GuestCall, Map<number, number>>();

  /** Words of the guest's memory. @throws GuestFault */
  function words(what: string, pointer: number, sizeBytes: number): Int32Array {
    const bytes = guestBytes(guest, what, pointer, sizeBytes);
    if (bytes.byteOffset % 4 !== 0) {
      throw new GuestFault(`${what} at ${pointer >>> 0} is not a multiple of 4`);
    }
    return new Int32Array(bytes.buffer, bytes.byteOffset, sizeBytes / 4);
  }

  const mutex = (name: string, pointer: number) => words(`${name}: mutex`, pointer, MUTEX_BYTES);
  const condition = (name: string, pointer: number) => words(`${name}: condition`, pointer, CONDITION_BYTES);
  /** Not 0, and another one for each thread. */
  const self = () => (guest.team?.thread ?? 0) + 1;
  const none = (): number => 0;

  function zero(what: string, pointer: number, sizeBytes: number): number {
    words(what, pointer, sizeBytes).fill(0);
    return 0;
  }

  /** Owners are told apart where the type asks for it. @returns null: it must be taken as any other */
  function relock(at: Int32Array): number | null {
    if (at[TYPE] === MutexType.normal || Atomics.load(at, LOCK) === Lock.free || at[OWNER] !== self()) {
      return null;
    }
    if (at[TYPE] !== MutexType.recursive) {
      return Errno.deadlk;
    }
    at[COUNT] = (at[COUNT] ?? 0) + 1;
    return 0;
  }

  function own(at: Int32Array): number {
    at[OWNER] = self();
    at[COUNT] = 0;
    return 0;
  }

  function lock(at: Int32Array): number {
    const again = relock(at);
    if (again !== null) {
      return again;
    }
    if (Atomics.compareExchange(at, LOCK, Lock.free, Lock.held) !== Lock.free) {
      while (Atomics.exchange(at, LOCK, Lock.awaited) !== Lock.free) {
        Atomics.wait(at, LOCK, Lock.awaited);
      }
    }
    return own(at);
  }

  function unlock(at: Int32Array): number {
    if (at[TYPE] !== MutexType.normal) {
      if (Atomics.load(at, LOCK) === Lock.free || at[OWNER] !== self()) {
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

  /** @param timeoutMs  real time, as the call's own stands still while it waits */
  function wait(sequence: Int32Array, held: Int32Array, timeoutMs: number): number {
    const before = Atomics.load(sequence, 0);
    const refused = unlock(held);
    if (refused !== 0) {
      return refused;
    }
    const outcome = Atomics.wait(sequence, 0, before, timeoutMs);
    lock(held);
    return outcome === "timed-out" ? Errno.timedout : 0;
  }

  function wake(name: string, pointer: number, count: number): number {
    const sequence = condition(name, pointer);
    Atomics.add(sequence, 0, 1);
    Atomics.notify(sequence, 0, count);
    return 0;
  }

  /** Of this thread; of the call that runs. */
  function ownKeys(): Map<number, number> {
    let own = kept.get(guest.call);
    if (own === undefined) {
      own = new Map();
      kept.set(guest.call, own);
    }
    return own;
  }

  return {
    "env.pthread_create": (pointer: number, attributes: number, tableIndex: number, argument: number): number => {
      const handle = words("pthread_create: thread", pointer, 4);
      const isDetached = attributes !== 0 && words("pthread_create: attributes", attributes, ATTRIBUTES_BYTES)[DETACHED] === 1;
      const start = { tableIndex: tableIndex >>> 0, argument, isDetached };
      const started = guest.team?.startJoinable(start, (pages) => guest.grow(pages)) ?? 0;
      if (started > 0) {
        handle[0] = started;
      }
      return started > 0 ? 0 : Errno.again;
    },

    "env.pthread_join": (handle: number, pointer: number): number => {
      const room = pointer === 0 ? undefined : words("pthread_join: value", pointer, 4);
      if (handle === guest.team?.handle) {
        return Errno.deadlk;
      }
      const value = guest.team?.join(handle) ?? null;
      if (value !== null && room !== undefined) {
        room[0] = value;
      }
      return value === null ? Errno.srch : 0;
    },

    "env.pthread_detach": (handle: number): number => (guest.team?.detach(handle) === true ? 0 : Errno.srch),

    "env.pthread_exit": (value: number): never => {
      if (guest.team === null || guest.team.thread === 0) {
        throw new GuestFault("pthread_exit: the call ends with its main thread, which must return");
      }
      throw new ThreadExit(value);
    },

    "env.pthread_self": (): number => guest.team?.handle ?? 1,
    "env.pthread_equal": (one: number, other: number): number => (one === other ? 1 : 0),

    "env.pthread_attr_init": (pointer: number): number => zero("pthread_attr_init: attributes", pointer, ATTRIBUTES_BYTES),
    "env.pthread_attr_destroy": (_pointer: number): number => none(),
    "env.pthread_attr_setstacksize": (_pointer: number, _sizeBytes: number): number => none(),
    "env.pthread_attr_setdetachstate": (pointer: number, isDetached: number): number => {
      const attributes = words("pthread_attr_setdetachstate: attributes", pointer, ATTRIBUTES_BYTES);
      if (isDetached !== 0 && isDetached !== 1) {
        return Errno.inval;
      }
      attributes[DETACHED] = isDetached;
      return 0;
    },

    "env.pthread_mutexattr_init": (pointer: number): number => zero("pthread_mutexattr_init: attributes", pointer, 4),
    "env.pthread_mutexattr_destroy": (_pointer: number): number => none(),
    "env.pthread_mutexattr_settype": (pointer: number, type: number): number => {
      const attributes = words("pthread_mutexattr_settype: attributes", pointer, 4);
      if (type < MutexType.normal || type > MutexType.errorCheck) {
        return Errno.inval;
      }
      attributes[0] = type;
      return 0;
    },

    "env.pthread_mutex_init": (pointer: number, attributes: number): number => {
      const at = mutex("pthread_mutex_init", pointer);
      const type = attributes === 0 ? 0 : (words("pthread_mutex_init: attributes", attributes, 4)[0] ?? 0);
      at.fill(0);
      at[TYPE] = type & 3;
      return 0;
    },
    "env.pthread_mutex_destroy": (pointer: number): number =>
      Atomics.load(mutex("pthread_mutex_destroy", pointer), LOCK) === Lock.free ? 0 : Errno.busy,
    "env.pthread_mutex_lock": (pointer: number): number => lock(mutex("pthread_mutex_lock", pointer)),
    "env.pthread_mutex_trylock": (pointer: number): number => {
      const at = mutex("pthread_mutex_trylock", pointer);
      const again = relock(at);
      if (again !== null) {
        return again === 0 ? 0 : Errno.busy;
      }
      return Atomics.compareExchange(at, LOCK, Lock.free, Lock.held) === Lock.free ? own(at) : Errno.busy;
    },
    "env.pthread_mutex_unlock": (pointer: number): number => unlock(mutex("pthread_mutex_unlock", pointer)),

    "env.pthread_cond_init": (pointer: number, _attributes: number): number =>
      zero("pthread_cond_init: condition", pointer, CONDITION_BYTES),
    "env.pthread_cond_destroy": (_pointer: number): number => none(),
    "env.pthread_cond_wait": (pointer: number, held: number): number =>
      wait(condition("pthread_cond_wait", pointer), mutex("pthread_cond_wait", held), Number.POSITIVE_INFINITY),
    "env.pthread_cond_timedwait": (pointer: number, held: number, untilPointer: number): number => {
      const bytes = guestBytes(guest, "pthread_cond_timedwait: time", untilPointer, 12);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const untilNs = view.getBigInt64(0, true) * NS_PER_S + BigInt(view.getInt32(8, true));
      const restMs = Number((untilNs - timeNowNs(guest)) / NS_PER_MS);
      const sequence = condition("pthread_cond_timedwait", pointer);
      return wait(sequence, mutex("pthread_cond_timedwait", held), Math.max(0, restMs));
    },
    "env.pthread_cond_signal": (pointer: number): number => wake("pthread_cond_signal", pointer, 1),
    "env.pthread_cond_broadcast": (pointer: number): number => wake("pthread_cond_broadcast", pointer, Number.POSITIVE_INFINITY),

    "env.pthread_once": (pointer: number, tableIndex: number): number => {
      const at = words("pthread_once: control", pointer, 4);
      if (Atomics.compareExchange(at, 0, Once.fresh, Once.runs) === Once.fresh) {
        guest.callTableFunction(tableIndex >>> 0);
        Atomics.store(at, 0, Once.done);
        Atomics.notify(at, 0);
      }
      while (Atomics.load(at, 0) === Once.runs) {
        Atomics.wait(at, 0, Once.runs);
      }
      return 0;
    },

    "env.pthread_key_create": (pointer: number, _destructor: number): number => {
      const room = words("pthread_key_create: key", pointer, 4);
      const key = guest.team?.nextKey() ?? 0;
      if (key === 0 || key > KEYS_MAX) {
        return Errno.again;
      }
      room[0] = key;
      return 0;
    },
    "env.pthread_key_delete": (key: number): number => {
      ownKeys().delete(key);
      return 0;
    },
    "env.pthread_getspecific": (key: number): number => ownKeys().get(key) ?? 0,
    "env.pthread_setspecific": (key: number, value: number): number => {
      if (key < 1 || key > KEYS_MAX) {
        return Errno.inval;
      }
      ownKeys().set(key, value);
      return 0;
    },
  };
};
