/** `npm run fuzz`. */
import { buildFunctions } from "../../functions/build.ts";
import { commandOf, count } from "../support/command-line.ts";
import { fuzz } from "./fuzz.ts";

const { runs, seed } = commandOf("fuzz", "Uploads and calls random modules on a host, while another tenant calls it.")
  .option("--runs <n>", "how many modules", count, 1000)
  .option(
    "--seed <n>",
    "from which they follow; another one each time when it is left out",
    count,
    1 + (Date.now() % 999_999_999),
  )
  .parse()
  .opts<{ runs: number; seed: number }>();

await buildFunctions({ force: false });
process.stdout.write(`seed ${seed}\n`);
const onRun = (done: number) => {
  if (done % 100 === 0) {
    process.stdout.write(`${done} modules\n`);
  }
};
const { answers } = await fuzz({ runs, seed, onRun });
for (const [code, times] of [...answers].sort((left, right) => right[1] - left[1])) {
  process.stdout.write(`${code.padEnd(24)}${times}\n`);
}
