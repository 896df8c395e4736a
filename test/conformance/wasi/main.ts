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

/** @returns whether all pass */
async function runAll(where: string, chosen: readonly Case[], run: (one: Case) => Promise<Ended> | Ended): Promise<boolean> {
  let passed = 0;
  for (const one of chosen) {
    cleanUp(one);
    const found = differences(one, await run(one));
    cleanUp(one);
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
