/**
 * Imports: how the threads of a parallel region share the turns of a loop, `lower`, `lower + step` … `upper`. The `4` and `8` of their
 * names are the bytes of the loop's variable, `u` is for unsigned ones. Numbers of schedules are those of LLVM's runtime (kmp.h).
 */
import { type Guest, type GuestCrew, GuestFault } from "../../sandbox/guest.ts";
import { guestBytes } from "../guest-memory.ts";
import { crewOf } from "./openmp.ts";

const Schedule = { staticChunked: 33, static: 34, dynamic: 35, guided: 36, runtime: 37, auto: 38 } as const;
/** What compilers add to a schedule: "monotonic" and "nonmonotonic", which it is anyway or need not be. */
const MODIFIERS = (1 << 29) | (1 << 30);

type Name = "4" | "4u" | "8" | "8u";

/** A type of loop variables. */
class LoopType {
  readonly name: Name;
  readonly sizeBytes: 4 | 8;
  readonly #isSigned: boolean;

  constructor(name: Name) {
    this.name = name;
    this.sizeBytes = name.startsWith("4") ? 4 : 8;
    this.#isSigned = !name.endsWith("u");
  }

  /** A number as it comes from the guest. */
  of(value: number | bigint): bigint {
    const bits = 8 * this.sizeBytes;
    return this.#isSigned ? BigInt.asIntN(bits, BigInt(value)) : BigInt.asUintN(bits, BigInt(value));
  }

  /** Steps and sizes of chunks are signed for each type. */
  signed(value: number | bigint): bigint {
    return BigInt.asIntN(8 * this.sizeBytes, BigInt(value));
  }

  read(view: DataView): bigint {
    return this.of(this.sizeBytes === 4 ? view.getInt32(0, true) : view.getBigInt64(0, true));
  }

  write(view: DataView, value: bigint): void {
    if (this.sizeBytes === 4) {
      view.setInt32(0, Number(BigInt.asIntN(32, value)), true);
    } else {
      view.setBigInt64(0, BigInt.asIntN(64, value), true);
    }
  }
}

interface Turns {
  readonly from: bigint;
  readonly count: bigint;
}

/** A loop that the threads cut while it runs. */
interface Cut {
  readonly lower: bigint;
  readonly step: bigint;
  readonly total: bigint;
  /** What this thread does next; null: nothing more. */
  readonly take: () => Turns | null;
}

/** Turns of a loop: 0 when there are none. */
function turnsOf(lower: bigint, upper: bigint, step: bigint): bigint {
  const span = step > 0n ? upper - lower : lower - upper;
  return span < 0n ? 0n : span / (step > 0n ? step : -step) + 1n;
}

const min = (one: bigint, other: bigint): bigint => (one < other ? one : other);

export const openmpLoops = (guest: Guest) => {
  /** Loops that this thread is in, by the regions in which it is. */
  const cuts = new Map<number, Cut>();

  const room = (what: string, pointer: number, sizeBytes: number): DataView => {
    const bytes = guestBytes(guest, what, pointer, sizeBytes);
    return new DataView(bytes.buffer, bytes.byteOffset, sizeBytes);
  };

  function checkStep(name: string, step: bigint): void {
    if (step === 0n) {
      throw new GuestFault(`${name}: the step of a loop is 0`);
    }
  }

  const staticInit =
    (type: LoopType) =>
    (
      _location: number,
      _thread: number,
      schedule: number,
      lastPointer: number,
      lowerPointer: number,
      upperPointer: number,
      stridePointer: number,
      given: number | bigint,
      givenChunk: number | bigint,
    ): void => {
      const name = `__kmpc_for_static_init_${type.name}`;
      const last = room(`${name}: last`, lastPointer, 4);
      const [lower, upper, stride] = [lowerPointer, upperPointer, stridePointer].map((pointer, at) =>
        room(`${name}: ${["lower", "upper", "stride"][at]}`, pointer, type.sizeBytes),
      ) as [DataView, DataView, DataView];
      const kind = schedule & ~MODIFIERS;
      if (kind !== Schedule.static && kind !== Schedule.staticChunked) {
        throw new GuestFault(`${name}: schedule ${schedule} is not offered`);
      }
      const step = type.signed(given);
      checkStep(name, step);
      const [from, to] = [type.read(lower), type.read(upper)];
      const crew = crewOf(guest);
      const total = turnsOf(from, to, step);
      if (total === 0n) {
        last.setInt32(0, 0, true);
        type.write(stride, step);
        return;
      }
      const asked = type.signed(givenChunk);
      const chunk = kind === Schedule.static ? null : min(asked < 1n ? 1n : asked, total);
      const own = chunk === null ? blockOf(crew, total) : firstChunkOf(crew, chunk, total);
      type.write(stride, step * (chunk === null ? total : chunk * BigInt(crew.size)));
      last.setInt32(0, doesLast(crew, own, chunk, total) ? 1 : 0, true);
      // A thread that has nothing to do gets a range that is empty in each type.
      type.write(lower, own === null ? (step > 0n ? 1n : 0n) : from + step * own.from);
      type.write(upper, own === null ? (step > 0n ? 0n : 1n) : from + step * (own.from + own.count - 1n));
    };

  const dispatchInit =
    (type: LoopType) =>
    (
      _location: number,
      _thread: number,
      schedule: number,
      given: number | bigint,
      givenUpper: number | bigint,
      givenStep: number | bigint,
      givenChunk: number | bigint,
    ): void => {
      const name = `__kmpc_dispatch_init_${type.name}`;
      const step = type.signed(givenStep);
      checkStep(name, step);
      const crew = crewOf(guest);
      const lower = type.of(given);
      const total = turnsOf(lower, type.of(givenUpper), step);
      const asked = type.signed(givenChunk);
      const chunk = asked < 1n ? 1n : asked;
      const take = takeOf(name, crew, schedule & ~MODIFIERS, chunk, total);
      cuts.set(crew.level, { lower, step, total, take });
    };

  const dispatchNext =
    (type: LoopType) =>
    (
      _location: number,
      _thread: number,
      lastPointer: number,
      lowerPointer: number,
      upperPointer: number,
      stridePointer: number,
    ): number => {
      const name = `__kmpc_dispatch_next_${type.name}`;
      const crew = crewOf(guest);
      const cut = cuts.get(crew.level);
      const last = lastPointer === 0 ? undefined : room(`${name}: last`, lastPointer, 4);
      const [lower, upper, stride] = [lowerPointer, upperPointer, stridePointer].map((pointer, at) =>
        room(`${name}: ${["lower", "upper", "stride"][at]}`, pointer, type.sizeBytes),
      ) as [DataView, DataView, DataView];
      const taken = cut?.take() ?? null;
      if (cut === undefined || taken === null) {
        cuts.delete(crew.level);
        return 0;
      }
      const { from, count } = taken;
      last?.setInt32(0, from + count >= cut.total ? 1 : 0, true);
      type.write(lower, cut.lower + cut.step * from);
      type.write(upper, cut.lower + cut.step * (from + count - 1n));
      type.write(stride, cut.step);
      return 1;
    };

  const functionsOf = (type: LoopType) => ({
    [`env.__kmpc_for_static_init_${type.name}`]: staticInit(type),
    [`env.__kmpc_dispatch_init_${type.name}`]: dispatchInit(type),
    [`env.__kmpc_dispatch_next_${type.name}`]: dispatchNext(type),
  });

  return {
    ...functionsOf(new LoopType("4")),
    ...functionsOf(new LoopType("4u")),
    ...functionsOf(new LoopType("8")),
    ...functionsOf(new LoopType("8u")),
    "env.__kmpc_for_static_fini": (_location: number, _thread: number): void => {},
    "env.__kmpc_dispatch_deinit": (_location: number, _thread: number): void => {},
  };
};

/** Begins a loop: how this thread takes its turns. */
function takeOf(name: string, crew: GuestCrew, kind: number, chunk: bigint, total: bigint): () => Turns | null {
  switch (kind) {
    case Schedule.dynamic:
      crew.beginLoop(total);
      return () => crew.takeTurns(() => chunk);
    case Schedule.guided: {
      const shares = 2n * BigInt(crew.size);
      crew.beginLoop(total);
      return () => crew.takeTurns((left) => (left / shares > chunk ? left / shares : chunk));
    }
    case Schedule.runtime:
    case Schedule.auto: {
      let own: Turns | null = blockOf(crew, total);
      return () => {
        const taken = own;
        own = null;
        return taken;
      };
    }
    default:
      throw new GuestFault(`${name}: schedule ${kind} is not offered`);
  }
}

/** The thread's part when each has one, as even as they can be. Null: it has none. */
function blockOf({ index, size }: GuestCrew, total: bigint): Turns | null {
  const [rank, threads] = [BigInt(index), BigInt(size)];
  const rest = total % threads;
  const from = rank * (total / threads) + min(rank, rest);
  return from >= total ? null : { from, count: total / threads + (rank < rest ? 1n : 0n) };
}

/** The next ones are a stride behind it. */
function firstChunkOf({ index }: GuestCrew, chunk: bigint, total: bigint): Turns | null {
  const from = BigInt(index) * chunk;
  return from >= total ? null : { from, count: min(chunk, total - from) };
}

/** Whether the loop's last turn is this thread's. */
function doesLast({ index, size }: GuestCrew, own: Turns | null, chunk: bigint | null, total: bigint): boolean {
  if (own === null) {
    return false;
  }
  return chunk === null ? own.from + own.count === total : ((total - 1n) / chunk) % BigInt(size) === BigInt(index);
}
