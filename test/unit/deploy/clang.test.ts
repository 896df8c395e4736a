import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { clangAdvice, compileWithClang, findClang, installedClang } from "../../../functions/clang.ts";

/** All that there is on the PATH. */
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "neap-clang-"));
  vi.stubEnv("PATH", folder);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

function program(name: string, script: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** One whose libraries are all there, or some of whose are not. */
const clang = (isWhole: boolean) =>
  `case "$*" in --version) echo "a clang 1.2";; *libc++.a) echo ${isWhole ? folder : "libc++.a"};; *) echo ${folder};; esac`;

describe("findClang", () => {
  it("finds one that has all that C++ for WASI needs", () => {
    expect(findClang()).toBeNull();
    program("clang", clang(false));
    expect(findClang()).toBeNull();
    program("clang", clang(true));
    expect(findClang()).toEqual({ path: "clang", version: "a clang 1.2" });
  });

  it("takes the one of NEAP_CLANG, and no other", () => {
    program("clang", clang(true));
    vi.stubEnv("NEAP_CLANG", join(folder, "mine"));
    expect([findClang(), clangAdvice()]).toEqual([null, `NEAP_CLANG=${folder}/mine is no clang with libraries for WebAssembly`]);
    program("mine", clang(true));
    expect(findClang()?.path).toBe(join(folder, "mine"));
  });
});

describe("installedClang", () => {
  /** An apt-get that notes how it was called, and does what `script` says. */
  const aptGet = (script: string) =>
    program("apt-get", `case "$1" in --version) echo 1; exit;; esac\necho "$*" >> ${folder}/calls\n${script}`);
  const calls = () => readFileSync(join(folder, "calls"), "utf8").trim().split("\n");
  const said: string[] = [];
  const say = (text: string) => said.push(text);
  const isRoot = process.getuid?.() === 0;
  beforeEach(() => said.splice(0));

  it("installs nothing where there is one, and says nothing", () => {
    program("clang", clang(true));
    aptGet("exit 1");
    expect(installedClang(say)).not.toBeNull();
    expect(said).toEqual([]);
    expect(calls).toThrow("ENOENT");
  });

  it.skipIf(!isRoot)("installs Debian's packages, and says so", () => {
    const whole = clang(true).replaceAll('"', '\\"').replaceAll("$", "\\$");
    aptGet(`printf '%s\\n' '#!/bin/sh' "${whole}" > ${folder}/clang; /bin/chmod 755 ${folder}/clang`);
    expect(installedClang(say)).toEqual({ path: "clang", version: "a clang 1.2" });
    expect(calls()).toEqual([expect.stringMatching(/install -y .*clang lld wasi-libc/)]);
    expect(said).toEqual([expect.stringContaining("installing clang for WebAssembly, once")]);
  });

  it.skipIf(!isRoot)("asks for newer lists of packages when they are not found, and gives up then", () => {
    aptGet("exit 100");
    expect(installedClang(say)).toBeNull();
    expect(calls()).toEqual([expect.stringContaining("install"), "update", expect.stringContaining("install")]);
    expect(clangAdvice()).toContain("apt-get install clang lld wasi-libc");
  });

  it("leaves a machine without apt-get alone", () => {
    expect([installedClang(say), said]).toEqual([null, []]);
  });
});

describe("compileWithClang", () => {
  it("tells the compiler's messages when a source does not compile", async () => {
    const path = program("clang", "echo 'x.c:1: no' >&2; exit 1");
    await expect(compileWithClang({ path, version: "" }, "/x.c")).rejects.toThrow("x.c:1: no");
  });
});
