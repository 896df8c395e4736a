/** Calls of other functions of the same tenant. A call that was started happens exactly once. */
import { toBytes, toText } from "./bytes";
import * as host from "./host";

const FIRST_READ_BYTES: i32 = 4096;
/** Room for the id of a call. */
const ID_BYTES: i32 = 64;

/** How a called function ended. */
export class CallOutcome {
  constructor(
    /** What its main returned: 0 is success. Not 0 when it trapped. */
    readonly returnValue: i32,
    /** Its output, or the message when it trapped. */
    readonly bytes: Uint8Array,
  ) {}

  /** Whether it returned 0. */
  get ok(): bool {
    return this.returnValue == 0;
  }

  /** `bytes` as text. */
  get text(): string {
    return toText(this.bytes);
  }
}

/** A call that was started: hand it to `wait`. */
export class StartedCall {
  constructor(
    readonly name: string,
    readonly handle: i32,
  ) {}

  /**
   * Ends the called function: its outcome is then the message "cancelled", what it has done so far stays. False when it had ended
   * before, or could not be started: then its outcome is what it was.
   */
  cancel(): bool {
    const cancelled = host.callCancel(this.handle);
    if (cancelled < 0) throw new Error("cancel of '" + this.name + "': " + reason(cancelled));
    return cancelled == 1;
  }

  /** Waits until the called function has ended. */
  wait(): CallOutcome {
    const returnValue = memory.data(4, 4);
    let room = new Uint8Array(FIRST_READ_BYTES);
    while (true) {
      const size = host.callAwait(this.handle, room.dataStart, room.byteLength, returnValue);
      if (size < 0) throw new Error("call of '" + this.name + "': " + reason(<i32>size));
      if (size <= room.byteLength) {
        return new CallOutcome(load<i32>(returnValue), room.subarray(0, <i32>size));
      }
      room = new Uint8Array(<i32>size);
    }
  }
}

/** Calls a function with a text and waits for its answer. Not possible inside `storage.run`. */
export function call(name: string, input: string): CallOutcome {
  return start(name, input).wait();
}

/**
 * Starts a function and goes on at once; `wait` on the result gives its answer. Start several and then wait for them, and they
 * run at the same time.
 */
export function start(name: string, input: string): StartedCall {
  return startBytes(name, toBytes(input));
}

/** Like `start`, with bytes. The input may have 1 MiB; put more into an object and pass its key. */
export function startBytes(name: string, input: Uint8Array): StartedCall {
  return started(name, input, false);
}

function started(name: string, input: Uint8Array, bound: bool): StartedCall {
  const bytes = toBytes(name);
  const handle = bound
    ? host.callStartBound(bytes.dataStart, bytes.byteLength, input.dataStart, input.byteLength)
    : host.callStart(bytes.dataStart, bytes.byteLength, input.dataStart, input.byteLength);
  if (handle < 0) throw new Error("call of '" + name + "': " + reason(handle));
  return new StartedCall(name, handle);
}

/**
 * Like `start`, for a call that is of no use to anybody else: when this function ends without having waited for it, it is cancelled.
 * One that was started with `start` goes on to its end.
 */
export function startBound(name: string, input: string): StartedCall {
  return started(name, toBytes(input), true);
}

/**
 * Waits until the first of at most 64 calls has ended, and gives its index. The others go on; wait for them, cancel them or leave
 * them. When the host runs this function again, the same one is the first.
 */
export function select(calls: StartedCall[]): i32 {
  const handles = new StaticArray<i32>(calls.length);
  for (let i = 0; i < calls.length; i++) handles[i] = calls[i].handle;
  const first = host.callSelect(changetype<usize>(handles), handles.length);
  if (first < 0) throw new Error("select: " + (first == host.INVALID ? "1 to 64 calls are possible" : reason(first)));
  return first;
}

/**
 * Calls a function without waiting for it, now or after `delayMs`, at most 366 days. It runs whatever becomes of this call, and begins
 * with the state of its own time. Gives its id, for `GET /v1/tenants/<tenant>/calls/<id>`.
 */
export function spawn(name: string, input: string, delayMs: i64 = 0): string {
  const id = new Uint8Array(ID_BYTES);
  const size = begin(name, toBytes(input), delayMs, id.dataStart);
  return toText(id.subarray(0, size));
}

/** Like `spawn`, and goes on at once, as nobody needs the id. That there is no such function is not seen. */
export function post(name: string, input: string, delayMs: i64 = 0): void {
  begin(name, toBytes(input), delayMs, 0);
}

function begin(name: string, input: Uint8Array, delayMs: i64, id: usize): i32 {
  const bytes = toBytes(name);
  const size = host.callSpawn(bytes.dataStart, bytes.byteLength, input.dataStart, input.byteLength, delayMs, id, id == 0 ? 0 : ID_BYTES);
  if (size < 0) throw new Error("spawn of '" + name + "': " + reason(size));
  return size;
}

/** Waits. A call that the host has to run again sleeps only for what is left. Not possible inside `storage.run`. */
export function sleep(durationMs: i64): void {
  host.sleepMs(durationMs);
}

function reason(code: i32): string {
  if (code == host.UNKNOWN_FUNCTION) return "there is no such function";
  if (code == host.TOO_DEEP) return "calls are nested deeper than the limit callMaxDepth";
  if (code == host.NOT_IN_PART) return "calls are not possible inside storage.run";
  if (code == host.TOO_LARGE) return "the input is larger than 1 MiB";
  return "this is not a function's name";
}
