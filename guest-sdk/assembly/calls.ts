/** Calls of other functions of the same tenant. A call that was started happens exactly once. */
import { toBytes, toText } from "./bytes";
import * as host from "./host";

const FIRST_READ_BYTES: i32 = 4096;

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
  const bytes = toBytes(name);
  const handle = host.callStart(bytes.dataStart, bytes.byteLength, input.dataStart, input.byteLength);
  if (handle < 0) throw new Error("call of '" + name + "': " + reason(handle));
  return new StartedCall(name, handle);
}

/** Waits. A call that the host has to run again sleeps only for what is left. Not possible inside `storage.run`. */
export function sleep(durationMs: i64): void {
  host.sleepMs(durationMs);
}

function reason(code: i32): string {
  if (code == host.UNKNOWN_FUNCTION) return "there is no such function, or calls are nested too deep";
  if (code == host.NOT_IN_PART) return "calls are not possible inside storage.run";
  if (code == host.TOO_LARGE) return "the input is larger than 1 MiB";
  return "this is not a function's name";
}
