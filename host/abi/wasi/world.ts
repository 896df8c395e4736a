/** What the imports of WASI need of the place where a program runs: a call of this host, or the command line (`neap run`). */
import type { Descriptors, Stream } from "./descriptors.ts";
import type { FileType } from "./types.ts";

export interface World {
  /** The program's memory now: to be taken anew at each import, as growth detaches it. */
  memory(): Uint8Array;
  /** Bytes that lie behind it, for programs that reach memory regions. */
  aliased?(start: number, sizeBytes: number): Uint8Array | null;
  descriptors(): Descriptors;
  /** Texts without the NUL behind them. */
  args(): readonly Uint8Array[];
  /** "KEY=value", without the NUL behind them. */
  environment(): readonly Uint8Array[];
  /** ns since 1970, or since some moment for the monotonic clock. `clock`: a ClockId. */
  nowNs(clock: number): bigint;
  /** The same, without counting as a question: an import that is entered again, as the call was stopped in it, sees the same time. */
  timeNs(clock: number): bigint;
  /** The step in which the clocks move. */
  readonly clockStepNs: bigint;
  fillRandom(room: Uint8Array): void;
  /** Bytes of the input from `offset` on that are copied; 0 at its end. A stream without offsets gives what comes next. */
  readInput(room: Uint8Array, offset: number): number;
  /** Bytes of the input from `offset` on that are known to be there. */
  inputBytes(offset: number): number;
  write(stream: "output" | "log", bytes: Uint8Array): void;
  streamType(stream: Stream): FileType;
  /** Blocks the thread, where the program may: false where it may not. */
  block?(durationMs: number): boolean;
  /** @throws WasiError notsup where the program may not wait */
  sleep(durationMs: number): Promise<void>;
  /** Ends the program. */
  exit(code: number): never;
}
