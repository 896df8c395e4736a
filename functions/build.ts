/**
 * Builds the sample functions: `node functions/build.ts [--force]`.
 *
 * A folder with assembly/index.ts is one function of the folder's name; in a folder without, each file of assembly/ is one, and
 * shared code lies in folders below; compiler-options.json, where there is one, has further options of the compiler. The result is <folder>/build/<name>.wasm, beside a stamp with a hash of all that went in.
 */
import { createHash } from "node:crypto";
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const FUNCTIONS = dirname(fileURLToPath(import.meta.url));
const ROOT = dirname(FUNCTIONS);
const SDK = join(ROOT, "guest-sdk", "assembly");
/** Without a collector: a call's memory is dropped as a whole. */
const COMPILER_OPTIONS = ["--optimizeLevel", "3", "--shrinkLevel", "1", "--runtime", "stub", "--exportTable"];

export interface SampleFunction {
  readonly name: string;
  /** Folder below functions/; also the tenant that the guides upload it to, for "ndp". */
  readonly folder: string;
  readonly sourcePath: string;
  readonly wasmPath: string;
}

export interface BuiltFunction extends SampleFunction {
  readonly sizeBytes: number;
  /** False when sources, SDK and compiler are those of the last build. */
  readonly rebuilt: boolean;
}

/** All sample functions, by folder and name. */
export function sampleFunctions(): readonly SampleFunction[] {
  return globSync("*/assembly/*.ts", { cwd: FUNCTIONS })
    .sort()
    .flatMap((source) => {
      const folder = dirname(dirname(source));
      const file = basename(source, ".ts");
      const hasIndex = existsSync(join(FUNCTIONS, folder, "assembly", "index.ts"));
      if (hasIndex && file !== "index") {
        return [];
      }
      const name = hasIndex ? folder : file;
      return [{ name, folder, sourcePath: join(FUNCTIONS, source), wasmPath: join(FUNCTIONS, folder, "build", `${name}.wasm`) }];
    });
}

/**
 * Builds what has changed. Two builds at once do no harm: files appear whole.
 *
 * @throws Error with the compiler's messages
 */
export async function buildFunctions(options: { readonly force: boolean }): Promise<readonly BuiltFunction[]> {
  const built: BuiltFunction[] = [];
  for (const sample of sampleFunctions()) {
    const stampPath = `${sample.wasmPath}.stamp`;
    const stamp = hashInputs(sample);
    const current = existsSync(sample.wasmPath) && existsSync(stampPath) && readFileSync(stampPath, "utf8") === stamp;
    const rebuilt = options.force || !current;
    if (rebuilt) {
      mkdirSync(dirname(sample.wasmPath), { recursive: true });
      writeWhole(sample.wasmPath, await compileFunction(sample.sourcePath, ownOptions(sample)));
      writeWhole(stampPath, stamp);
    }
    built.push({ ...sample, rebuilt, sizeBytes: readFileSync(sample.wasmPath).byteLength });
  }
  return built;
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

function hashInputs(sample: SampleFunction): string {
  const hash = createHash("sha256").update([...COMPILER_OPTIONS, ...ownOptions(sample)].join(" "));
  const compiler = join(ROOT, "node_modules", "assemblyscript", "package.json");
  const sources = [SDK, join(FUNCTIONS, sample.folder, "assembly")].flatMap((folder) =>
    globSync("**/*.ts", { cwd: folder })
      .sort()
      .map((path) => join(folder, path)),
  );
  for (const path of [compiler, ...sources]) {
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
    for (const { name, folder, sizeBytes, rebuilt } of await buildFunctions({ force: process.argv.includes("--force") })) {
      console.log(`${rebuilt ? "built" : "kept "}  ${folder}/build/${name}.wasm  ${sizeBytes} bytes`);
    }
  } catch (error) {
    // A mistake in a function is the author's, and the stack is ours.
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 1;
  }
}
