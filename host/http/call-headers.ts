/** The `Neap-*` headers of a call's answer: where it ran and what it moved. */
import type { CallTrace, PartTrace } from "../invocation/invocation.ts";

/** Flat: name, value, name, value … */
export function callHeaders(instance: string, trace: CallTrace): string[] {
  const headers = [
    "Neap-Instance",
    instance,
    "Neap-Executed-At",
    trace.executedAt.length === 1 ? (trace.executedAt[0] ?? "") : trace.executedAt.join(", "),
    "Neap-Moved-Bytes",
    `${trace.movedBytes}`,
    "Neap-Cpu-Ms",
    `${Math.round(trace.cpuMs * 1000) / 1000}`,
  ];
  if (trace.parts.length > 0) {
    headers.push("Neap-Parts", formatParts(trace.parts));
  }
  return headers;
}

const PARTS_MAX = 32;

/**
 * A list as of RFC 9651: `"storage@a";reason="marked by the function";out=1024;back=96, "compute@b";reason="refused …";out=0;back=0`.
 * Sizes in bytes. Of more than PARTS_MAX parts the first are shown, and `...` as the last member.
 */
export function formatParts(parts: readonly PartTrace[]): string {
  const members = parts
    .slice(0, PARTS_MAX)
    .map(
      (part) =>
        `${quotedText(part.executedAt)};reason=${quotedText(part.reason)};out=${part.deltaOutBytes};back=${part.deltaBackBytes}`,
    );
  return [...members, ...(parts.length > PARTS_MAX ? ['"..."'] : [])].join(", ");
}

/** A quoted string of printable ASCII; anything else becomes "?". */
export function quotedText(value: string): string {
  return `"${value.replace(/[^\x20-\x7e]/g, "?").replace(/["\\]/g, "\\$&")}"`;
}
