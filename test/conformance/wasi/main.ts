/**
 * `npm run conformance:wasi -- DIR`: runs all cases in a folder, and those below it, by `neap run` and as calls of a host of its own. The
 * folder has the shape of WebAssembly/wasi-testsuite. Exits with 1 when a case does not pass.
 */
import { resolve } from "node:path";
import { type Case, casesIn, cleanUp, differences, type Ended } from "./cases.ts";
import { CallRunner, runByCommand, unfitForCalls } from "./runners.ts";

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  process.stderr.write("usage: npm run conformance:wasi -- <folder of cases>\n");
  process.exit(2);
}
const cases = casesIn(folder);
if (cases.length === 0) {
  process.stderr.write(`there is no .wasm in ${resolve(folder)}\n`);
  process.exit(2);
}

type Run = (one: Case) => Promise<Ended> | Ended;

/** What is not as the case expects it: also that it could not be run. */
async function verdict(one: Case, run: Run): Promise<readonly string[]> {
  cleanUp(one);
  try {
    return differences(one, await run(one));
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  } finally {
    cleanUp(one);
  }
}

/** @returns whether all pass */
async function runAll(where: string, chosen: readonly Case[], run: Run): Promise<boolean> {
  let passed = 0;
  for (const one of chosen) {
    const found = await verdict(one, run);
    passed += found.length === 0 ? 1 : 0;
    for (const difference of found) {
      process.stdout.write(`${where}: ${one.name}: ${difference}\n`);
    }
  }
  process.stdout.write(`${where}: ${passed} of ${chosen.length} pass\n`);
  return passed === chosen.length;
}

async function runCalls(): Promise<boolean> {
  const fit = cases.filter((one) => {
    const reason = unfitForCalls(one);
    if (reason !== undefined) {
      process.stdout.write(`calls: ${one.name} is left out: ${reason}\n`);
    }
    return reason === undefined;
  });
  await using calls = await CallRunner.start();
  return await runAll("calls", fit, (one) => calls.run(one));
}

const all = [await runAll("neap run", cases, runByCommand), await runCalls()];
process.exitCode = all.every(Boolean) ? 0 : 1;
