/**
 * The throw-away process of one rewriting. On its descriptor 3 come, each with its size before it, the modules of binaryen and the passes
 * (`programText`), the request as JSON, and the module; the rewritten module goes back the same way. Anything else but status 0 is a
 * failure, its reason is on standard error.
 */
import { Socket } from "node:net";
import { setPriority } from "node:os";
import { deserialize } from "node:v8";
import { SocketBytes, sized, write } from "../socket-bytes.ts";
import type { runPasses } from "./chain.ts";
import type { RewriteRequest } from "./rewriting.ts";

/** Running calls go first. */
const PRIORITY = 10;
/** It is told by the host. */
const ANY_SIZE = 2 ** 32;

export async function serve(chain: string, add: (modules: unknown) => void): Promise<void> {
  try {
    lowerPriority();
    const socket = new Socket({ fd: 3, readable: true, writable: true });
    const bytes = new SocketBytes(socket);
    const text = async () => new TextDecoder().decode(await bytes.takeSized(ANY_SIZE));
    add(deserialize(await bytes.takeSized(ANY_SIZE)));
    const passes = (await import(chain)) as { runPasses: typeof runPasses };
    const request: RewriteRequest = JSON.parse(await text());
    write(socket, ...sized(passes.runPasses(await bytes.takeSized(ANY_SIZE), request)));
    socket.end(() => process.exit(0));
  } catch (error) {
    // What else is thrown is binaryen's exit, which has said why.
    process.stderr.write(error instanceof Error ? error.message : "", () => process.exit(1));
  }
}

function lowerPriority(): void {
  try {
    setPriority(PRIORITY);
  } catch {
    // The system does not allow it: a matter of speed only.
  }
}
