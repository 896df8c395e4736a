/** The `Neap-*` headers of a call's answer: where it ran and what it moved. */
import type { CallTrace, MoveTrace, OperationTrace, PartTrace } from "../invocation/invocation.ts";

/** Flat: name, value, name, value … */
export function callHeaders(instance: string, trace: CallTrace): string[] {
  const headers = [
    "Neap-Instance",
    instance,
    "Neap-Executed-At",
    trace.executedAt.length === 1 ? (trace.executedAt[0] ?? "") : trace.executedAt.join(", "),
    "Neap-Moved-Bytes",
    `${trace.movedBytes}`,
    ...cpuHeader(trace),
  ];
  if (trace.parts.length > 0) {
    headers.push("Neap-Parts", formatParts(trace.parts));
  }
  if (trace.moves.length > 0) {
    headers.push("Neap-Moves", formatMoves(trace.moves));
  }
  if (trace.operations !== undefined) {
    headers.push("Neap-Operations", formatOperations(trace.operations));
  }
  return headers;
}

/** Nothing where it is not known. */
export function cpuHeader({ cpuMs }: Pick<CallTrace, "cpuMs">): string[] {
  return cpuMs === null ? [] : ["Neap-Cpu-Ms", `${inMicroseconds(cpuMs)}`];
}

/** ms, with whole microseconds. */
export function inMicroseconds(cpuMs: number): number {
  return Math.round(cpuMs * 1000) / 1000;
}

const PARTS_MAX = 32;
const MOVES_MAX = 32;
const OPERATIONS_MAX = 64;

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

/** A list as of RFC 9651: `"storage@a";from="compute@b";reason="its node stops";bytes=70123`. Of more than MOVES_MAX the first are shown, then `"..."`. */
export function formatMoves(moves: readonly MoveTrace[]): string {
  const members = moves
    .slice(0, MOVES_MAX)
    .map(
      ({ from, to, reason, sizeBytes }) =>
        `${quotedText(to)};from=${quotedText(from)};reason=${quotedText(reason)};bytes=${sizeBytes}`,
    );
  return [...members, ...(moves.length > MOVES_MAX ? ['"..."'] : [])].join(", ");
}

/** A list as of RFC 9651, in whole microseconds: `objectRead;us=12, objectWrite;us=340`. Of more than OPERATIONS_MAX the first are shown, then `"..."`. */
export function formatOperations(operations: readonly OperationTrace[]): string {
  const members = operations
    .slice(0, OPERATIONS_MAX)
    .map(({ kind, durationMs }) => `${kind};us=${Math.round(durationMs * 1000)}`);
  return [...members, ...(operations.length > OPERATIONS_MAX ? ['"..."'] : [])].join(", ");
}

/** A quoted string of printable ASCII; anything else becomes "?". */
export function quotedText(value: string): string {
  return `"${value.replace(/[^\x20-\x7e]/g, "?").replace(/["\\]/g, "\\$&")}"`;
}
