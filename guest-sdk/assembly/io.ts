/** Input, output and log of the running call. */
import { toBytes, toText } from "./bytes";
import * as host from "./host";

/** What the caller sent, as text. */
export function input(): string {
  return toText(inputBytes());
}

/** What the caller sent. */
export function inputBytes(): Uint8Array {
  const bytes = new Uint8Array(host.inputSize());
  host.inputRead(bytes.dataStart, 0, bytes.byteLength);
  return bytes;
}

/** Adds `text` to what the caller gets back. */
export function output(text: string): void {
  outputBytes(toBytes(text));
}

/** Adds `bytes` to what the caller gets back. */
export function outputBytes(bytes: Uint8Array): void {
  host.outputWrite(bytes.dataStart, bytes.byteLength);
}

/** Writes a line to the host's log. When the host runs a call again after a crash, its lines appear again. */
export function log(text: string): void {
  const bytes = toBytes(text);
  host.logWrite(bytes.dataStart, bytes.byteLength);
}

/** Ends the call: it failed, and `reason` is what the caller gets. What it wrote before stays written, as with an error thrown. */
export function fail(reason: string): void {
  const bytes = toBytes(reason);
  host.fail(bytes.dataStart, bytes.byteLength);
}
