/** What a benchmark is: what it gets to work with, and what it hands back. */
import type { LoadThread } from "./support/load-thread.ts";

export interface BenchCase {
  /** For `--only`. */
  readonly name: string;
  /** One sentence. */
  readonly measures: string;
  /**
   * Throws when what was measured was also wrong: a lost increment, a failed call, another answer than expected.
   */
  run(bench: Bench): Promise<readonly Row[]>;
}

export interface Bench {
  /** Length of one round of one measurement. */
  readonly roundMs: number;
  /** How long a fresh process is warmed up with one kind of call before it is measured. */
  readonly warmUpMs: number;
  /** Rounds of each measurement; what is reported is the median over them. */
  readonly rounds: number;
  /** Temporary, on the file system that is measured, for this case alone. */
  readonly folder: string;
  readonly load: LoadThread;
  /** What the case started; disposed of when it has ended. */
  readonly cleanup: AsyncDisposableStack;
  /** How much of something: as much as the result needs, or as little as shows that it runs. */
  size(full: number, smoke: number): number;
}

export interface Row {
  readonly what: string;
  readonly value: number;
  readonly unit: Unit;
  readonly bar?: Bar;
}

export type Unit =
  | "calls/s"
  | "records"
  | "records/s"
  | "ms"
  | "ns"
  | "µs"
  | "s"
  | "×"
  | "flushes"
  | "KB"
  | "bytes"
  | "MB/s"
  | "sandboxes";

export interface Bar {
  readonly value: number;
  readonly limit: "at least" | "at most";
  /** Where the number comes from. */
  readonly source: string;
}

export const atLeast = (value: number, source: string): Bar => ({ value, limit: "at least", source });
export const atMost = (value: number, source: string): Bar => ({ value, limit: "at most", source });

export function isMet(value: number, bar: Bar): boolean {
  return bar.limit === "at least" ? value >= bar.value : value <= bar.value;
}
