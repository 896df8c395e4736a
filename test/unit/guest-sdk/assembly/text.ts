// Exports of the SDK's conversions, for a test that passes strings and arrays in and out.
import { toBytes, toText } from "../../../../guest-sdk/assembly/bytes";

export const BYTES = idof<Uint8Array>();

export function encode(text: string): Uint8Array {
  return toBytes(text);
}

export function decode(bytes: Uint8Array): string {
  return toText(bytes);
}
