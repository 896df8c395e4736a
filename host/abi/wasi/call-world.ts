/** A call of this host as WASI sees it: all of it is fixed by the call's pins and what the guest does, so a replay sees the same (F13). */
import { type Guest, GuestExit } from "../../sandbox/guest.ts";
import { drawRandom, nextTimeNs, timeNowNs } from "../clock-random.ts";
import { aliasedBytes } from "../guest-memory.ts";
import { logBytes } from "../guest-text.ts";
import { Operation, sleepArgs } from "../operations.ts";
import { request } from "../requests.ts";
import type { Asks } from "./asks.ts";
import { CallFiles } from "./call-files.ts";
import { firstDescriptors } from "./descriptors.ts";
import { fail } from "./errno.ts";
import { SharedFiles } from "./shared-files.ts";
import { FileType } from "./types.ts";
import type { World } from "./world.ts";

/** As of `neap.sleep`. */
const SLEEP_MAX_MS = 366 * 24 * 60 * 60 * 1000;
const NEVER_WOKEN = new Int32Array(new SharedArrayBuffer(4));

/** A call as a World, and what is to be done when its program has ended. */
export interface CallWorld extends World {
  /** @throws GuestFault as CallFiles.finish */
  finish(): Promise<void> | undefined;
}

export function callWorld(guest: Guest, asks: Asks): CallWorld {
  const now = () => nextTimeNs(guest);

  const files = (): CallFiles => {
    const { call } = guest;
    if (!(call.files instanceof CallFiles)) {
      const shared = new SharedFiles(guest, asks);
      call.files = call.files instanceof Uint8Array ? CallFiles.decode(call.files, now, shared) : CallFiles.empty(now, shared);
    }
    return call.files as CallFiles;
  };

  /** Files are the main thread's, as what is done to them has one order. */
  const streams = firstDescriptors([]);
  const isMain = () => guest.team === null || guest.team.thread === 0;

  return {
    memory: () => guest.memory(),
    aliased: (start, sizeBytes) => aliasedBytes(guest, start, sizeBytes),
    descriptors: () => (isMain() ? files().descriptors : streams),
    args: () => programOf(guest.call.commandLine).args,
    environment: () => programOf(guest.call.commandLine).environment,
    nowNs: now,
    timeNs: () => timeNowNs(guest),
    clockStepNs: 1_000_000n,
    fillRandom: (room) => drawRandom(guest, room),
    readInput: (room, offset) => {
      const slice = guest.call.input.subarray(offset, offset + room.byteLength);
      room.set(slice);
      return slice.byteLength;
    },
    inputBytes: (offset) => Math.max(0, guest.call.input.byteLength - offset),
    write: (stream, bytes) => (stream === "output" ? guest.call.appendOutput(bytes) : logBytes(guest, bytes)),
    // Not a character device: a C library would take it for a terminal, and write it line by line.
    streamType: () => FileType.unknown,
    block: (durationMs) => {
      const blocks = !isMain();
      if (blocks) {
        Atomics.wait(NEVER_WOKEN, 0, 0, durationMs);
      }
      return blocks;
    },
    sleep: async (durationMs) => {
      if (guest.call.inPart) {
        fail("notsup");
      }
      if (durationMs > SLEEP_MAX_MS) {
        fail("inval");
      }
      await request(guest, Operation.sleep, sleepArgs.encode(durationMs));
    },
    exit: (code) => {
      throw new GuestExit(code);
    },
    finish: () => (guest.call.files === null || guest.call.inPart ? undefined : files().finish()),
  };
}

/** No argument is empty. */
function programOf(commandLine: Uint8Array) {
  const texts = textsOf(commandLine);
  const end = texts.findIndex(({ byteLength }) => byteLength === 0);
  return end < 0 ? { args: texts, environment: [] } : { args: texts.slice(0, end), environment: texts.slice(end + 1) };
}

/** Texts with a NUL between two of them. */
function textsOf(bytes: Uint8Array): Uint8Array[] {
  const texts: Uint8Array[] = [];
  for (let start = 0; start <= bytes.byteLength; ) {
    const end = bytes.indexOf(0, start);
    texts.push(bytes.subarray(start, end < 0 ? bytes.byteLength : end));
    start = end < 0 ? bytes.byteLength + 1 : end + 1;
  }
  return texts;
}
