import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

/** A checkout with the real script and an npm that notes how it was called and installs what the lock file names. */
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "neap-setup-"));
  mkdirSync(join(root, "deploy"));
  mkdirSync(join(root, "functions"));
  mkdirSync(join(root, "bin"));
  copyFileSync(new URL("../../../deploy/setup.mjs", import.meta.url), join(root, "deploy", "setup.mjs"));
  writeFileSync(join(root, "package.json"), "{}");
  writeFileSync(join(root, "functions", "build.ts"), 'const text: string = "built\\n"; process.stdout.write(text);');
  writeLock("1.0.0");
  fakeNpm(INSTALL);
});
afterEach(() => rmSync(root, { recursive: true }));

const INSTALL = `
rm -rf node_modules && mkdir -p node_modules/.bin
cp package-lock.json node_modules/.package-lock.json
ln -s "${process.execPath}" node_modules/.bin/node
`;

function fakeNpm(script: string): void {
  const path = join(root, "bin", "npm");
  writeFileSync(path, `#!/bin/sh\necho "$PATH|$*" >> npm-calls\n${script}`);
  chmodSync(path, 0o755);
}

function writeLock(version: string): void {
  const packages = { "": {}, "node_modules/a": { version }, "node_modules/other-platform": { version: "1.0.0", optional: true } };
  writeFileSync(join(root, "package-lock.json"), JSON.stringify({ packages }));
}

/** As under `npm start`: node_modules/.bin comes first. */
function setup(argv: string[] = [], path = [join(root, "node_modules", ".bin"), join(root, "bin"), "/usr/bin", "/bin"]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, "deploy", "setup.mjs"), ...argv], {
    env: { PATH: path.join(delimiter) },
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

const npmCalls = () =>
  existsSync(join(root, "npm-calls")) ? readFileSync(join(root, "npm-calls"), "utf8").trim().split("\n") : [];

test("the first run installs, the second does nothing and says nothing", () => {
  expect(setup()).toMatchObject({ status: 0, stderr: expect.stringContaining("first start: installing packages") });
  expect(npmCalls()).toEqual([expect.stringMatching(/\|install --no-audit --no-fund /)]);
  expect(setup()).toEqual({ status: 0, stdout: "", stderr: "" });
  expect(npmCalls()).toHaveLength(1);
});

test("a changed lock file installs again", () => {
  setup();
  writeLock("1.0.1");
  expect(setup()).toMatchObject({ status: 0, stderr: expect.stringContaining("packages changed") });
  expect(npmCalls()).toHaveLength(2);
});

test("what npm has already installed by hand is not installed again", () => {
  spawnSync("sh", ["-c", INSTALL], { cwd: root });
  expect(setup()).toEqual({ status: 0, stdout: "", stderr: "" });
  expect(npmCalls()).toEqual([]);
});

test("an installation by hand of another version, or with a package missing, is installed again", () => {
  for (const packages of [{ "node_modules/a": { version: "0.9.0" } }, {}]) {
    rmSync(join(root, "node_modules"), { recursive: true, force: true });
    mkdirSync(join(root, "node_modules"));
    writeFileSync(join(root, "node_modules", ".package-lock.json"), JSON.stringify({ packages }));
    setup();
  }
  expect(npmCalls()).toHaveLength(2);
});

test("npm does not run on the Node that it is about to delete", () => {
  setup();
  expect(npmCalls()[0]?.split("|")[0]).toBe([join(root, "bin"), "/usr/bin", "/bin"].join(delimiter));
});

test("the script survives that the Node it runs on is deleted", () => {
  setup();
  writeLock("1.0.1");
  const copy = join(root, "node_modules", "node-copy");
  copyFileSync(process.execPath, copy);
  chmodSync(copy, 0o755);
  const run = spawnSync(copy, [join(root, "deploy", "setup.mjs"), "--functions"], {
    env: { PATH: [join(root, "bin"), "/usr/bin", "/bin"].join(delimiter) },
    encoding: "utf8",
  });
  expect(run).toMatchObject({ status: 0, stdout: "built\n" });
  expect(existsSync(copy)).toBe(false);
});

test("--functions builds the functions with the packaged Node, and its failure is a failure", () => {
  expect(setup(["--functions"])).toMatchObject({ status: 0, stdout: "built\n" });
  writeFileSync(join(root, "functions", "build.ts"), "process.exit(3);");
  expect(setup(["--functions"])).toMatchObject({ status: 1, stderr: expect.stringContaining("could not be built (3)") });
});

test("--clang is for what builds the functions", () => {
  writeFileSync(join(root, "functions", "build.ts"), "process.stdout.write(process.argv.slice(2).join());");
  expect(setup(["--functions", "--clang"])).toMatchObject({ status: 0, stdout: "--clang" });
  expect(setup(["--clang"])).toEqual({ status: 0, stdout: "", stderr: "" });
});

test("a failed installation is tried again the next time", () => {
  fakeNpm("mkdir -p node_modules; exit 1");
  expect(setup().status).toBe(1);
  fakeNpm(INSTALL);
  expect(setup().status).toBe(0);
  expect(npmCalls()).toHaveLength(2);
});

test.each([
  ["echo 'npm error code ENOTFOUND' >&2; exit 1", "npm cannot reach its registry (ENOTFOUND)"],
  ["echo 'npm error code ENOSPC' >&2; exit 1", "the disk is full"],
  ["echo 'npm error code EACCES' >&2; exit 1", "npm may not write to"],
  ["exit 7", "npm install failed (7)"],
])("npm doing %j is explained: %s", (script, message) => {
  fakeNpm(script);
  expect(setup()).toMatchObject({ status: 1, stderr: expect.stringContaining(message) });
});

test("a missing npm is explained", () => {
  const empty = join(root, "empty");
  mkdirSync(empty);
  expect(setup([], [empty])).toMatchObject({ status: 1, stderr: expect.stringContaining("npm is not on the PATH") });
});

test("an unknown argument is refused", () => {
  expect(setup(["--function"])).toMatchObject({ status: 1, stderr: expect.stringContaining("--function") });
});
