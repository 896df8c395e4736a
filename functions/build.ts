/**
 * Builds the sample functions: `node functions/build.ts [--force] [--clang]`.
 *
 * A folder with assembly/index.ts is one function of the folder's name; in a folder without, each file of assembly/ is one, and so is
 * each .c and .cpp file of src/. Each of side/ is a side module. Shared code lies in folders below. The result is
 * <folder>/build/<name>.wasm, beside a stamp with a hash of all that went in. <folder>/compiler-options.json, where there is one, lists
 * further options of the compiler for functions. C and C++ need a clang: with --clang it is installed where that is possible, and
 * without one they are left out.
 */
import { createHash } from "node:crypto";
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, dirname, extname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Transform } from "assemblyscript/asc";
import EntryPointsTransform from "../guest-sdk/transform.ts";
import {
  C_HEADERS,
  type Clang,
  clangAdvice,
  clangOptionsOf,
  compileSideModule,
  compileWithClang,
  findClang,
  installedClang,
  sideModuleOptionsOf,
} from "./clang.ts";

const FUNCTIONS = dirname(fileURLToPath(import.meta.url));
const ROOT = dirname(FUNCTIONS);
const SDK = join(ROOT, "guest-sdk", "assembly");
const TRANSFORM = join(ROOT, "guest-sdk", "transform.ts");
/** Without a collector: a call's memory is dropped as a whole. */
const COMPILER_OPTIONS = ["--optimizeLevel", "3", "--shrinkLevel", "1", "--runtime", "stub", "--exportTable"];

export interface SampleFunction {
  readonly name: string;
  readonly language: "AssemblyScript" | "C" | "C++";
  /** Folder below functions/; also the tenant that the guides upload it to, for "ndp". */
  readonly folder: string;
  readonly sourcePath: string;
  readonly wasmPath: string;
  /** Not uploaded as a function, but opened by one. */
  readonly isSideModule: boolean;
}

export interface BuiltFunction extends SampleFunction {
  readonly sizeBytes: number;
  /** False when sources, SDK and compiler are those of the last build. */
  readonly rebuilt: boolean;
}

/** All sample functions, by folder and name. */
export function sampleFunctions(): readonly SampleFunction[] {
  return globSync(["*/assembly/*.ts", "*/src/*.{c,cpp}", "*/side/*.{c,cpp}"], { cwd: FUNCTIONS })
    .sort()
    .flatMap((source) => {
      const folder = dirname(dirname(source));
      const file = basename(source, extname(source));
      const hasIndex = existsSync(join(FUNCTIONS, folder, "assembly", "index.ts"));
      if (hasIndex && file !== "index") {
        return [];
      }
      const name = hasIndex ? folder : file;
      const language = LANGUAGES[extname(source)] ?? "AssemblyScript";
      const wasmPath = join(FUNCTIONS, folder, "build", `${name}.wasm`);
      const isSideModule = basename(dirname(source)) === "side";
      return [{ name, language, folder, sourcePath: join(FUNCTIONS, source), wasmPath, isSideModule }];
    });
}

const LANGUAGES: Readonly<Record<string, SampleFunction["language"]>> = { ".c": "C", ".cpp": "C++" };

/**
 * Builds what has changed, in the order of `sampleFunctions`; without `clang` what is in C or C++ is left out. Two builds at once do
 * no harm: files appear whole.
 *
 * @throws Error with the compiler's messages
 */
export async function buildFunctions({
  force,
  clang = findClang(),
}: {
  readonly force: boolean;
  readonly clang?: Clang | null;
}): Promise<readonly BuiltFunction[]> {
  const samples = sampleFunctions().filter(({ language }) => language === "AssemblyScript" || clang !== null);
  const built: BuiltFunction[] = [];
  const lane = async (next: IterableIterator<[number, SampleFunction]>) => {
    for (const [at, sample] of next) {
      built[at] = await buildFunction(sample, clang, force);
    }
  };
  const [own = [], ofClang = []] = [true, false].map((isOwn) =>
    [...samples.entries()].filter(([, { language }]) => (language === "AssemblyScript") === isOwn),
  );
  // AssemblyScript's compiler runs in this thread, clang in processes.
  const next = ofClang.values();
  await Promise.all([lane(own.values()), ...Array.from({ length: availableParallelism() }, () => lane(next))]);
  return built;
}

async function buildFunction(sample: SampleFunction, clang: Clang | null, force: boolean): Promise<BuiltFunction> {
  const { wasmPath } = sample;
  const stampPath = `${wasmPath}.stamp`;
  const stamp = hashInputs(sample, clang);
  const current = existsSync(wasmPath) && existsSync(stampPath) && readFileSync(stampPath, "utf8") === stamp;
  const rebuilt = force || !current;
  if (rebuilt) {
    mkdirSync(dirname(wasmPath), { recursive: true });
    writeWhole(wasmPath, await compileSample(sample, clang));
    writeWhole(stampPath, stamp);
  }
  return { ...sample, rebuilt, sizeBytes: readFileSync(wasmPath).byteLength };
}

function compileSample(sample: SampleFunction, clang: Clang | null): Promise<Uint8Array> {
  const { language, sourcePath, isSideModule } = sample;
  if (isSideModule) {
    return compileSideModule(clang, sourcePath);
  }
  const options = ownOptions(sample);
  return language === "AssemblyScript" ? compileFunction(sourcePath, options) : compileWithClang(clang, sourcePath, options);
}

/** Compiles one AssemblyScript file. `extraOptions` come last and win. @throws Error with the compiler's messages */
export async function compileFunction(sourcePath: string, extraOptions: readonly string[] = []): Promise<Uint8Array> {
  const { default: asc } = await import("assemblyscript/asc");
  const stderr = asc.createMemoryStream();
  let wasm: Uint8Array | null = null;
  const { error } = await asc.main(
    [relative(ROOT, sourcePath), "--baseDir", ROOT, "--outFile", "out.wasm", ...COMPILER_OPTIONS, ...extraOptions],
    {
      stderr,
      // A class is as good as an object, although its types do not say so.
      transforms: [EntryPointsTransform as unknown as Transform],
      writeFile: (_name, contents) => {
        if (typeof contents !== "string") {
          wasm = contents;
        }
      },
    },
  );
  if (error !== null || wasm === null) {
    throw new Error(`${relative(ROOT, sourcePath)} does not compile:\n${stderr.toString()}`, { cause: error });
  }
  return wasm;
}

/** What the sample's compiler-options.json lists. */
function ownOptions({ folder }: SampleFunction): readonly string[] {
  const path = join(FUNCTIONS, folder, "compiler-options.json");
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : [];
}

function hashInputs(sample: SampleFunction, clang: Clang | null): string {
  const { language, sourcePath, isSideModule } = sample;
  const isAssembly = language === "AssemblyScript";
  const clangOptions = isSideModule ? sideModuleOptionsOf(sourcePath) : clangOptionsOf(sourcePath);
  const tools = isAssembly ? COMPILER_OPTIONS : [clang?.version, ...clangOptions];
  const own = isSideModule ? [] : ownOptions(sample);
  const hash = createHash("sha256").update([...tools, ...own].join(" "));
  const compiler = isAssembly ? [join(ROOT, "node_modules", "assemblyscript", "package.json"), TRANSFORM] : [];
  const ownFolder = dirname(sourcePath);
  const shared: readonly [folder: string, pattern: string][] = isAssembly
    ? [
        [SDK, "**/*.ts"],
        [ownFolder, "**/*.ts"],
      ]
    : [
        [C_HEADERS, "**/*"],
        [ownFolder, "*/**/*"],
      ];
  const sources = shared.flatMap(([folder, pattern]) =>
    globSync(pattern, { cwd: folder })
      .sort()
      .map((path) => join(folder, path))
      .filter((path) => statSync(path).isFile()),
  );
  for (const path of [...compiler, sourcePath, ...sources]) {
    hash.update(`\n${path.slice(ROOT.length)}\n`).update(readFileSync(path));
  }
  return hash.digest("hex");
}

function writeWhole(path: string, contents: Uint8Array | string): void {
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, contents);
  renameSync(temporary, path);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    const clang = process.argv.includes("--clang") ? installedClang(console.log) : findClang();
    for (const { name, folder, sizeBytes, rebuilt } of await buildFunctions({ force: process.argv.includes("--force"), clang })) {
      console.log(`${rebuilt ? "built" : "kept "}  ${folder}/build/${name}.wasm  ${sizeBytes} bytes`);
    }
    if (clang === null) {
      console.log(`left out: the samples in C and C++, as ${clangAdvice()}`);
    }
  } catch (error) {
    // A mistake in a function is the author's, and the stack is ours.
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 1;
  }
}
