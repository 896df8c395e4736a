import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { parseRun } from "../../../../host/cli/parse-run.ts";
import { NeapError } from "../../../../state/errors.ts";
import { wat } from "../../../support/guest-modules.ts";
import { temporaryFolder } from "../../../support/host-process.ts";

const NEAP = join(import.meta.dirname, "../../../../host/cli/neap.ts");
const folder = temporaryFolder("neap-run");

afterAll(() => rmSync(folder, { recursive: true }));

function program(name: string, text: string): string {
  const path = join(folder, `${name}.wasm`);
  writeFileSync(path, wat(`(module ${text})`));
  return path;
}

function neap(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [NEAP, ...args], { encoding: "utf8" });
  return { status, stdout, stderr };
}

describe("the command line of neap run", () => {
  it("has options first, then the program, and all behind it is the program's", () => {
    expect(parseRun(["--dir", "a::b", "--env", "K=v=w", "--dir", "/c", "x.wasm", "--dir", "y", "-h", "--", "z"])).toEqual({
      kind: "run",
      program: {
        file: "x.wasm",
        args: ["--dir", "y", "-h", "--", "z"],
        environment: ["K=v=w"],
        folders: [
          { host: "a", guest: "b" },
          { host: "/c", guest: "/c" },
        ],
      },
    });
  });

  it("tells what is wrong with it", () => {
    const refused = (...argv: string[]) => {
      try {
        parseRun(argv);
      } catch (error) {
        return error instanceof NeapError ? `${error.code}: ${error.message}` : "";
      }
      return "";
    };
    expect(refused()).toMatch(/^BAD_OPTION: missing required argument/);
    expect(refused("--nope", "x.wasm")).toBe("BAD_OPTION: unknown option '--nope'; --help lists the options");
    expect(refused("--dir", "::x", "x.wasm")).toBe('BAD_OPTION: --dir is "::x", must be a folder, or a folder, :: and a name');
    expect(refused("--env", "=x", "x.wasm")).toBe('BAD_OPTION: --env is "=x", must be KEY=value');
    expect(parseRun(["--help"])).toMatchObject({ kind: "help" });
  });
});

describe("neap run", () => {
  it("ends with what main returned, and 134 and the text for a trap", () => {
    const memory = `(memory (export "memory") 1)`;
    expect(neap("run", program("main", `${memory} (func (export "main") (result i32) (i32.const 9))`)).status).toBe(9);
    expect(neap("run", program("trap", `${memory} (func (export "_start") unreachable)`))).toEqual({
      status: 134,
      stdout: "",
      stderr: "neap: trap.wasm: unreachable\n",
    });
  });

  it("refuses what is no program, with a code", () => {
    writeFileSync(join(folder, "text.wasm"), "hello");
    const start = `(func (export "_start"))`;
    expect(neap("run", join(folder, "text.wasm")).stderr).toMatch(/^neap: MODULE_INVALID: /);
    expect(neap("run", join(folder, "none.wasm")).stderr).toMatch(/^neap: BAD_OPTION: .* cannot be read: ENOENT/);
    expect(neap("run", "--dir", join(folder, "text.wasm"), program("empty", start))).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^neap: BAD_OPTION: --dir .* is not a folder that can be read\n$/),
    });
    expect(neap("run", program("imports", `(import "env" "f" (func)) ${start}`)).stderr).toBe(
      "neap: MODULE_IMPORT_UNKNOWN: the program imports env.f; neap run offers wasi_snapshot_preview1 alone\n",
    );
    expect(neap("run", program("nothing", "")).stderr).toMatch(/^neap: MODULE_NO_ENTRY: /);
  });

  it("streams: what comes in goes out before the input has ended", async () => {
    const echo = `(import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (func (export "_start")
        (loop $more
          (i32.store (i32.const 0) (i32.const 100))
          (i32.store (i32.const 4) (i32.const 1000))
          (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
          (i32.store (i32.const 4) (i32.load (i32.const 8)))
          (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)))
          (br_if $more (i32.load (i32.const 8)))))`;
    const child = spawn(process.execPath, [NEAP, "run", program("echo", echo)], { stdio: ["pipe", "pipe", "inherit"] });
    const ended = once(child, "exit");
    for (const text of ["one", "größer"]) {
      child.stdin.write(text);
      const [data] = (await once(child.stdout, "data")) as [Buffer];
      expect(data.toString()).toBe(text);
    }
    child.stdin.end();
    expect((await ended)[0]).toBe(0);
  });
});
