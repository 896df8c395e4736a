/** Host state of one call: what a guest could notice of it beside its memory. */
import { ByteReader, ByteWriter } from "../../../state/bytes.ts";
import type { GuestCall, KeptAnswer, TravellingState } from "../guest.ts";
import type { KillReason } from "../sandbox.ts";
import { Mappings } from "./mappings.ts";

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
  innerParts = 0;
  partArguments: readonly number[] = [];
  mappings = new Mappings();
  callCount = 0;
  clockCount = 0;
  randomCount = 0;
  lastTimeMs = 0;
  logBytes = 0;
  files: TravellingState | Uint8Array | null = null;
  state: TravellingState | Uint8Array | null = null;
  keptAnswer: KeptAnswer | null = null;
  refusal: Uint8Array = EMPTY;
  /** Its beginning is the output, the rest is room for more: many short pieces would each take more than their bytes. */
  #appended: Uint8Array = EMPTY;
  #appendedBytes = 0;
  #replaced: Uint8Array = EMPTY;

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
    this.#checkOutput(this.#appendedBytes + this.#replaced.byteLength + bytes.byteLength);
    const endBytes = this.#appendedBytes + bytes.byteLength;
    if (this.#appendedBytes === 0) {
      this.#appended = Buffer.from(bytes);
    } else {
      this.#makeRoom(endBytes);
      this.#appended.set(bytes, this.#appendedBytes);
    }
    this.#appendedBytes = endBytes;
  }

  /** `bytes` may be a view of the guest's memory. */
  replaceOutput(bytes: Uint8Array): void {
    this.#checkOutput(this.#appendedBytes + bytes.byteLength);
    this.#replaced = Buffer.from(bytes);
  }

  /** The output so far. */
  output(): Uint8Array {
    const appended = this.#appendedOutput();
    return this.#replaced.byteLength === 0 ? appended : Buffer.concat([appended, this.#replaced]);
  }

  /** Of the host's memory, beside the guest's own. */
  get heldBytes(): number {
    const outputBytes = this.#appended.byteLength + this.#replaced.byteLength;
    return this.input.byteLength + outputBytes + heldBytes(this.files) + heldBytes(this.state);
  }

  #appendedOutput(): Uint8Array {
    return this.#appended.subarray(0, this.#appendedBytes);
  }

  #makeRoom(sizeBytes: number): void {
    if (sizeBytes > this.#appended.byteLength) {
      const longer = Buffer.allocUnsafeSlow(Math.min(this.outputMaxBytes, Math.max(sizeBytes, 2 * this.#appended.byteLength)));
      longer.set(this.#appendedOutput());
      this.#appended = longer;
    }
  }

  #checkOutput(sizeBytes: number): void {
    if (sizeBytes > this.outputMaxBytes) {
      throw outputTooLarge(sizeBytes, this.outputMaxBytes);
    }
  }

  /** The state as it travels with a part; the pins travel beside it. */
  encode(): Uint8Array {
    const appended = this.#appendedOutput();
    const files = encoded(this.files);
    const state = encoded(this.state);
    const kept = this.keptAnswer;
    const w = new ByteWriter(256 + appended.byteLength + this.#replaced.byteLength + files.byteLength + state.byteLength)
      .u8(this.inPart ? 1 : 0)
      .u32(this.callCount)
      .u32(this.clockCount)
      .u32(this.randomCount)
      .f64(this.lastTimeMs)
      .f64(this.logBytes)
      .bytes(appended)
      .bytes(this.#replaced)
      .bytes(this.commandLine)
      .bytes(files)
      .bytes(state)
      .bytes(this.refusal)
      .u8(this.partArguments.length);
    for (const argument of this.partArguments) {
      w.i32(argument);
    }
    this.mappings.encode(w).u8(kept === null ? 0 : 1);
    return (kept === null ? w : w.u32(kept.handle).i32(kept.returnValue).f64(kept.sizeBytes).bytes(kept.slice)).view();
  }

  /** Takes over what `encode` wrote elsewhere. @throws RangeError when the bytes end too early or the output is over the limit */
  restore(bytes: Uint8Array): void {
    const r = new ByteReader(bytes);
    const inPart = r.u8() === 1;
    const [callCount, clockCount, randomCount, lastTimeMs, logBytes] = [r.u32(), r.u32(), r.u32(), r.f64(), r.f64()];
    const [appended, replaced] = [Buffer.from(r.bytes()), Buffer.from(r.bytes())];
    const commandLine = Uint8Array.from(r.bytes());
    const [files, state] = [Uint8Array.from(r.bytes()), Uint8Array.from(r.bytes())];
    const refusal = Uint8Array.from(r.bytes());
    const partArguments = Array.from({ length: r.u8() }, () => r.i32());
    const mappings = Mappings.decode(r);
    const keptAnswer =
      r.u8() === 0 ? null : { handle: r.u32(), returnValue: r.i32(), sizeBytes: r.f64(), slice: Uint8Array.from(r.bytes()) };
    const outputBytes = appended.byteLength + replaced.byteLength;
    if (outputBytes > this.outputMaxBytes) {
      throw new RangeError(`the state holds ${outputBytes} bytes of output, at most ${this.outputMaxBytes} are allowed`);
    }
    Object.assign(this, { inPart, callCount, clockCount, randomCount, lastTimeMs, logBytes, commandLine, refusal, keptAnswer });
    Object.assign(this, { partArguments, mappings });
    this.files = files.byteLength === 0 ? null : files;
    this.state = state.byteLength === 0 ? null : state;
    this.#appended = appended;
    this.#appendedBytes = appended.byteLength;
    this.#replaced = replaced;
  }
}

function heldBytes(state: TravellingState | Uint8Array | null): number {
  return state instanceof Uint8Array ? state.byteLength : (state?.heldBytes ?? 0);
}

function encoded(state: TravellingState | Uint8Array | null): Uint8Array {
  return state instanceof Uint8Array ? state : (state?.encode() ?? EMPTY);
}
