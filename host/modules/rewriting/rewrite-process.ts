/**
 * Rewrites a module in a process of its own, which ends with it (H29): an abort of binaryen spoils its whole instance. Called in the
 * upload's thread, so that neither the start of the process nor the bytes pass through the main thread (H27).
 */
import { type ChildProcess, spawn } from "node:child_process";
import { setPriority } from "node:os";
import { fileURLToPath } from "node:url";
import { NeapError } from "../../../state/errors.ts";
import type { RewriteRequest } from "./rewriting.ts";

const CHILD = fileURLToPath(new URL("./child.ts", import.meta.url));
/** Pages of 64 KiB of binaryen's own memory: 1 GiB. */
const MEMORY_MAX_PAGES = 16_384;
/** It needs to read its own sources, and nothing else. */
const ARGUMENTS = [
  "--permission",
  "--allow-fs-read=*",
  "--max-old-space-size=512",
  `--wasm-max-mem-pages=${MEMORY_MAX_PAGES}`,
  CHILD,
];
/** Running calls go first. */
const PRIORITY = 10;
/** Rewriting never makes a module so many times as large. */
const GROWTH_MAX = 16;
const SMALLEST_MAX_BYTES = 1024 * 1024;
const REASON_MAX_BYTES = 4_096;
const REASON_SHOWN_CHARS = 400;

/**
 * The module with the passes applied. Nothing of the process is left when it settles.
 * @throws MODULE_REWRITE_FAILED  a pass cannot take the module, or needs more memory or time than there is for it
 */
export async function rewriteInProcess(
  module: Uint8Array,
  request: RewriteRequest,
  timeoutMs: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const child = spawn(process.execPath, ARGUMENTS, { env: {}, stdio: ["pipe", "ignore", "pipe", "pipe"] });
  const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  const endMs = performance.now() + timeoutMs;
  try {
    lowerPriority(child);
    return await converse(child, module, request);
  } catch (error) {
    if (performance.now() < endMs) {
      throw error;
    }
    throw new NeapError("MODULE_REWRITE_FAILED", `${request.passes.join(", ")}: not done in ${Math.floor(timeoutMs)} ms`);
  } finally {
    clearTimeout(timer);
    child.kill("SIGKILL");
  }
}

function lowerPriority({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) {
      setPriority(pid, PRIORITY);
    }
  } catch {
    // It has ended already, or the system does not allow it: a matter of speed only.
  }
}

function converse(child: ChildProcess, module: Uint8Array, request: RewriteRequest): Promise<Uint8Array<ArrayBuffer>> {
  const maxBytes = Math.max(SMALLEST_MAX_BYTES, module.byteLength * GROWTH_MAX);
  const output: Uint8Array[] = [];
  let outputBytes = 0;
  let reason = "";
  child.stdio[3]?.on("data", (chunk: Uint8Array) => {
    output.push(chunk);
    outputBytes += chunk.byteLength;
    if (outputBytes > maxBytes) {
      reason = `it becomes larger than ${maxBytes} bytes`;
      child.kill("SIGKILL");
    }
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    reason = (reason + text).slice(0, REASON_MAX_BYTES);
  });
  // A child that has ended does not read on; its status says why.
  child.stdin?.on("error", () => {});
  const head = Buffer.from(JSON.stringify(request));
  const headBytes = Buffer.alloc(4);
  headBytes.writeUInt32LE(head.byteLength);
  child.stdin?.write(headBytes);
  child.stdin?.write(head);
  child.stdin?.end(module);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status, killedBy) => {
      if (status === 0 && outputBytes <= maxBytes) {
        resolve(Uint8Array.from(Buffer.concat(output)));
      } else {
        reject(new NeapError("MODULE_REWRITE_FAILED", `${request.passes.join(", ")}: ${failure(reason, status, killedBy)}`));
      }
    });
  });
}

function failure(reason: string, status: number | null, killedBy: string | null): string {
  const text = reason.trim().replaceAll(/\s+/g, " ").slice(0, REASON_SHOWN_CHARS);
  const end = killedBy === null ? `status ${status}` : `signal ${killedBy}`;
  return text === "" ? `the process ended with ${end}` : text;
}
