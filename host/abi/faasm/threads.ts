/**
 * Imports: pthreads as Faasm's modules import them. Threads have a stack of 1 MiB that the host adds to the memory. Mutexes and condition
 * variables are words of the guest's memory, laid out by this host, and zero where they are initialised statically.
 */
import { type Guest, type GuestCall, GuestFault, THREAD_KEYS_MAX, ThreadExit } from "../../sandbox/guest.ts";
import { timeNowNs } from "../clock-random.ts";
import { guestBytes, guestWords } from "../guest-memory.ts";
import { Errno } from "../wasi/index.ts";
import { GuestMutexes, MutexType } from "./guest-mutexes.ts";

const CONDITION_BYTES = 48;
const ATTRIBUTES_BYTES = 36;
/** Word of the attributes of a thread: 1 when nobody joins it. */
const DETACHED = 3;
const Once = { fresh: 0, runs: 1, done: 2 } as const;
/** A destructor may give keys values again. */
const DESTRUCTOR_ROUNDS = 4;
const NS_PER_MS = 1_000_000n;
const NS_PER_S = 1_000_000_000n;

export const threads = (guest: Guest) => {
  /** What this thread keeps under its keys, in this call. */
  const kept = new WeakMap<GuestCall, Map<number, number>>();
  const mutexes = new GuestMutexes(guest);
  const words = (what: string, pointer: number, sizeBytes: number) => guestWords(guest, what, pointer, sizeBytes);
  const mutex = (name: string, pointer: number) => mutexes.at(`${name}: mutex`, pointer);
  const condition = (name: string, pointer: number) => words(`${name}: condition`, pointer, CONDITION_BYTES);
  const none = (): number => 0;

  function zero(what: string, pointer: number, sizeBytes: number): number {
    words(what, pointer, sizeBytes).fill(0);
    return 0;
  }

  /** @param timeoutMs  real time, as the call's own stands still while it waits */
  function wait(sequence: Int32Array, held: Int32Array, timeoutMs: number): number {
    const before = Atomics.load(sequence, 0);
    const refused = mutexes.unlock(held);
    if (refused !== 0) {
      return refused;
    }
    const outcome = Atomics.wait(sequence, 0, before, timeoutMs);
    mutexes.lock(held);
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

  /** Of what the thread that ends has kept. */
  function runDestructors(): void {
    const own = ownKeys();
    for (let round = 0; round < DESTRUCTOR_ROUNDS; round++) {
      const due = Array.from(own, ([key, value]) => ({ key, value, destructor: guest.team?.destructorOf(key) ?? 0 })).filter(
        ({ value, destructor }) => value !== 0 && destructor !== 0,
      );
      for (const { key, value, destructor } of due) {
        own.delete(key);
        guest.callTableFunction(destructor >>> 0, value);
      }
    }
  }

  guest.beforeThreadEnd(runDestructors);

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
      if (guest.team.crew.level > 0) {
        throw new GuestFault("pthread_exit: a parallel region ends with all its threads, which must come to its end");
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
      mutexes.init(at, type & 3);
      return 0;
    },
    "env.pthread_mutex_destroy": (pointer: number): number =>
      mutexes.isFree(mutex("pthread_mutex_destroy", pointer)) ? 0 : Errno.busy,
    "env.pthread_mutex_lock": (pointer: number): number => mutexes.lock(mutex("pthread_mutex_lock", pointer)),
    "env.pthread_mutex_trylock": (pointer: number): number => mutexes.tryLock(mutex("pthread_mutex_trylock", pointer)),
    "env.pthread_mutex_unlock": (pointer: number): number => mutexes.unlock(mutex("pthread_mutex_unlock", pointer)),

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

    "env.pthread_key_create": (pointer: number, destructor: number): number => {
      const room = words("pthread_key_create: key", pointer, 4);
      const key = guest.team?.createKey(destructor) ?? 0;
      room[0] = key === 0 ? (room[0] ?? 0) : key;
      return key === 0 ? Errno.again : 0;
    },
    "env.pthread_key_delete": (key: number): number => {
      guest.team?.deleteKey(key);
      ownKeys().delete(key);
      return 0;
    },
    "env.pthread_getspecific": (key: number): number => ownKeys().get(key) ?? 0,
    "env.pthread_setspecific": (key: number, value: number): number => {
      if (key < 1 || key > THREAD_KEYS_MAX) {
        return Errno.inval;
      }
      ownKeys().set(key, value);
      return 0;
    },
  };
};
