/** Migratable artefacts of guests, and pools in which they run. */
import { extname } from "node:path";
import { compileFunction } from "../../functions/build.ts";
import { compileWithClang, findClang } from "../../functions/clang.ts";
import { abiTable } from "../../host/abi/abi-table.ts";
import { importsUrl } from "../../host/abi/imports-url.ts";
import type { Artefact } from "../../host/modules/artefact.ts";
import { decodeArtefact } from "../../host/modules/artefact-codec.ts";
import { NO_REWRITING, type RewritingOptions } from "../../host/modules/index.ts";
import { createSandboxPool, type SandboxPool } from "../../host/sandbox/index.ts";
import { prepareOnce } from "../support/upload-once.ts";

const LIMITS = { moduleMaxBytes: 16 << 20, memoryMaxPages: 4096, tableMaxElements: 65_536, uploadTimeoutMs: 120_000 };
const clock = { now: () => Date.now(), monotonic: () => performance.now() };

export const RUNTIMES = ["stub", "minimal", "incremental"] as const;

/** The guest as an upload makes it; `runtime` is that of AssemblyScript. */
export async function uploadedGuest(
  sourcePath: string,
  runtime: (typeof RUNTIMES)[number] = "stub",
  rewriting: RewritingOptions = { ...NO_REWRITING, migratable: true },
): Promise<Artefact> {
  const isAssembly = extname(sourcePath) === ".ts";
  const compiled = isAssembly ? compileFunction(sourcePath, ["--runtime", runtime]) : compileWithClang(findClang(), sourcePath);
  const { hash, artefact } = await prepareOnce(Uint8Array.from(await compiled).buffer, abiTable, LIMITS, rewriting);
  return decodeArtefact(artefact, hash);
}

export function openPool(name: string): Promise<SandboxPool> {
  return createSandboxPool({ name, importsUrl, clock, workers: 1 });
}
