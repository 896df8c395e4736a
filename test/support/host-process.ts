/** Real host processes for end-to-end and crash tests, on free ports and folders of their own. */
import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Readable } from "node:stream";
import { fetch, type Headers } from "undici";

export const ROOT = resolve(import.meta.dirname, "../..");

export function temporaryFolder(name: string): string {
  return mkdtempSync(join(tmpdir(), `neap-${name}-`));
}

export function removeFolder(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

export interface HostOptions {
  readonly dataDirectory: string;
  /** Flags of the neap command besides ports and data. */
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A command that runs the host, such as `prlimit` with its options. */
  readonly under?: readonly string[];
  /** 0: any free one. */
  readonly port?: number;
}

export interface RunningHost {
  readonly url: string;
  /** Where other nodes connect; empty unless it has the storage role. */
  readonly clusterUrl: string;
  readonly process: ChildProcess;
  /** What it has written to stdout and stderr. */
  output(): string;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
}

function spawnHost({
  dataDirectory,
  flags = [],
  env = {},
  under = [],
  port = 0,
}: HostOptions): ChildProcessByStdio<null, Readable, Readable> {
  const [command = process.execPath, ...before] = [...under, process.execPath];
  const args = [
    ...before,
    "host/main.ts",
    "--port",
    String(port),
    "--alias-port",
    "0",
    "--data-directory",
    dataDirectory,
    ...flags,
  ];
  return spawn(command, args, { cwd: ROOT, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
}

/** Runs a host that is expected to end by itself. */
export async function runHost(options: HostOptions): Promise<{ code: number | null; output: string }> {
  const child = spawnHost(options);
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk;
  });
  child.stderr.on("data", (chunk: Buffer) => {
    output += chunk;
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, output };
}

/** Resolves when the host is ready for calls. @throws with its output when it exits before */
export async function startHost(options: HostOptions): Promise<RunningHost> {
  const child = spawnHost(options);
  let output = "";
  const ready = Promise.withResolvers<void>();
  const gather = (chunk: Buffer) => {
    output += chunk.toString();
    if (/^Ready\b/m.test(output)) {
      ready.resolve();
    }
  };
  child.stdout.on("data", gather);
  child.stderr.on("data", gather);
  child.once("exit", (code, signal) =>
    ready.reject(new Error(`host exited with ${code ?? signal} before it was ready:\n${output}`)),
  );
  await ready.promise;
  const exited = once(child, "exit");
  exited.catch(() => {});
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill(signal);
      await exited;
    }
  };
  return {
    url: /http:\/\/\S+:\d+/.exec(output)?.[0] ?? "",
    clusterUrl: /ws:\/\/\S+:\d+/.exec(output)?.[0] ?? "",
    process: child,
    output: () => output,
    kill: () => end("SIGKILL"),
    stop: async () => {
      await end("SIGTERM");
      return child.exitCode;
    },
  };
}

/** A built sample function, such as "ndp/put" or "counter". */
export function sampleModule(name: string): Uint8Array {
  const [folder = "", file = folder] = name.split("/");
  return readFileSync(join(ROOT, "functions", folder, "build", `${file}.wasm`));
}

export async function upload(url: string, tenant: string, functionName: string, module: Uint8Array, query = ""): Promise<void> {
  const response = await fetch(`${url}/f/${tenant}/${functionName}?${query}`, { method: "PUT", body: module.slice() });
  if (response.status !== 200) {
    throw new Error(`upload of ${functionName} was answered ${response.status}: ${await response.text()}`);
  }
}

export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: Headers;
}

/** A synchronous call through the Faasm-compatible route. */
export async function call(
  url: string,
  request: { user: string; function: string; input_data?: string; [field: string]: unknown },
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(`${url}/f/`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ async: false, ...request }),
  });
  return { status: response.status, body: await response.text(), headers: response.headers };
}
