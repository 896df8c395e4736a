/** Host state of one call: what a guest could notice of it beside its memory. */
import { ByteReader, ByteWriter } from "../../state/bytes.ts";
import type { GuestCall, KeptAnswer, TravellingState } from "./guest.ts";
import type { KillReason } from "./sandbox.ts";

const EMPTY = new Uint8Array(0);

/** Thrown by an import to end the attempt without a result of the guest's. */
export class GuestKill extends Error {
  override name = "GuestKill";
  readonly reason: KillReason;
  constructor(reason: KillReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

export function cpuTimeText(cpuTimeMs: number): string {
  return `the call took more than ${cpuTimeMs} ms of CPU time`;
}

export function outputTooLarge(sizeBytes: number, maxBytes: number): GuestKill {
  return new GuestKill("outputTooLarge", `output is ${sizeBytes} bytes, at most ${maxBytes} are allowed`);
}

export interface CallPins {
  readonly input: Uint8Array;
  readonly commandLine: Uint8Array;
  readonly startTimeMs: number;
  readonly seed: Uint8Array;
  readonly outputMaxBytes: number;
  readonly logMaxBytes: number;
  readonly cpuTimeMs: number;
}

export class CallState implements GuestCall {
  readonly input: Uint8Array;
  commandLine: Uint8Array;
  readonly startTimeMs: number;
  readonly seed: Uint8Array;
  readonly outputMaxBytes: number;
  readonly logMaxBytes: number;
  inPart = false;
  callCount = 0;
  clockCount = 0;
  randomCount = 0;
  lastTimeMs = 0;
  logBytes = 0;
  files: TravellingState | Uint8Array | null = null;
  keptAnswer: KeptAnswer | null = null;
  conflict: Uint8Array = EMPTY;
  #output: Uint8Array[] = [];
  #outputBytes = 0;

  constructor(pins: CallPins) {
    this.input = pins.input;
    this.commandLine = pins.commandLine;
    this.startTimeMs = pins.startTimeMs;
    this.seed = pins.seed;
    this.outputMaxBytes = pins.outputMaxBytes;
    this.logMaxBytes = pins.logMaxBytes;
  }

  /** `bytes` may be a view of the guest's memory. */
  appendOutput(bytes: Uint8Array): void {
    if (this.#outputBytes + bytes.byteLength > this.outputMaxBytes) {
      throw outputTooLarge(this.#outputBytes + bytes.byteLength, this.outputMaxBytes);
    }
    if (bytes.byteLength > 0) {
      this.#output.push(Buffer.from(bytes));
      this.#outputBytes += bytes.byteLength;
    }
  }

  /** The output so far. */
  output(): Uint8Array {
    if (this.#output.length !== 1) {
      this.#output = [Buffer.concat(this.#output)];
    }
    return this.#output[0] ?? new Uint8Array(0);
  }

  /** The state as it travels with a part; the pins travel beside it. */
  encode(): Uint8Array {
    const output = this.output();
    const files = this.files instanceof Uint8Array ? this.files : (this.files?.encode() ?? EMPTY);
    const kept = this.keptAnswer;
    const w = new ByteWriter(128 + output.byteLength + files.byteLength)
      .u8(this.inPart ? 1 : 0)
      .u32(this.callCount)
      .u32(this.clockCount)
      .u32(this.randomCount)
      .f64(this.lastTimeMs)
      .f64(this.logBytes)
      .bytes(output)
      .bytes(this.commandLine)
      .bytes(files)
      .bytes(this.conflict)
      .u8(kept === null ? 0 : 1);
    return (kept === null ? w : w.u32(kept.handle).i32(kept.returnValue).f64(kept.sizeBytes).bytes(kept.slice)).view();
  }

  /** Takes over what `encode` wrote elsewhere. @throws RangeError when the bytes end too early or the output is over the limit */
  restore(bytes: Uint8Array): void {
    const r = new ByteReader(bytes);
    const inPart = r.u8() === 1;
    const [callCount, clockCount, randomCount, lastTimeMs, logBytes] = [r.u32(), r.u32(), r.u32(), r.f64(), r.f64()];
    const output = Buffer.from(r.bytes());
    const commandLine = Uint8Array.from(r.bytes());
    const files = Uint8Array.from(r.bytes());
    const conflict = Uint8Array.from(r.bytes());
    const keptAnswer =
      r.u8() === 0 ? null : { handle: r.u32(), returnValue: r.i32(), sizeBytes: r.f64(), slice: Uint8Array.from(r.bytes()) };
    if (output.byteLength > this.outputMaxBytes) {
      throw new RangeError(`the state holds ${output.byteLength} bytes of output, at most ${this.outputMaxBytes} are allowed`);
    }
    Object.assign(this, { inPart, callCount, clockCount, randomCount, lastTimeMs, logBytes, commandLine, conflict, keptAnswer });
    this.files = files.byteLength === 0 ? null : files;
    this.#output = [output];
    this.#outputBytes = output.byteLength;
  }
}
