/**
 * Entry of the process that starts all others of a host. It does nothing else, so it stays small: to start a process copies the page
 * tables of the one that does it, 40 ms for 256 MiB and 100 ms for 1 GiB resident, during which none of its threads gets far (H27).
 *
 * 1. What it has started ends with it, and it ends with the host, in whatever way that ends: its standard input closes.
 * 2. It signals only processes that it has not reaped, so never one that got the same id later.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { strongest } from "./confinement.ts";
import { type ControlGroup, ControlGroups } from "./control-groups.ts";
import { closeInherited } from "./inherited.ts";
import type { FromStarter, ProcessEnd, ToStarter } from "./messages.ts";

const COMPLAINT_MAX_CHARACTERS = 2_000;
const KILLED = { code: null, signal: "SIGKILL" } as const;
/** `unshare` would end as its child did, but cannot by SIGKILL, and says so: or dies of that, when nobody reads it any more. */
const CANNOT_END_SO = /^unshare: sig(?:nal|procmask)\b.*failed.*\n?/m;

/** Between two looks at what processes hold. */
const WEIGH_EVERY_MS = 100;

/**
 * Where processes are: Node lets a thread read what is in the working folder of its process, with all permissions taken away too (found in
 * 26.10). Nobody puts anything into it.
 */
const EMPTY_FOLDER = mkdtempSync(join(tmpdir(), "neap-empty-"));

interface Running {
  readonly child: ChildProcess;
  readonly group: ControlGroup;
  readonly memoryMaxBytes: number;
  /** More than that, when it was ended for it. */
  heldBytes?: number;
  /** The process itself, where that is not the one that was spawned, once it is known. */
  nested: number | undefined;
  /** From here: what its parent makes of that differs. */
  isKilled: boolean;
}

closeInherited();
const running = new Map<number, Running>();
/** Those on their way; taken out, they are killed as soon as they are there. */
const starting = new Set<number>();
const groups = ControlGroups.find();
process.once("exit", () => rmSync(EMPTY_FOLDER, { recursive: true, force: true }));
// Not `disconnect`: Node does not tell it while a handle that was sent waits for its answer (found in 26.10).
process.stdin.resume().once("close", () => {
  for (const number of running.keys()) {
    kill(number);
  }
  process.exit(0);
});
// A terminal and a service manager signal everybody; the host decides when its processes end.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {});
}
const confinement = await strongest([process.execPath, "--version"], Number(process.argv[2]));

function tell(message: FromStarter, handle?: Socket): void {
  // The host may have gone, which is heard elsewhere.
  process.send?.(message, handle, undefined, () => {});
}

async function start({ number, address, token, request }: ToStarter & { kind: "start" }): Promise<void> {
  starting.add(number);
  let group: ControlGroup | undefined;
  let socket: Socket | undefined;
  let file: number | undefined;
  try {
    socket = await connected(address, token);
    file = request.file === undefined ? undefined : openSync(request.file, "r+");
    group = groups.create(`neap-${process.pid}-${number}`, request.limits.memoryMaxBytes, request.limits.tasksMax);
    const child = await spawned(number, request.arguments, socket, file);
    hear(number, { child, group, memoryMaxBytes: request.limits.memoryMaxBytes, nested: undefined, isKilled: false });
    child.stdin?.end(request.input);
  } catch (error) {
    starting.delete(number);
    group?.remove();
    const failure = error instanceof Error ? error.message : `${error}`;
    tell({ kind: "ended", number, end: { code: null, signal: null, complaint: "", failure } });
  } finally {
    socket?.destroy();
    if (file !== undefined) {
      closeSync(file);
    }
    if (request.file !== undefined) {
      rmSync(request.file, { force: true });
    }
  }
}

/** Nothing is read from it here: what the host says is for the process that gets it. */
async function connected(address: string, token: Uint8Array): Promise<Socket> {
  const socket = connect(address);
  socket.pause();
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.write(token, (error) => (error ? reject(error) : resolve()));
  });
  return socket;
}

async function spawned(number: number, args: readonly string[], socket: Socket, file: number | undefined): Promise<ChildProcess> {
  const [command = "", ...rest] = [...confinement.command(number), process.execPath, ...args];
  const user = confinement.userOf(number);
  const child = spawn(command, rest, {
    env: {},
    cwd: EMPTY_FOLDER,
    stdio: ["pipe", "ignore", "pipe", socket, "pipe", ...(file === undefined ? [] : [file])],
    ...(user !== undefined && { uid: user, gid: user }),
  });
  await once(child, "spawn");
  return child;
}

function hear(number: number, one: Running): void {
  const { child, group } = one;
  running.set(number, one);
  limit(one, child.pid);
  let complaint = "";
  child.stdin?.on("error", () => {});
  tell({ kind: "started", number }, child.stdio[4] as Socket);
  child.stderr?.on("data", (chunk: Buffer) => {
    complaint += chunk.toString();
    if (complaint.length >= COMPLAINT_MAX_CHARACTERS) {
      child.stderr?.destroy();
    }
  });
  child.once("exit", (code, signal) => {
    running.delete(number);
    group.remove();
    const isEnded = one.isKilled || (confinement.isNested && (signal === "SIGPIPE" || CANNOT_END_SO.test(complaint)));
    const held = one.heldBytes === undefined ? {} : { heldBytes: one.heldBytes };
    const end: ProcessEnd = {
      ...(isEnded ? KILLED : { code, signal }),
      complaint: complaint.replace(CANNOT_END_SO, "").slice(0, COMPLAINT_MAX_CHARACTERS),
      ...held,
    };
    tell({ kind: "ended", number, end });
  });
  if (!starting.delete(number)) {
    kill(number);
  }
}

/** Called for what is spawned and for the process itself: the one may have started the other before it was in the group. */
function limit({ group }: Running, processId: number | undefined): void {
  try {
    if (processId !== undefined) {
      group.add(processId);
    }
  } catch {
    // It has ended, which is told elsewhere.
  }
}

function serves(number: number): void {
  const one = running.get(number);
  if (one !== undefined && confinement.isNested) {
    one.nested ??= onlyChild(one.child.pid);
    limit(one, one.nested);
  }
  tell({ kind: "known", number, processId: one?.nested ?? one?.child.pid });
}

/** Where the kernel does not limit what a process holds, and for what it counts in another way. */
function weigh(): void {
  for (const [number, one] of running) {
    one.nested ??= confinement.isNested ? onlyChild(one.child.pid) : undefined;
    const bytes = residentBytes(one.nested ?? one.child.pid);
    if (bytes > one.memoryMaxBytes && one.heldBytes === undefined) {
      one.heldBytes = bytes;
      kill(number);
    }
  }
}

/** 0 where the system does not tell. */
function residentBytes(processId: number | undefined): number {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${processId}/status`, "latin1"))?.[1];
    return Number(kilobytes ?? 0) * 1024;
  } catch {
    return 0;
  }
}

function kill(number: number): void {
  const one = running.get(number);
  if (one === undefined) {
    starting.delete(number);
    return;
  }
  one.isKilled = true;
  const nested = one.nested ?? (confinement.isNested ? onlyChild(one.child.pid) : undefined);
  if (nested !== undefined) {
    try {
      process.kill(nested, "SIGKILL");
    } catch {
      // It has ended, or is another user's: its parent takes it along.
    }
  }
  one.child.kill("SIGKILL");
}

function onlyChild(parent: number | undefined): number | undefined {
  try {
    const first = readFileSync(`/proc/${parent}/task/${parent}/children`, "latin1").trim().split(" ")[0];
    return first ? Number(first) : undefined;
  } catch {
    return undefined;
  }
}

process.on("message", (message: ToStarter) => {
  switch (message.kind) {
    case "start":
      void start(message);
      break;
    case "serves":
      serves(message.number);
      break;
    case "kill":
      kill(message.number);
      break;
  }
});
setInterval(weigh, WEIGH_EVERY_MS).unref();
tell({ kind: "open", defences: { ...confinement.defences, ...groups.limits } });
