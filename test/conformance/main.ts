/**
 * `npm run conformance:wast -- DIR`: runs all scripts in a folder, and those below it, plain and as an upload rewrites their modules.
 * Scripts are JSON as wabt's `wast2json` writes it, or text (.wast). Exits with 1 when a rewritten module does something else.
 */
import { globSync } from "node:fs";
import { join, resolve } from "node:path";
import { compare } from "./conformance.ts";
import { Rewriter } from "./rewriter.ts";
import type { Verdict } from "./run-script.ts";
import { readScript } from "./script.ts";
import { readWast } from "./wast-text.ts";

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  process.stderr.write("usage: npm run conformance:wast -- <folder of scripts>\n");
  process.exit(2);
}
const paths = globSync("**/*.{json,wast}", { cwd: folder }).sort();
if (paths.length === 0) {
  process.stderr.write(`there is no .json and no .wast in ${resolve(folder)}\n`);
  process.exit(2);
}

const count = (verdicts: readonly Verdict[], passed: boolean | undefined) =>
  verdicts.filter((verdict) => verdict.passed === passed).length;

let failed = 0;
await using rewriter = new Rewriter();
for (const path of paths) {
  const file = join(folder, path);
  try {
    const { plain, comparisons } = await compare(path.endsWith(".json") ? readScript(file) : readWast(file), rewriter);
    const { verdicts } = plain;
    const [held, not, open] = [count(verdicts, true), count(verdicts, false), count(verdicts, undefined)];
    process.stdout.write(
      `${path}: ${held} hold, ${not} do not hold in this engine, ${open} cannot be said through its interface\n`,
    );
    for (const { variant, run, differences } of comparisons) {
      failed += differences.length;
      process.stdout.write(`  ${variant}: ${differences.length} differ, ${run.refusals.length} modules are refused\n`);
      for (const { before, after } of differences) {
        process.stdout.write(`    line ${before.line}, ${before.type}: ${before.outcome}; rewritten: ${after.outcome}\n`);
      }
    }
  } catch (error) {
    failed += 1;
    process.stdout.write(`${path}: ${error instanceof Error ? error.message : error}\n`);
  }
}
process.stdout.write(failed === 0 ? "no difference\n" : `${failed} differences or failures\n`);
process.exitCode = failed === 0 ? 0 : 1;
