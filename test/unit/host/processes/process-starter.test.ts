import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type ProcessRequest, ProcessStarter, type StartedProcess } from "../../../../host/processes/index.ts";
import { eventually } from "../../../support/eventually.ts";
import { isAlive } from "../../../support/worker-processes.ts";

let starter: ProcessStarter;
beforeEach(async () => {
  starter = await ProcessStarter.open();
});
afterEach(() => starter.close());

/** The program in `source`, which has its connection as `socket`. */
function start(source: string, request: Partial<ProcessRequest> = {}): StartedProcess {
  const socket = 'const socket = new (require("node:net").Socket)({ fd: 3, readable: true, writable: true });';
  return starter.start({
    arguments: ["--no-warnings", "-"],
    input: Buffer.from(`${socket}${source}`),
    limits: { memoryMaxBytes: 1024 * 1024 * 1024, tasksMax: 64 },
    ...request,
  });
}
const PROCESSES_URL = new URL("../../../../host/processes/index.ts", import.meta.url).href;
const MODULE_FLAGS = ["--no-warnings", "--input-type=module", "-e"];
const ECHOES = "socket.on('data', (chunk) => socket.write(chunk)); socket.on('end', () => process.exit(7));";
const LIVES = "setInterval(() => {}, 1000); socket.write('here');";

async function heard(socket: Socket): Promise<string> {
  const [chunk] = await once(socket, "data");
  return `${chunk}`;
}

test("each process has a connection of its own, and its end is told with its code", async () => {
  const started = [start(ECHOES), start(ECHOES), start(ECHOES)];
  const sockets = await Promise.all(started.map(({ socket }) => socket));
  for (const [at, socket] of sockets.entries()) {
    socket.write(`${at}`);
  }
  expect(await Promise.all(sockets.map(heard))).toEqual(["0", "1", "2"]);
  for (const socket of sockets) {
    socket.end();
  }
  expect(await Promise.all(started.map(({ ended }) => ended))).toMatchObject(started.map(() => ({ code: 7, signal: null })));
});

test("a process has no environment, and its descriptor 5 is the file, which is gone from its folder", async () => {
  const folder = mkdtempSync(join(tmpdir(), "neap-starter-"));
  const file = join(folder, "marks");
  writeFileSync(file, "tide");
  const started = start("socket.write(JSON.stringify([require('node:fs').readFileSync(5, 'utf8'), process.env]));", { file });
  expect(JSON.parse(await heard(await started.socket))).toEqual(["tide", {}]);
  expect(existsSync(file)).toBe(false);
  rmSync(folder, { recursive: true });
});

test("H24: a process inherits no descriptor that was open when the host was started", async () => {
  const folder = mkdtempSync(join(tmpdir(), "neap-inherited-"));
  const file = join(folder, "secret");
  writeFileSync(file, "of the host");
  const host = spawn("bash", ["-c", `exec 40<"$0"; exec "$@"`, file, process.execPath, ...MODULE_FLAGS, inheritingHost], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [said] = await once(host.stdout, "data");
  expect(`${said}`).toBe("EBADF");
  host.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});

test("what it said on standard error is told with its end, up to a limit", async () => {
  const { ended } = start("process.stderr.write('no sea '.repeat(1000)); process.exitCode = 3; socket.destroy();");
  const { complaint } = await ended;
  expect(complaint.slice(0, 14)).toBe("no sea no sea ");
  expect(complaint.length).toBeLessThanOrEqual(2_000);
});

test("killed before it is there, or while it runs, it ends by SIGKILL", async () => {
  const early = start(LIVES);
  early.kill();
  const late = start(LIVES);
  await heard(await late.socket);
  const pid = await late.processId();
  expect(isAlive(pid as number)).toBe(true);
  late.kill();
  expect(await Promise.all([early.ended, late.ended])).toMatchObject([{ signal: "SIGKILL" }, { signal: "SIGKILL" }]);
  late.kill();
  await eventually("it is gone", () => !isAlive(pid as number));
  expect(await late.processId()).toBe(pid);
});

test("killed by somebody else it ends by SIGKILL, too, and has not complained", async () => {
  const { socket, ended, processId } = start(LIVES);
  await heard(await socket);
  process.kill((await processId()) as number, "SIGKILL");
  expect(await ended).toEqual({ code: null, signal: "SIGKILL", complaint: "" });
});

test("one that cannot be started is told as ended, with the reason", async () => {
  const { ended } = start(LIVES, { file: "/no/such/file" });
  expect(await ended).toMatchObject({ failure: expect.stringContaining("ENOENT") });
});

test("a connection that brings no token is closed, and is nobody's", async () => {
  const address = listeningNames().at(-1) as string;
  const stranger = connect(`\0${address}`);
  stranger.on("error", () => {});
  stranger.write(Buffer.alloc(16));
  await once(stranger, "close");
  const started = start(ECHOES);
  (await started.socket).write("still");
  expect(await heard(await started.socket)).toBe("still");
});

test("when the starter is killed, all that it has started ends, and the next start brings another one", async () => {
  const first = start(LIVES);
  await heard(await first.socket);
  const pid = (await first.processId()) as number;
  const starterPid = starterOf(pid);
  process.kill(starterPid, "SIGKILL");
  expect(await first.ended).toMatchObject({ signal: "SIGKILL" });
  await eventually("it is gone", () => !isAlive(pid));
  const second = start(LIVES);
  expect(await heard(await second.socket)).toBe("here");
  expect(starterOf((await second.processId()) as number)).not.toBe(starterPid);
});

test("close ends all that it has started", async () => {
  const started = [start(LIVES), start(LIVES), start(LIVES)];
  await heard(await (started[0] as StartedProcess).socket);
  await starter.close();
  for (const { ended } of started) {
    expect(await ended).toMatchObject({ signal: "SIGKILL" });
  }
});

test("F38: a host that is killed while it hears nothing takes its starter and all processes along", async () => {
  const host = spawn(process.execPath, [...MODULE_FLAGS, deafHost], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(host.stdout, "data");
  const [starterPid] = childrenOf(host.pid as number);
  const pids = await eventually("all three are there", () => {
    const found = childrenOf(starterPid as number);
    return found.length === 3 && found;
  });
  host.kill("SIGKILL");
  await eventually("all of them are gone", () => ![starterPid as number, ...pids].some(isAlive));
});

/** Says what a process of it reads from a descriptor that it was started with. */
const inheritingHost = `
  import { ProcessStarter } from ${JSON.stringify(PROCESSES_URL)};
  setInterval(() => {}, 1000);
  const starter = await ProcessStarter.open();
  const reads = \`
    const socket = new (require("node:net").Socket)({ fd: 3, readable: true, writable: true });
    try { socket.write(require("node:fs").readFileSync(40, "utf8")); } catch (error) { socket.write(error.code); }\`;
  const limits = { memoryMaxBytes: 2 ** 30, tasksMax: 64 };
  const started = starter.start({ arguments: ["--permission", "--no-warnings", "-"], input: Buffer.from(reads), limits });
  (await started.socket).once("data", (said) => process.stdout.write(said));`;

/** Has three processes started, and looks at nothing from then on: what its starter sends of them waits for an answer. */
const deafHost = `
  import { ProcessStarter } from ${JSON.stringify(PROCESSES_URL)};
  setInterval(() => {}, 1000);
  const starter = await ProcessStarter.open();
  for (let count = 0; count < 3; count++) {
    const limits = { memoryMaxBytes: 2 ** 30, tasksMax: 64 };
    starter.start({ arguments: ["--no-warnings", "-"], input: Buffer.from("setInterval(() => {}, 1000)"), limits });
  }
  process.stdout.write("deaf", () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));`;

function childrenOf(pid: number): number[] {
  const found = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim();
  return found === "" ? [] : found.split(" ").map(Number);
}

/** Abstract names that this machine listens on for a host's processes. */
function listeningNames(): string[] {
  return Array.from(
    readFileSync("/proc/net/unix", "latin1").matchAll(/ 00010000 .* @(neap-[0-9a-f]+)/g),
    ([, name]) => name as string,
  );
}

function starterOf(pid: number): number {
  for (let at = pid; ; ) {
    at = Number(readFileSync(`/proc/${at}/stat`, "latin1").split(") ").at(-1)?.split(" ")[1]);
    if (readFileSync(`/proc/${at}/cmdline`, "latin1").includes("starter.ts")) {
      return at;
    }
  }
}

test("a process that holds more memory than it may is ended, and what it held is told, where the kernel has not ended it before", async () => {
  const holds = "const held = []; setInterval(() => held.push(Buffer.alloc(4 * 1024 * 1024, 1)), 5);";
  const memoryMaxBytes = 160 * 1024 * 1024;
  const { ended } = start(holds, { limits: { memoryMaxBytes, tasksMax: 64 } });
  const { signal, heldBytes } = await ended;
  expect(signal).toBe("SIGKILL");
  if (!(await starter.defences).memoryLimit) {
    expect(heldBytes).toBeGreaterThan(memoryMaxBytes);
  }
});
