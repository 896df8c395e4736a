/** What functions can do, as a guest of the host and as the oracle do it; and programs as data. */
import type { Isolation } from "../../state/txn/index.ts";

/** A value without its padding, null for none, a time, or keys; undefined where a guest has not come to say it. */
export type Looked = string | null | readonly string[] | undefined;

export interface Machine {
  /** All that it has read and listed so far, and its times: part of what a program says, as nothing else knows what `unsafe` has read. */
  readonly looked: readonly Looked[];
  read(key: string): Promise<string | null>;
  put(key: string, text: string): Promise<void>;
  delete(key: string): Promise<void>;
  list(prefix: string): Promise<readonly string[]>;
  /** Reads and writes at once. @returns what was there */
  update(key: string, change: (old: string | null) => string): Promise<string | null>;
  callStart(program: Program, bound?: boolean): Promise<number>;
  callAwait(handle: number): Promise<{ readonly returnValue: number; readonly text: string }>;
  /** The call that has ended first. @returns index into `handles` */
  select(handles: readonly number[]): Promise<number>;
  /** 1: cancelled; 0: it had ended. */
  cancel(handle: number): Promise<number>;
  /** A call that nobody joins. @returns its instance */
  spawn(program: Program, delayMs: number): Promise<string>;
  /** Runs a program where the data is, as a part of this call (F21). @returns what it saw */
  part(program: Program): Promise<unknown>;
  sleep(durationMs: number): Promise<void>;
  /** Sends a request to another system. @returns what came of it */
  outside(what: string): Promise<string>;
  /** A fresh cursor. */
  sync(): Promise<void>;
  /** What was written before it is seen before what is written after it. */
  fence(): Promise<void>;
  begin(isolation: Isolation): Promise<void>;
  /** "committed", or what conflicted: then nothing was written. Either way the transaction is over. */
  commit(): Promise<string>;
  abort(): Promise<void>;
  /** Waits for it. @returns the token */
  lock(name: string): Promise<number>;
  /** @returns the token; 0 when another call holds it */
  tryLock(name: string): Promise<number>;
  unlock(name: string): Promise<number>;
  /** Appends to a stream of the tenant's log. @param length  of the stream, or the append is refused @returns what came of it */
  append(stream: string, text: string, length?: number): Promise<string>;
  /** The last record at or before `max`, or why there is none. */
  logPrev(stream: string, max: number): Promise<string>;
  logNext(stream: string, min: number): Promise<string>;
  /** As logNext, and waits for it. */
  logAwait(stream: string, min: number, timeoutMs: number): Promise<string>;
  logTail(stream: string): Promise<LogTail>;
  trim(stream: string, upTo: number): Promise<void>;
  /** The guest's clock in ms. */
  now(): number;
  trap(message: string): never;
}

export interface LogTail {
  readonly length: number;
  readonly last: number;
  readonly goneUpTo: number;
  readonly closed: boolean;
}

/** One step as data: it travels in the input of the call. */
export interface Step {
  readonly op: string;
  readonly key?: string;
  readonly otherKey?: string;
  readonly amount?: number;
  readonly isolation?: Isolation;
  readonly programs?: readonly Program[];
}

export interface Program {
  /** Of the request, and the path of calls to this one: values that it writes begin with it. */
  readonly id: string;
  /** That it runs as. */
  readonly functionName: string;
  /** It may be cancelled in the middle. */
  readonly mayBeCut: boolean;
  readonly steps: readonly Step[];
}

/** A value without its padding. */
export function brief(text: string | null): string | null {
  return text === null ? null : text.replace(/\.+$/, "");
}
