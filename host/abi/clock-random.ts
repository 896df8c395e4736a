/** Imports: time and randomness, functions of the call's pins and counters (F13, F35): every replay gets the same. */
import { createCipheriv, hash } from "node:crypto";
import type { Guest } from "../sandbox/guest.ts";
import { guestBytes } from "./guest-memory.ts";

const NS_PER_MS = 1_000_000n;
const FILL_CHUNK_BYTES = 64 * 1024;
const ZEROS = Buffer.alloc(FILL_CHUNK_BYTES);

/** Time in ns; larger than every answer before. */
export function nextTimeNs(guest: Guest): bigint {
  const timeNs = timeNowNs(guest);
  guest.call.clockCount += 1;
  return timeNs;
}

/** What the next answer will be. */
export function timeNowNs({ call }: Guest): bigint {
  const baseMs = BigInt(Math.trunc(Math.max(call.startTimeMs, call.lastTimeMs)));
  return baseMs * NS_PER_MS + BigInt(call.clockCount);
}

/**
 * Fills `room` from the call's stream: AES-256-CTR under a key derived from the seed, so that what one draw shows does not tell the
 * next. Each draw has a counter block of its own: draw number in the upper half, block number in the lower.
 */
export function drawRandom(guest: Guest, room: Uint8Array): void {
  const { call } = guest;
  const key = hash("sha256", call.seed, "buffer");
  const counterBlock = Buffer.alloc(16);
  counterBlock.writeBigUInt64BE(BigInt(call.randomCount));
  call.randomCount += 1;
  const stream = createCipheriv("aes-256-ctr", key, counterBlock);
  for (let offset = 0; offset < room.byteLength; offset += FILL_CHUNK_BYTES) {
    room.set(stream.update(ZEROS.subarray(0, Math.min(FILL_CHUNK_BYTES, room.byteLength - offset))), offset);
  }
}

export const clockRandom = (guest: Guest) => ({
  "neap.clock_now": (): bigint => nextTimeNs(guest),

  "neap.random_fill": (pointer: number, length: number): void => {
    drawRandom(guest, guestBytes(guest, "random_fill: buffer", pointer, length));
  },
});
