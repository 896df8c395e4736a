/**
 * What every step record begins with, whatever its kind.
 *
 *   offset  size  field
 *        0     1  flags: 1 = pins follow
 *        1     4  fingerprint, first half   (CRC-32 of the arguments that name the operation's target)
 *        5     4  fingerprint, second half  (CRC-32 of the arguments that are its value)
 *        9    40  pins, if flagged: initialCursor f64, timeMs f64, seed 16, nonce 8
 *     9/49     …  payload of the kind
 */
import { crc32 } from "node:zlib";
import { f64At, u32At } from "../bytes.ts";
import type { SeqNum } from "../ids.ts";

/**
 * Identifies an operation by what the guest asked for, without anything the host chose (F32). Equal fingerprints of one kind
 * are the same operation; a replay that shows another one is not deterministic.
 */
export interface Fingerprint {
  readonly target: number;
  readonly value: number;
}

export const NO_FINGERPRINT: Fingerprint = { target: 0, value: 0 };

/** Fingerprint of an operation on `target` (a key, a callee) with `value`. */
export function fingerprint(target: string, value: Uint8Array | number): Fingerprint {
  return { target: crc32(target), value: typeof value === "number" ? value >>> 0 : crc32(value) };
}

/**
 * What the first step of an instance fixes for every attempt (F13, F28): where its reads begin, its clock, its randomness; and
 * the nonce of the attempt that drew them.
 */
export interface Pins {
  readonly initialCursor: SeqNum;
  readonly timeMs: number;
  /** SEED_BYTES */
  readonly seed: Uint8Array;
  /** NONCE_BYTES */
  readonly nonce: Uint8Array;
}

export const SEED_BYTES = 16;
export const NONCE_BYTES = 8;

export interface StepHeader {
  readonly fingerprint: Fingerprint;
  readonly pins: Pins | null;
}

const SHORT_HEADER_BYTES = 9;
const PINNED_HEADER_BYTES = SHORT_HEADER_BYTES + 16 + SEED_BYTES + NONCE_BYTES;

export function encodeStep(header: StepHeader, payload: Uint8Array): Uint8Array {
  const { pins } = header;
  const headerBytes = pins === null ? SHORT_HEADER_BYTES : PINNED_HEADER_BYTES;
  const data = Buffer.allocUnsafe(headerBytes + payload.byteLength);
  data[0] = pins === null ? 0 : 1;
  data.writeUInt32LE(header.fingerprint.target, 1);
  data.writeUInt32LE(header.fingerprint.value, 5);
  if (pins !== null) {
    data.writeDoubleLE(pins.initialCursor, 9);
    data.writeDoubleLE(pins.timeMs, 17);
    data.set(pins.seed, 25);
    data.set(pins.nonce, 25 + SEED_BYTES);
  }
  data.set(payload, headerBytes);
  return data;
}

/** The inverse of `encodeStep`; the payload is a view of `data`. */
export function decodeStep(data: Uint8Array): StepHeader & { readonly payload: Uint8Array } {
  const fingerprint = { target: u32At(data, 1), value: u32At(data, 5) };
  if (data[0] === 0) {
    return { fingerprint, pins: null, payload: data.subarray(SHORT_HEADER_BYTES) };
  }
  const pins: Pins = {
    initialCursor: f64At(data, 9) as SeqNum,
    timeMs: f64At(data, 17),
    seed: data.subarray(25, 25 + SEED_BYTES),
    nonce: data.subarray(25 + SEED_BYTES, PINNED_HEADER_BYTES),
  };
  return { fingerprint, pins, payload: data.subarray(PINNED_HEADER_BYTES) };
}
