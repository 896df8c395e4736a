/**
 * Compiles functions in C and C++ with the machine's clang, or with the one that NEAP_CLANG names, as that of a wasi-sdk. Without one
 * the host is whole, and the samples in these languages are left out.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, extname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
export const C_HEADERS = join(ROOT, "guest-sdk", "include");
/** Of Debian 12 and later: the compiler, its linker, and the libraries of C and C++ for WebAssembly. */
const PACKAGES = ["clang", "lld", "wasi-libc", "libclang-rt-dev-wasm32", "libc++-dev-wasm32"];
const INSTALL = ["-o", "DPkg::Lock::Timeout=120", "install", "-y", "--no-install-recommends", ...PACKAGES];
const TARGET = "--target=wasm32-wasi";

const COMPILER_OPTIONS = ["-O2", "-Wall", "-Wextra", `-I${C_HEADERS}`];
const C_OPTIONS = ["-std=c11"];
/** There is no unwinder for WASI. With -fexceptions what throws ends the call, by imports of the module env. */
const CPP_OPTIONS = ["--driver-mode=g++", "-std=c++17", "-fno-exceptions"];
/** The stack lies below the data: one that overflows traps, and overwrites nothing. */
const LINKER_OPTIONS = [
  "-Wl,--stack-first,-z,stack-size=4194304",
  "-Wl,--initial-memory=16777216,--max-memory=4294901760",
  "-Wl,--strip-debug",
];

/**
 * Of side modules. Clang before 16 makes code that can lie anywhere for Emscripten's target alone; it is the same for later ones. That
 * target's C library has functions of its own in place of printf and the like, this one's has not.
 */
const SIDE_OPTIONS = [
  "--target=wasm32-unknown-emscripten",
  ...["-D__wasi__", "-U__EMSCRIPTEN__", "-fPIC", "-fvisibility=default"],
  ...["printf", "fprintf", "sprintf", "snprintf"].map((name) => `-fno-builtin-${name}`),
];
const SIDE_LINKER_OPTIONS = ["-shared", "--experimental-pic", "--allow-undefined", "--strip-debug"];

export interface Clang {
  readonly path: string;
  /** As it tells it. */
  readonly version: string;
}

/** One that can link C++ for WASI; null when there is none. */
export function findClang(): Clang | null {
  const path = process.env.NEAP_CLANG ?? "clang";
  const [version = ""] = ask(path, "--version").split("\n");
  const parts = ["-print-file-name=libc++.a", "-print-prog-name=wasm-ld", "-print-libgcc-file-name"];
  const isWhole = version !== "" && parts.every((part) => existsSync(ask(path, TARGET, "--rtlib=compiler-rt", part)));
  return isWhole ? { path, version } : null;
}

/** Like `findClang`, after it has installed Debian's packages when there is none and it can. Says what it does, and why it cannot. */
export function installedClang(say: (text: string) => void): Clang | null {
  const found = findClang();
  if (found !== null || process.env.NEAP_CLANG !== undefined) {
    return found;
  }
  if (process.getuid?.() !== 0 || ask("apt-get", "--version") === "") {
    return null;
  }
  say(`installing clang for WebAssembly, once: apt-get ${INSTALL.join(" ")}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const aptGet = (args: readonly string[]) => spawnSync("apt-get", args, { stdio: ["ignore", "ignore", "inherit"], env }).status;
  if (aptGet(INSTALL) !== 0) {
    aptGet(["update"]);
    aptGet(INSTALL);
  }
  return findClang();
}

/** What to tell a user who has no clang. */
export function clangAdvice(): string {
  const { NEAP_CLANG: named } = process.env;
  return named === undefined
    ? `there is no clang with libraries for WebAssembly. On Debian: apt-get install ${PACKAGES.join(" ")}; elsewhere set NEAP_CLANG to the clang of a wasi-sdk`
    : `NEAP_CLANG=${named} is no clang with libraries for WebAssembly`;
}

/** Everything but sources and headers that the compiled module depends on. */
export function clangOptionsOf(sourcePath: string): readonly string[] {
  return [TARGET, ...(extname(sourcePath) === ".c" ? C_OPTIONS : CPP_OPTIONS), ...COMPILER_OPTIONS, ...LINKER_OPTIONS];
}

/**
 * Compiles one C or C++ file with what it includes. `extraOptions` come last and win; those that begin with -Wl, are the linker's.
 *
 * In two steps: a clang that links with -O hands the module to any wasm-opt it finds, and that one takes functions which only the host
 * calls, through the table, for dead.
 *
 * @throws Error with the compiler's messages, or with what to do when there is none
 */
export function compileWithClang(
  clang: Clang | null,
  sourcePath: string,
  extraOptions: readonly string[] = [],
): Promise<Uint8Array> {
  return compile(clang, sourcePath, async ({ path }, objectPath, wasmPath) => {
    const options = [...clangOptionsOf(sourcePath), ...extraOptions];
    const isOfLinker = (option: string) => option.startsWith("-Wl,");
    await run(path, [...options.filter((option) => !isOfLinker(option)), "-c", sourcePath, "-o", objectPath]);
    await run(path, [TARGET, "--driver-mode=g++", ...options.filter(isOfLinker), objectPath, "-o", wasmPath]);
  });
}

/** As `clangOptionsOf`, of side modules. */
export function sideModuleOptionsOf(sourcePath: string): readonly string[] {
  return [...sideCompilerOptions(sourcePath), ...SIDE_LINKER_OPTIONS];
}

function sideCompilerOptions(sourcePath: string): readonly string[] {
  return [...SIDE_OPTIONS, ...(extname(sourcePath) === ".c" ? C_OPTIONS : CPP_OPTIONS), ...COMPILER_OPTIONS];
}

/** Compiles one C or C++ file with what it includes to a side module. @throws Error  as `compileWithClang` */
export function compileSideModule(clang: Clang | null, sourcePath: string): Promise<Uint8Array> {
  return compile(clang, sourcePath, async ({ path }, objectPath, wasmPath) => {
    const library = ask(path, TARGET, "-print-file-name=libc.a");
    const include = join(dirname(library), "..", "..", "include", "wasm32-wasi");
    const headers = [join(include, "c++", "v1"), include].flatMap((folder) => ["-isystem", folder]);
    const options = [...sideCompilerOptions(sourcePath), ...headers];
    await run(path, [...options, "-c", sourcePath, "-o", objectPath]);
    await run(ask(path, TARGET, "-print-prog-name=wasm-ld"), [...SIDE_LINKER_OPTIONS, objectPath, "-o", wasmPath]);
  });
}

async function compile(
  clang: Clang | null,
  sourcePath: string,
  build: (clang: Clang, objectPath: string, wasmPath: string) => Promise<void>,
): Promise<Uint8Array> {
  if (clang === null) {
    throw new Error(clangAdvice());
  }
  const folder = await mkdtemp(join(tmpdir(), "neap-clang-"));
  const wasmPath = join(folder, "out.wasm");
  try {
    await build(clang, join(folder, "out.o"), wasmPath);
    return await readFile(wasmPath);
  } catch (error) {
    throw new Error(`${relative(ROOT, sourcePath)} does not compile:\n${error instanceof Error ? error.message : error}`);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function run(command: string, args: readonly string[]): Promise<void> {
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
  let messages = "";
  child.stderr.on("data", (chunk) => {
    messages += chunk;
  });
  const code = await new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
  if (code !== 0) {
    throw new Error(messages);
  }
}

function ask(command: string, ...args: readonly string[]): string {
  const { status, stdout } = spawnSync(command, args, { encoding: "utf8" });
  return status === 0 ? stdout.trim() : "";
}
