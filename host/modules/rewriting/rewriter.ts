/**
 * Rewrites a module in a process of its own, which ends with it (H29): an abort of binaryen spoils its whole instance. The process is
 * confined as those of tenants are, and ends with the host, however that ends.
 */
import { NeapError } from "../../../state/errors.ts";
import { CONFINED_ARGUMENTS, makeProgram, nameOf, type ProcessEnd, type ProcessStarter } from "../../processes/index.ts";
import { SocketBytes, sized, write } from "../socket-bytes.ts";
import type { RewriteRequest } from "./rewriting.ts";

const CHILD = new URL("./child.ts", import.meta.url);
const CHAIN = new URL("./chain.ts", import.meta.url);
/** Pages of 64 KiB of binaryen's own memory: 1 GiB. */
const MEMORY_MAX_PAGES = 16_384;
/** Before a function of binaryen's is compiled again: for most uploads that takes longer than all that they run (asyncify of 6 KB: half). */
const TIERING_BUDGET = 1_000_000_000;
const ARGUMENTS = [
  ...CONFINED_ARGUMENTS,
  "--max-old-space-size=512",
  `--wasm-max-mem-pages=${MEMORY_MAX_PAGES}`,
  `--wasm-tiering-budget=${TIERING_BUDGET}`,
  "-",
];
const LIMITS = { memoryMaxBytes: 2 * 1024 * 1024 * 1024, tasksMax: 64 };
/** Rewriting never makes a module so many times as large. */
const GROWTH_MAX = 16;
const SMALLEST_MAX_BYTES = 1024 * 1024;
const REASON_SHOWN_CHARS = 400;
/** Between the end of a connection and that of its process. */
const QUIET_MAX_MS = 1_000;

export class Rewriter {
  readonly #starter: ProcessStarter;
  #programs: Promise<readonly [program: Uint8Array, modules: Uint8Array]> | undefined;

  constructor(starter: ProcessStarter) {
    this.#starter = starter;
  }

  /**
   * The module with the passes applied. Nothing of the process goes on when it settles.
   * @throws MODULE_REWRITE_FAILED  a pass cannot take the module, or needs more memory or time than there is for it
   */
  async rewrite(module: Uint8Array, request: RewriteRequest, timeoutMs: number): Promise<Uint8Array<ArrayBuffer>> {
    const failed = (text: string) => new NeapError("MODULE_REWRITE_FAILED", `${request.passes.join(", ")}: ${text}`);
    const endMs = performance.now() + timeoutMs;
    const run = `(child, add) => child.serve(${JSON.stringify(nameOf(CHAIN.href))}, add)`;
    this.#programs ??= Promise.all([makeProgram([CHILD], run), makeProgram([CHAIN])]);
    const [program, modules] = await this.#programs;
    const child = this.#starter.start({ arguments: ARGUMENTS, input: program, limits: LIMITS });
    const timer = setTimeout(() => child.kill(), endMs - performance.now());
    const maxBytes = Math.max(SMALLEST_MAX_BYTES, module.byteLength * GROWTH_MAX);
    const answered = child.socket.then((socket) => {
      write(socket, ...sized(modules), ...sized(Buffer.from(JSON.stringify(request))), ...sized(module));
      return new SocketBytes(socket).takeSized(maxBytes);
    });
    try {
      return await answered;
    } catch (error) {
      if (performance.now() >= endMs) {
        throw failed(`not done in ${Math.floor(timeoutMs)} ms`);
      }
      // A connection that ends says less than the end of the process, which follows.
      const quiet = setTimeout(() => child.kill(), QUIET_MAX_MS);
      const end = await child.ended;
      clearTimeout(quiet);
      throw error instanceof NeapError ? error : failed(end.code === 0 ? (error as Error).message : textOf(end));
    } finally {
      clearTimeout(timer);
      child.kill();
    }
  }
}

function textOf({ complaint, code, signal, failure, heldBytes }: ProcessEnd): string {
  if (heldBytes !== undefined) {
    return `the process held ${heldBytes} bytes of memory, at most ${LIMITS.memoryMaxBytes} are allowed`;
  }
  const text = (failure ?? complaint).trim().replaceAll(/\s+/g, " ").slice(0, REASON_SHOWN_CHARS);
  return text === "" ? `the process ended with ${signal === null ? `status ${code}` : `signal ${signal}`}` : text;
}
