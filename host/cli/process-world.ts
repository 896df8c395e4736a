/** This process as a WASI program sees it: its streams, its clocks, and the folders that its user names. */
import { randomFillSync } from "node:crypto";
import { fstatSync, readSync, writeSync } from "node:fs";
import { setTimeout as after } from "node:timers/promises";
import {
  ClockId,
  type Descriptors,
  FileType,
  type FolderNode,
  firstDescriptors,
  type Stream,
  type World,
} from "../abi/wasi/index.ts";
import { GuestExit } from "../sandbox/index.ts";
import { codeOf, refuse } from "./host-errno.ts";

export interface ProcessWorldOptions {
  readonly args: readonly string[];
  /** "KEY=value" */
  readonly environment: readonly string[];
  readonly preopens: readonly { readonly name: string; readonly folder: FolderNode }[];
  readonly memory: () => Uint8Array;
}

const NUMBERS: Readonly<Record<Stream, number>> = { input: 0, output: 1, log: 2 };
/** A stream that is not ready is asked again after so long. */
const RETRY_MS = 5;
/** What a timer can wait for at once. */
const TIMER_MAX_MS = 2 ** 31 - 1;
const RANDOM_MAX_BYTES = 2 ** 30;

export function processWorld({ args, environment, preopens, memory }: ProcessWorldOptions): World {
  const descriptors: Descriptors = firstDescriptors(preopens);
  const bytes = (texts: readonly string[]) => texts.map((text) => Buffer.from(text));
  const [argBytes, environmentBytes] = [bytes(args), bytes(environment)];
  const startNs = BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint();
  const timeNs = (clock: number) => process.hrtime.bigint() + (clock === ClockId.realtime ? startNs : 0n);
  return {
    memory,
    descriptors: () => descriptors,
    args: () => argBytes,
    environment: () => environmentBytes,
    nowNs: timeNs,
    timeNs,
    clockStepNs: 1n,
    fillRandom: (room) => {
      for (let offset = 0; offset < room.byteLength; offset += RANDOM_MAX_BYTES) {
        randomFillSync(room.subarray(offset, offset + RANDOM_MAX_BYTES));
      }
    },
    readInput: (room) => (room.byteLength === 0 ? 0 : whenReady(() => readSync(NUMBERS.input, room))),
    // How much there is shows when it is read.
    inputBytes: () => 1,
    write: (stream, piece) => {
      for (let done = 0; done < piece.byteLength; ) {
        done += whenReady(() => writeSync(NUMBERS[stream], piece, done));
      }
    },
    streamType: (stream) => {
      try {
        const stats = fstatSync(NUMBERS[stream]);
        return stats.isCharacterDevice() ? FileType.characterDevice : stats.isFile() ? FileType.file : FileType.unknown;
      } catch {
        return FileType.unknown;
      }
    },
    sleep: (durationMs) => sleep(durationMs),
    exit: (code) => {
      throw new GuestExit(code);
    },
  };
}

async function sleep(durationMs: number): Promise<void> {
  for (let restMs = durationMs; restMs > 0; restMs -= TIMER_MAX_MS) {
    await after(Math.min(restMs, TIMER_MAX_MS));
  }
}

/** Waits for a stream that another process has set not to block. @throws WasiError */
function whenReady(run: () => number): number {
  for (;;) {
    try {
      return run();
    } catch (error) {
      if (codeOf(error) === "EOF") {
        return 0;
      }
      if (codeOf(error) !== "EAGAIN") {
        refuse(error);
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
  }
}
