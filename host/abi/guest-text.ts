/** Texts that a guest gives: keys, prefixes, names of functions, log lines. */
import { isObjectKey, OBJECT_KEY_MAX_BYTES } from "../../state/ids.ts";
import { callTarget, TARGET_MAX_BYTES } from "../modules/entry-points/index.ts";
import type { Guest } from "../sandbox/guest.ts";
import { guestBytes } from "./guest-memory.ts";

export const LOG_TAG_MAX_BYTES = 256;
/** Without ignoreBOM two different keys would be one. */
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lossyUtf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** The key of an object; null when the bytes are none. */
export function guestKey(guest: Guest, what: string, pointer: number, length: number): string | null {
  const key = guestText(guest, what, pointer, length, OBJECT_KEY_MAX_BYTES);
  return key !== null && isObjectKey(key) ? key : null;
}

/** The name of a stream of the guest's; null when the bytes are none. */
export function guestLogTag(bytes: Uint8Array): string | null {
  const name = shortText(bytes, LOG_TAG_MAX_BYTES);
  return name !== null && isObjectKey(name) ? name : null;
}

/** The beginning of keys: a key, or empty. */
export function guestPrefix(guest: Guest, what: string, pointer: number, length: number): string | null {
  const prefix = guestKey(guest, what, pointer, length);
  return length === 0 ? "" : prefix;
}

/** The name of a function, or `<function>/<entry point>`; null when the bytes are none. */
export function guestFunctionName(guest: Guest, what: string, pointer: number, length: number): string | null {
  const name = guestText(guest, what, pointer, length, TARGET_MAX_BYTES);
  return name !== null && callTarget(name) !== null ? name : null;
}

/** A text of at most `maxBytes`; null when it is longer, or not UTF-8. */
export function guestText(guest: Guest, what: string, pointer: number, length: number, maxBytes: number): string | null {
  return shortText(guestBytes(guest, what, pointer, length), maxBytes);
}

/** Writes to the host's log; of what is above the call's limit a few bytes are decoded, to show it. */
export function logBytes(guest: Guest, text: Uint8Array): void {
  const { call } = guest;
  guest.log(lossyText(text.subarray(0, Math.max(0, call.logMaxBytes - call.logBytes) + 4)));
}

/** What is not UTF-8 shows as U+FFFD. */
export function lossyText(bytes: Uint8Array): string {
  return lossyUtf8.decode(bytes);
}

function shortText(bytes: Uint8Array, maxBytes: number): string | null {
  if (bytes.byteLength > maxBytes) {
    return null;
  }
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return null;
  }
}
