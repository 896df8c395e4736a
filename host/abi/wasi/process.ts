/** Imports: arguments, environment, clocks, randomness, the end of the program. */
import { type Errno, errnoOf, fail } from "./errno.ts";
import { room, roomView } from "./memory.ts";
import { ClockId } from "./types.ts";
import type { World } from "./world.ts";

const POINTER_BYTES = 4;

export const process = (world: World) => {
  const sizes = (texts: readonly Uint8Array[], countPointer: number, bytesPointer: number): Errno =>
    errnoOf(() => {
      const count = roomView(world, countPointer, 4);
      const bytes = roomView(world, bytesPointer, 4);
      count.setUint32(0, texts.length, true);
      bytes.setUint32(0, sizeOf(texts), true);
    });

  const copy = (texts: readonly Uint8Array[], pointers: number, textPointer: number): Errno =>
    errnoOf(() => {
      const list = roomView(world, pointers, texts.length * POINTER_BYTES);
      const bytes = room(world, textPointer, sizeOf(texts));
      let at = 0;
      for (const [index, text] of texts.entries()) {
        list.setUint32(index * POINTER_BYTES, (textPointer >>> 0) + at, true);
        bytes.set(text, at);
        bytes[at + text.byteLength] = 0;
        at += text.byteLength + 1;
      }
    });

  return {
    args_sizes_get: (count: number, bytes: number): Errno => sizes(world.args(), count, bytes),

    args_get: (pointers: number, texts: number): Errno => copy(world.args(), pointers, texts),

    environ_sizes_get: (count: number, bytes: number): Errno => sizes(world.environment(), count, bytes),

    environ_get: (pointers: number, texts: number): Errno => copy(world.environment(), pointers, texts),

    clock_res_get: (clock: number, pointer: number): Errno =>
      errnoOf(() => {
        checkClock(clock);
        roomView(world, pointer, 8).setBigUint64(0, world.clockStepNs, true);
      }),

    clock_time_get: (clock: number, _precision: bigint, pointer: number): Errno =>
      errnoOf(() => {
        checkClock(clock);
        const view = roomView(world, pointer, 8);
        view.setBigUint64(0, world.nowNs(clock), true);
      }),

    random_get: (pointer: number, length: number): Errno => errnoOf(() => world.fillRandom(room(world, pointer, length))),

    sched_yield: (): Errno => 0,

    proc_exit: (code: number): never => world.exit(code),

    proc_raise: (_signal: number): Errno => errnoOf(() => fail("notsup")),
  };
};

/** @throws WasiError inval: the clocks that count CPU time are not offered */
export function checkClock(clock: number): void {
  if (clock !== ClockId.realtime && clock !== ClockId.monotonic) {
    fail("inval");
  }
}

function sizeOf(texts: readonly Uint8Array[]): number {
  return texts.reduce((sum, text) => sum + text.byteLength + 1, 0);
}
