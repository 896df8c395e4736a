/** A large English text, the same at every run with the same dependencies. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../support/host-process.ts";

/**
 * The prose that the dependencies bring along (read-me files, licences, change logs), one after the other, over and over. English
 * with code and addresses in between, so word frequencies fall off as in any text, and the vocabulary is real.
 */
export function englishText(sizeBytes: number): Uint8Array {
  const folder = join(ROOT, "node_modules");
  const paths = globSync("**/*.md", { cwd: folder }).concat(globSync("**/LICENSE*", { cwd: folder }));
  const files = [...new Set(paths)].sort().map((path) => readFileSync(join(folder, path)));
  const once = Buffer.concat(files.flatMap((file) => [file, Buffer.from("\n")]));
  return Buffer.alloc(sizeBytes, once);
}
