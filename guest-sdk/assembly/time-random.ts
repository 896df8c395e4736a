/** Time and randomness. When the host runs a call again after a crash, it gets the same answers again. */
import * as host from "./host";

/** Nanoseconds since 1970. Every answer within a call is larger than the one before. */
export function now(): i64 {
  return host.clockNow();
}

/** A number from 0 up to, but not including, 1. Nobody can predict it. */
export function random(): f64 {
  const bits = memory.data(8, 8);
  host.randomFill(bits, 8);
  return <f64>(load<u64>(bits) >> 11) / 9007199254740992.0;
}

/** `length` bytes that nobody can predict: for keys and tokens. */
export function randomBytes(length: i32): Uint8Array {
  const bytes = new Uint8Array(length);
  host.randomFill(bytes.dataStart, length);
  return bytes;
}
