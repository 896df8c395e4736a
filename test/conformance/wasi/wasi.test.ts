import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import packageFile from "../../../package.json" with { type: "json" };
import { temporaryFolder } from "../../support/host-process.ts";
import { type Case, casesIn, cleanUp, differences } from "./cases.ts";
import { runByCommand } from "./runners.ts";
import { buildSuite, hasPython, PROGRAMS } from "./suite.ts";

const here = import.meta.dirname;
const folder = temporaryFolder("wasi-suite");
let cases: ReadonlyMap<string, Case>;

beforeAll(async () => {
  cases = await buildSuite(folder);
});

afterAll(() => rmSync(folder, { recursive: true }));

function run(command: string, args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  return { status, stdout, stderr };
}

function caseNamed(name: string): Case {
  return cases.get(name) ?? expect.fail(`no case ${name}`);
}

describe("neap run", () => {
  it.each(PROGRAMS)("%s", (program) => {
    expect(differences(caseNamed(program), runByCommand(caseNamed(program)))).toEqual([]);
  });
});

describe("cases of a suite", () => {
  const place = join(folder, "cases");

  beforeAll(() => {
    mkdirSync(join(place, "below", "files"), { recursive: true });
    for (const name of ["arguments", "exit-code", "return"]) {
      copyFileSync(join(folder, `${name}.wasm`), join(place, "below", `${name}.wasm`));
      copyFileSync(join(folder, `${name}.json`), join(place, "below", `${name}.json`));
    }
    copyFileSync(join(folder, "exit-code.wasm"), join(place, "wrong.wasm"));
    writeFileSync(join(place, "wrong.json"), '{ "exit_code": 12, "stdout": "x" }');
  });

  it("are found below a folder, with what they are given", () => {
    writeFileSync(join(place, "below", "files.json"), '{ "root": "files", "dirs": ["files"] }');
    copyFileSync(join(folder, "return.wasm"), join(place, "below", "files.wasm"));
    const host = join(place, "below", "files");
    const found = casesIn(place);
    rmSync(join(place, "below", "files.wasm"));
    expect(found.map(({ name }) => name)).toEqual(["arguments", "exit-code", "files", "return", "wrong"]);
    const [, , files] = found;
    expect(files?.folders).toEqual([
      { host, guest: "/" },
      { host, guest: "files" },
    ]);
    mkdirSync(join(host, "old.cleanup", "more"), { recursive: true });
    cleanUp(files ?? expect.fail());
    expect(casesIn(host)).toEqual([]);
    expect(() => rmSync(join(host, "old.cleanup"), { recursive: true })).toThrow("ENOENT");
  });

  it("are refused with a field that is not known", () => {
    writeFileSync(join(place, "wrong.json"), '{ "operations": [] }');
    expect(() => casesIn(place)).toThrow(/wrong\.json: the field operations is not known/);
    writeFileSync(join(place, "wrong.json"), '{ "exit_code": 12, "stdout": "x" }');
  });

  it("are run by neap run and as calls, and what differs is told", () => {
    writeFileSync(join(place, "below", "nothing.wasm"), "no module");
    const { status, stdout } = run(process.execPath, [join(here, "main.ts"), place]);
    expect(stdout.split("\n")).toEqual([
      "neap run: nothing: exit code is 1, must be 0",
      "neap run: wrong: exit code is 13, must be 12",
      'neap run: wrong: stdout is "", must be "x"',
      "neap run: 3 of 5 pass",
      "calls: arguments is left out: cmdline has no empty arguments and none with spaces",
      expect.stringMatching(/^calls: nothing: upload of nothing was answered 400: /),
      "calls: wrong: exit code is 13, must be 12",
      expect.stringMatching(/^calls: wrong: stdout is ".*", must be "x"$/),
      "calls: 2 of 4 pass",
      "",
    ]);
    expect(status).toBe(1);
  });
});

describe.skipIf(!hasPython())("the adapter for wasi-testsuite (skipped where there is no python3)", () => {
  it("gives the runner the command line of a program", () => {
    const script = `import sys; sys.path.insert(0, ${JSON.stringify(here)}); import json, neap
print(json.dumps([neap.compute_argv("t.wasm", (["a"], {"K": "V"}, "/root"), [], "world", "wasm32-wasip1"),
  neap.compute_argv("t.wasm", ([], {}, [("/host", "guest")]), [], "wasm32-wasip1"), neap.get_wasi_versions()]))`;
    const { status, stdout } = run("python3", ["-B", "-c", script]);
    expect(status).toBe(0);
    const [first, second, versions] = JSON.parse(stdout) as string[][];
    expect(first?.slice(2)).toEqual(["run", "--env", "K=V", "--dir", "/root::/", "t.wasm", "a"]);
    expect(second?.slice(2)).toEqual(["run", "--dir", "/host::guest", "t.wasm"]);
    expect(versions).toEqual(["wasm32-wasip1"]);
  });

  it("says nothing as a command: the runner would take it for one of the interface before", () => {
    expect(run("python3", ["-B", join(here, "neap.py"), "--version"])).toEqual({ status: 0, stdout: "", stderr: "" });
  });

  it("has that interface in a file of its own", () => {
    const command = join(here, "neap_command.py");
    expect(run("python3", [command, "--version"])).toEqual({ status: 0, stdout: `neap ${packageFile.version}\n`, stderr: "" });
    const given = ["--arg", "first", "--arg=--the word", "--env", "ONE=x=y"];
    const ended = run("python3", [command, ...given, "--test-file", caseNamed("arguments").file]);
    expect(ended).toMatchObject({ status: 0, stdout: "first|--the word\nONE=x=y\n" });
    expect(run("python3", [command, "--test-file", caseNamed("exit-code").file]).status).toBe(13);
  });
});
