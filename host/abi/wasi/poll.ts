/** Import: poll_oneoff. Files and streams are always ready here, so that it waits only when it is given nothing but clocks. */
import { type Errno, errnoOf, fail, WasiError } from "./errno.ts";
import { room, roomView, viewOf } from "./memory.ts";
import { checkClock } from "./process.ts";
import { EventType, Right } from "./types.ts";
import type { World } from "./world.ts";

const SUBSCRIPTION_BYTES = 48;
const EVENT_BYTES = 32;
const SUBSCRIPTIONS_MAX = 1024;
const ABSOLUTE = 1;
const NS_PER_MS = 1_000_000;

interface Event {
  readonly userdata: bigint;
  readonly type: number;
  readonly errno: Errno;
  readonly sizeBytes: number;
}

/** A clock subscription. */
interface Alarm {
  readonly userdata: bigint;
  /** Until it is due, in whole ms, rounded up; 0 or less when it is. */
  readonly restMs: number;
}

export const poll = (world: World) => ({
  poll_oneoff: (subscriptions: number, events: number, count: number, sizePointer: number): Errno | Promise<Errno> => {
    const asked: { alarms: Alarm[]; ready: Event[] } = { alarms: [], ready: [] };
    const refused = errnoOf(() => {
      const length = count >>> 0;
      if (length === 0 || length > SUBSCRIPTIONS_MAX) {
        fail("inval");
      }
      const list = room(world, subscriptions, length * SUBSCRIPTION_BYTES);
      room(world, events, length * EVENT_BYTES);
      roomView(world, sizePointer, 4);
      for (let at = 0; at < length; at++) {
        subscribe(world, viewOf(list.subarray(at * SUBSCRIPTION_BYTES, (at + 1) * SUBSCRIPTION_BYTES)), asked);
      }
    });
    if (refused !== 0) {
      return refused;
    }
    const { alarms, ready } = asked;
    /** @param waitedMs  from now on */
    const answer = (waitedMs: number): Errno => {
      const due = alarms.filter(({ restMs }) => restMs <= waitedMs);
      store(world, events, sizePointer, [...ready, ...due.map(({ userdata }) => ringing(userdata))]);
      return 0;
    };
    const restMs = Math.min(...alarms.map((alarm) => alarm.restMs));
    if (ready.length > 0 || restMs <= 0) {
      return answer(0);
    }
    return world.block?.(restMs) === true ? answer(restMs) : sleep(world, restMs, () => answer(restMs));
  },
});

async function sleep(world: World, durationMs: number, answer: () => Errno): Promise<Errno> {
  try {
    await world.sleep(durationMs);
  } catch (error) {
    if (error instanceof WasiError) {
      return error.errno;
    }
    throw error;
  }
  return answer();
}

/** @throws WasiError inval for a clock or type that there is not */
function subscribe(world: World, view: DataView, { alarms, ready }: { alarms: Alarm[]; ready: Event[] }): void {
  const userdata = view.getBigUint64(0, true);
  const type = view.getUint8(8);
  switch (type) {
    case EventType.clock: {
      const clock = view.getUint32(16, true);
      checkClock(clock);
      const timeoutNs = view.getBigUint64(24, true);
      const isAbsolute = (view.getUint16(40, true) & ABSOLUTE) !== 0;
      const restNs = isAbsolute ? timeoutNs - world.timeNs(clock) : timeoutNs;
      alarms.push({ userdata, restMs: Math.ceil(Number(restNs) / NS_PER_MS) });
      break;
    }
    case EventType.read:
    case EventType.write:
      ready.push(readiness(world, userdata, type, view.getUint32(16, true)));
      break;
    default:
      fail("inval");
  }
}

function readiness(world: World, userdata: bigint, type: number, fd: number): Event {
  let sizeBytes = 0;
  const errno = errnoOf(() => {
    const { target, rights, offset } = world.descriptors().get(fd);
    const right = type === EventType.read ? Right.fdRead : Right.fdWrite;
    if ((rights & Right.pollFdReadwrite) === 0 || (rights & right) === 0) {
      fail("notcapable");
    }
    if (type === EventType.read && target.kind === "input") {
      sizeBytes = world.inputBytes(offset);
    } else if (type === EventType.read && target.kind === "file") {
      sizeBytes = Math.max(0, Number(target.stat().sizeBytes) - offset);
    }
  });
  return { userdata, type, errno, sizeBytes };
}

function ringing(userdata: bigint): Event {
  return { userdata, type: EventType.clock, errno: 0, sizeBytes: 0 };
}

function store(world: World, pointer: number, sizePointer: number, list: readonly Event[]): void {
  const view = roomView(world, pointer, list.length * EVENT_BYTES);
  const size = roomView(world, sizePointer, 4);
  for (const [index, { userdata, type, errno, sizeBytes }] of list.entries()) {
    const at = index * EVENT_BYTES;
    view.setBigUint64(at, userdata, true);
    view.setUint16(at + 8, errno, true);
    view.setUint8(at + 10, type);
    view.setBigUint64(at + 16, BigInt(sizeBytes), true);
    view.setUint16(at + 24, 0, true);
  }
  size.setUint32(0, list.length, true);
}
