/**
 * Control groups for processes, where the kernel's limits on memory and number of tasks can be set without asking anybody (Linux). See
 * https://docs.kernel.org/admin-guide/cgroup-v2.html and, for version 1, its page on the memory controller.
 *
 * Version 1: a group below the host's own, for each controller that is mounted. Version 2: a group beside the host's own, as a group with
 * processes in it cannot hand controllers down; and only when the host is in a group that was made for it inside one that is
 * delegated (systemd: `Delegate=yes` and `DelegateSubgroup=`), as all others belong to somebody else.
 */
import { accessSync, constants, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { hasCode } from "../../state/errors.ts";

/** What the kernel bounds for each process; part of `GET /v1/security`. */
export interface GroupLimits {
  readonly memoryLimit: boolean;
  /** Of processes and threads. */
  readonly taskLimit: boolean;
}

interface Parent {
  readonly folder: string;
  readonly version: 1 | 2;
  readonly limits: GroupLimits;
}

const TRY_BYTES = 1024 * 1024;
const REMOVE_LATER_MS = 1_000;
const OWNED_BY_OTHERS = /\.(service|scope|slice)$/;

export class ControlGroups {
  readonly #parents: readonly Parent[];

  private constructor(parents: readonly Parent[]) {
    this.#parents = parents;
  }

  /**
   * Those in which a group can be made, tried once; it may be that none can.
   * @param root  where /proc and the mount points are looked for
   */
  static find(root = "/"): ControlGroups {
    try {
      const groups = readFileSync(join(root, "proc/self/cgroup"), "utf8");
      const mounts = readFileSync(join(root, "proc/self/mountinfo"), "utf8");
      const parents = parentsIn(root, groups, mounts);
      for (const { folder } of parents) {
        removeLeft(folder);
      }
      const found = new ControlGroups(parents);
      found.create(`neap-${process.pid}-0`, TRY_BYTES, 1).remove();
      return found;
    } catch {
      return new ControlGroups([]);
    }
  }

  get limits(): GroupLimits {
    const has = (limit: keyof GroupLimits) => this.#parents.some(({ limits }) => limits[limit]);
    return { memoryLimit: has("memoryLimit"), taskLimit: has("taskLimit") };
  }

  /** A group with these limits, as far as there are any here. @throws the error of the system when it cannot be made */
  create(name: string, memoryMaxBytes: number, tasksMax: number): ControlGroup {
    const folders: string[] = [];
    const group = new ControlGroup(folders);
    try {
      for (const { folder, version, limits } of this.#parents) {
        const own = join(folder, name);
        mkdirSync(own, { recursive: true });
        folders.push(own);
        if (limits.memoryLimit) {
          writeFileSync(join(own, version === 1 ? "memory.limit_in_bytes" : "memory.max"), `${memoryMaxBytes}`);
        }
        if (limits.taskLimit) {
          writeFileSync(join(own, "pids.max"), `${tasksMax}`);
        }
      }
      return group;
    } catch (error) {
      group.remove();
      throw error;
    }
  }
}

export class ControlGroup {
  readonly #folders: readonly string[];

  constructor(folders: readonly string[]) {
    this.#folders = folders;
  }

  /** The process, and what it starts from now on. */
  add(processId: number): void {
    for (const folder of this.#folders) {
      writeFileSync(join(folder, "cgroup.procs"), `${processId}`);
    }
  }

  /** At once, or when the last process in it has ended. */
  remove(): void {
    for (const folder of this.#folders) {
      if (!removed(folder)) {
        setTimeout(() => removed(folder), REMOVE_LATER_MS).unref();
      }
    }
  }
}

function removed(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch {
    return false;
  }
}

/** Hosts that were killed could not take their groups away. */
function removeLeft(folder: string): void {
  for (const name of readdirSync(folder)) {
    const host = Number(/^neap-(\d+)-\d+$/.exec(name)?.[1]);
    if (!Number.isNaN(host) && !isAlive(host)) {
      removed(join(folder, name));
    }
  }
}

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return hasCode(error, "EPERM");
  }
}

function parentsIn(root: string, groups: string, mounts: string): Parent[] {
  const parents: Parent[] = [];
  for (const line of groups.trim().split("\n")) {
    const [, controllers = "", path = ""] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const parent = controllers === "" ? delegated(root, path, mounts) : below(root, controllers.split(","), path, mounts);
    if (parent !== undefined && mayMake(parent.folder)) {
      parents.push(parent);
    }
  }
  return parents;
}

function below(root: string, controllers: readonly string[], path: string, mounts: string): Parent | undefined {
  const limits = { memoryLimit: controllers.includes("memory"), taskLimit: controllers.includes("pids") };
  const folder = folderOf(
    root,
    path,
    mounts,
    (type, options) => type === "cgroup" && controllers.every((one) => options.includes(one)),
  );
  return folder === undefined || !(limits.memoryLimit || limits.taskLimit) ? undefined : { folder, version: 1, limits };
}

function delegated(root: string, path: string, mounts: string): Parent | undefined {
  const own = folderOf(root, path, mounts, (type) => type === "cgroup2");
  if (own === undefined || path === "/" || OWNED_BY_OTHERS.test(basename(path))) {
    return undefined;
  }
  const folder = dirname(own);
  try {
    // All of them are handed down, or none: one that is not there would have the others refused.
    const there = readFileSync(join(folder, "cgroup.controllers"), "utf8").trim().split(" ");
    const controllers = ["memory", "pids"].filter((name) => there.includes(name));
    if (controllers.length === 0) {
      return undefined;
    }
    writeFileSync(join(folder, "cgroup.subtree_control"), controllers.map((name) => `+${name}`).join(" "));
    const limits = { memoryLimit: there.includes("memory"), taskLimit: there.includes("pids") };
    return { folder, version: 2, limits };
  } catch {
    return undefined;
  }
}

/** Where a group of this path is in the file system. */
function folderOf(
  root: string,
  path: string,
  mounts: string,
  isWanted: (type: string, options: readonly string[]) => boolean,
): string | undefined {
  for (const line of mounts.trim().split("\n")) {
    const [before = "", after = ""] = line.split(" - ");
    const [, , , shown = "/", mountPoint = ""] = before.split(" ");
    const [type = "", , options = ""] = after.split(" ");
    if (isWanted(type, options.split(",")) && (path === shown || path.startsWith(shown === "/" ? "/" : `${shown}/`))) {
      return join(root, mountPoint, shown === "/" ? path : path.slice(shown.length));
    }
  }
  return undefined;
}

function mayMake(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
