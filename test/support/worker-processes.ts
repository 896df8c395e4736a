/** The worker processes of a host, as the kernel knows them (Linux). */
import { readdirSync, readFileSync } from "node:fs";

/** Ids of all executors that descend from the host. */
export function workerProcesses(host: number): number[] {
  const parents = new Map<number, number>();
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    const parent = Number.isInteger(pid) ? parentOf(pid) : undefined;
    if (parent !== undefined) {
      parents.set(pid, parent);
    }
  }
  return Array.from(parents.keys()).filter((pid) => isExecutor(pid) && descends(pid, host, parents));
}

export function isAlive(pid: number): boolean {
  return parentOf(pid) !== undefined;
}

/** Undefined when there is no such process, or only its entry is left. */
function parentOf(pid: number): number | undefined {
  const [state, parent] = read(pid, "stat").split(") ").at(-1)?.split(" ") ?? [];
  return state === undefined || state === "" || state === "Z" || state === "X" ? undefined : Number(parent);
}

/** Its first word is Node: the tools that start it have the same words behind theirs. */
function isExecutor(pid: number): boolean {
  const [program = "", ...args] = read(pid, "cmdline").split("\0");
  return /node$/.test(program) && args.includes("--permission");
}

function descends(pid: number, host: number, parents: ReadonlyMap<number, number>): boolean {
  for (let at = parents.get(pid); at !== undefined && at > 1; at = parents.get(at)) {
    if (at === host) {
      return true;
    }
  }
  return false;
}

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "latin1");
  } catch {
    return "";
  }
}
