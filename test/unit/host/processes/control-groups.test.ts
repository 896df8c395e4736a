import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ControlGroups } from "../../../../host/processes/control-groups.ts";

/** A folder that stands for the root of a system. The kernel is not in it: what is written stays. */
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "neap-groups-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

const read = (path: string) => readFileSync(join(root, path), "utf8");

test("with version 1 a group is made below the host's own for each controller, seen through what is mounted where", () => {
  write("proc/self/cgroup", "9:pids:/box/a\n4:memory:/box/a\n2:cpu,cpuacct:/box/a\n0::/\n");
  write(
    "proc/self/mountinfo",
    "35 31 0:32 /box /cg/memory rw,relatime - cgroup cgroup rw,memory\n39 31 0:36 / /cg/pids rw - cgroup cgroup rw,pids\n",
  );
  mkdirSync(join(root, "cg/memory/a"), { recursive: true });
  mkdirSync(join(root, "cg/pids/box/a"), { recursive: true });
  const groups = ControlGroups.find(root);
  expect(groups.limits).toEqual({ memoryLimit: true, taskLimit: true });
  groups.create("neap-1-7", 4096, 9).add(42);
  expect([read("cg/memory/a/neap-1-7/memory.limit_in_bytes"), read("cg/memory/a/neap-1-7/cgroup.procs")]).toEqual(["4096", "42"]);
  expect([read("cg/pids/box/a/neap-1-7/pids.max"), read("cg/pids/box/a/neap-1-7/cgroup.procs")]).toEqual(["9", "42"]);
});

const VERSION_2 = "41 31 0:38 / /cg rw - cgroup2 cgroup2 rw\n";

/** A group of the host's own inside one that has these controllers. */
function inDelegated(path: string, controllers: string): void {
  write("proc/self/cgroup", `0::/${path}/host\n`);
  write("proc/self/mountinfo", VERSION_2);
  write(`cg/${path}/cgroup.controllers`, `${controllers}\n`);
  mkdirSync(join(root, "cg", path, "host"));
}

test("with version 2 a group is made beside the host's own, if that was made for the host inside a delegated one", () => {
  inDelegated("system.slice/neap.service", "cpu memory pids");
  const groups = ControlGroups.find(root);
  expect(read("cg/system.slice/neap.service/cgroup.subtree_control")).toBe("+memory +pids");
  groups.create("neap-1-7", 4096, 9);
  expect(existsSync(join(root, "cg/system.slice/neap.service/neap-1-7"))).toBe(true);
});

test("with version 2 what the delegated group has not is left out, and the rest holds", () => {
  inDelegated("box", "cpu pids");
  const groups = ControlGroups.find(root);
  expect(groups.limits).toEqual({ memoryLimit: false, taskLimit: true });
  expect(read("cg/box/cgroup.subtree_control")).toBe("+pids");
  groups.create("neap-1-7", 4096, 9);
  expect(read("cg/box/neap-1-7/pids.max")).toBe("9");
  expect(existsSync(join(root, "cg/box/neap-1-7/memory.max"))).toBe(false);
});

test("with version 2 no group is made inside a delegated one that limits neither", () => {
  inDelegated("box", "cpu io");
  const groups = ControlGroups.find(root);
  expect(groups.limits).toEqual({ memoryLimit: false, taskLimit: false });
  groups.create("neap-1-7", 4096, 9);
  expect(existsSync(join(root, "cg/box/neap-1-7"))).toBe(false);
});

test.each([
  ["a service's own group is systemd's", "0::/system.slice/neap.service\n"],
  ["the root is nobody's", "0::/\n"],
  ["nothing is mounted there", "7:memory:/elsewhere\n"],
  ["it is no list of groups", "nonsense"],
])("no group is made where none may be: %s", (_, text) => {
  write("proc/self/cgroup", text);
  write("proc/self/mountinfo", VERSION_2);
  const parents = ["cg/system.slice", "."];
  for (const parent of parents) {
    write(`${parent}/cgroup.controllers`, "memory pids\n");
    write(`${parent}/cgroup.subtree_control`, "");
  }
  mkdirSync(join(root, "cg/system.slice/neap.service"), { recursive: true });
  expect(ControlGroups.find(root).limits).toEqual({ memoryLimit: false, taskLimit: false });
  expect(parents.map((parent) => read(`${parent}/cgroup.subtree_control`))).toEqual(["", ""]);
});

test("groups of hosts that are gone are taken away, those of living ones stay", () => {
  write("proc/self/cgroup", "4:memory:/\n");
  write("proc/self/mountinfo", "35 31 0:32 / /cg rw,relatime - cgroup cgroup rw,memory\n");
  const gone = "neap-4194305-1";
  const living = `neap-${process.pid}-1`;
  for (const name of [gone, living, "other"]) {
    mkdirSync(join(root, "cg", name), { recursive: true });
  }
  ControlGroups.find(root);
  expect([gone, living, "other"].map((name) => existsSync(join(root, "cg", name)))).toEqual([false, true, true]);
});
