/** The two places where a program for WASI runs: `neap run`, with folders of the machine, and a call of a host, with shared files. */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fetch } from "undici";
import { call, ROOT, type RunningHost, removeFolder, startHost, temporaryFolder, upload } from "../../support/host-process.ts";
import type { Case, Ended } from "./cases.ts";

const NEAP = join(ROOT, "host", "cli", "neap.ts");
/** Only against a program that does not end. */
const ENDS_WITHIN_MS = 60_000;
const TENANT = "suite";
/** Cases of the public suite that are about a program without folders: descriptor 3 is nothing, and every path is refused. */
const WITHOUT_FOLDER = new Set(["fopen-with-no-access", "sock_shutdown-invalid_fd"]);

export function runByCommand({ file, specification, folders }: Case): Ended {
  const environment = Object.entries(specification.env ?? {}).flatMap(([name, value]) => ["--env", `${name}=${value}`]);
  const dirs = folders.flatMap(({ host, guest }) => ["--dir", `${host}::${guest}`]);
  const argv = [NEAP, "run", ...environment, ...dirs, file, ...(specification.args ?? [])];
  const { status, stdout, stderr } = spawnSync(process.execPath, argv, { input: "", encoding: "utf8", timeout: ENDS_WITHIN_MS });
  return { exitCode: status, stdout, stderr };
}

/** Why a case cannot be given to a call as it is. */
export function unfitForCalls({ name, specification: { args = [], dirs = [] } }: Case): string | undefined {
  if (args.some((arg) => arg === "" || /\s/.test(arg))) {
    return "cmdline has no empty arguments and none with spaces";
  }
  if (dirs.length > 0) {
    return "a call has no folder but /";
  }
  return WITHOUT_FOLDER.has(name) ? "a call always has the folder /" : undefined;
}

/** A host of its own, whose calls the programs are. */
export class CallRunner implements AsyncDisposable {
  readonly #host: RunningHost;
  readonly #data: string;

  private constructor(host: RunningHost, data: string) {
    this.#host = host;
    this.#data = data;
  }

  static async start(): Promise<CallRunner> {
    const data = temporaryFolder("wasi-calls");
    return new CallRunner(await startHost({ dataDirectory: data }), data);
  }

  /** @throws Error for a program that the host does not take, or files or variables that it does not */
  async run({ name, file, specification, folders }: Case): Promise<Ended> {
    const files = folders.flatMap(({ host }) => filesIn(host).map((path) => ({ path, host: join(host, path) })));
    await upload(this.#host.url, TENANT, name, readFileSync(file));
    await this.#send("PUT", `functions/${name}/options`, JSON.stringify({ environment: specification.env ?? {} }));
    for (const { path, host } of files) {
      await this.#send("PUT", `files/${path}`, readFileSync(host));
    }
    const cmdline = (specification.args ?? []).join(" ");
    const { status, body } = await call(this.#host.url, { user: TENANT, function: name, cmdline });
    for (const { path } of files) {
      await this.#send("DELETE", `files/${path}`);
    }
    // Standard error is in the host's log, and the output of a call that fails is nowhere.
    const returned = /return value=(-?\d+)/.exec(body)?.[1];
    return status === 200
      ? { exitCode: 0, stdout: body }
      : { exitCode: returned === undefined ? null : Number(returned), stdout: body };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#host.kill();
    removeFolder(this.#data);
  }

  async #send(method: string, path: string, body?: string | Uint8Array): Promise<void> {
    const response = await fetch(`${this.#host.url}/v1/tenants/${TENANT}/${path}`, {
      method,
      ...(body !== undefined && { body }),
    });
    const answer = await response.text();
    if (!response.ok) {
      throw new Error(`${method} ${path} was answered ${response.status}: ${answer}`);
    }
  }
}

function filesIn(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)));
}
