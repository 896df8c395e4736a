import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Bench } from "../bench-case.ts";

/** Starts `bare-server.ts` for the time of the case. @returns its port */
export async function startBareServer({ cleanup }: Bench): Promise<number> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "bare-server.ts")], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  cleanup.defer(async () => {
    child.kill();
    await exited;
  });
  const [line] = (await Promise.race([once(child.stdout, "data"), exited])) as [unknown];
  const port = Number(String(line));
  if (!Number.isInteger(port) || port === 0) {
    throw new Error("the bare server did not start");
  }
  return port;
}
