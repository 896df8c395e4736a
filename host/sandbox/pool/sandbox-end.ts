/** Ends of attempts, as frames of workers tell them and as pools give them. */
import { WASM_PAGE_BYTES } from "../../modules/artefact.ts";
import { EMPTY, EndKind, type Frame, guestStateBytes, KILL_REASONS } from "../frames/protocol.ts";
import type { KillReason, SandboxEnd, SandboxStart } from "../sandbox.ts";
import type { MemoryBudget } from "./memory-budget.ts";

export function displaced(cpuMs: number): SandboxEnd {
  return { kind: "displaced", cpuMs };
}

export function lost(message: string, cpuMs: number): SandboxEnd {
  return { kind: "killed", reason: "workerLost", message, cpuMs };
}

/** What a sandbox begins with, as a worker counts it. */
export function bytesOf({ artefact, input }: SandboxStart): number {
  return (artefact.snapshot.pages + Math.floor(input.byteLength / WASM_PAGE_BYTES)) * WASM_PAGE_BYTES;
}

/** Why it can never begin, whatever others have; undefined: it can. */
export function refusedFor({ maxBytes }: MemoryBudget, start: SandboxStart): [KillReason, string] | undefined {
  const bytes = bytesOf(start);
  const message = `the call begins with ${bytes} bytes, all sandboxes together may have ${maxBytes}`;
  return bytes > maxBytes ? ["tooLarge", message] : undefined;
}

/** Of an output that its owner has yet to use; 0 when it is small. */
export function outputBytes(end: SandboxEnd | undefined): number {
  return end?.kind === "returned" && end.output.byteLength > WASM_PAGE_BYTES ? end.output.byteLength : 0;
}

export function decodeEnd({ code, a, x: cpuMs, body }: Frame): SandboxEnd {
  switch (code) {
    case EndKind.returned:
      return { kind: "returned", value: a, output: body, cpuMs };
    case EndKind.returnedWithState:
      return { kind: "returned", value: a, output: EMPTY, cpuMs, state: guestStateBytes.decode(body) };
    case EndKind.frozen:
      return { kind: "frozen", bytes: body, awaits: a === 1, cpuMs };
    case EndKind.trapped:
      return { kind: "trapped", message: Buffer.from(body).toString(), cpuMs };
    default:
      return { kind: "killed", reason: KILL_REASONS[a] ?? "workerLost", message: Buffer.from(body).toString(), cpuMs };
  }
}
