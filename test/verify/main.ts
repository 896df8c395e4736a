/**
 * `npm run verify`: random programs over durable counters against started hosts that are killed again and again. Exits with 1 when
 * a counter is not what the model says, or a call does not end.
 */
import { join } from "node:path";
import { Option } from "commander";
import { compileFunction } from "../../functions/build.ts";
import { above0, choiceOf, commandOf, count } from "../support/command-line.ts";
import { removeFolder, temporaryFolder } from "../support/host-process.ts";
import { prng } from "../support/prng.ts";
import { SideEffects } from "./side-effects.ts";
import { VARIANTS, type Variant } from "./variants.ts";
import { Verification, type VerificationOptions } from "./verification.ts";

const FLAGS = ["--log-level", "error", "--recovery-attempts-max", "1000", "--recovery-scan-interval-ms", "100"];
const PROGRESS_MS = 5_000;

interface Options extends Omit<VerificationOptions, "protocol" | "switches"> {
  readonly variants: readonly Variant[];
}

function readOptions(): Options {
  const listed = VARIANTS.map(({ name, what }) => ({ name, text: what }));
  const given = commandOf(
    "verify",
    "Random programs over durable counters, against hosts that are killed again and again.",
    listed,
  )
    .addOption(choiceOf("--variants <name,...>", "these alone", VARIANTS))
    .option("--seconds <n>", "how long programs are sent to each variant", above0, 60)
    .option("--counters <n>", "counters they are spread over", count, 100_000)
    .option("--clients <n>", "programs at once", count, 16)
    .option("--stuck-seconds <n>", "without any call ending, the run has failed", above0, 60)
    .addOption(
      new Option("--seed <n>", "programs and kills are drawn from it")
        .argParser(count)
        .default(1 + (Date.now() % 1_000_000), "another one each time"),
    )
    .parse()
    .opts<{ variants: Variant[]; seconds: number; counters: number; clients: number; stuckSeconds: number; seed: number }>();
  const { variants, seconds, counters, clients, stuckSeconds, seed } = given;
  return { variants, durationMs: seconds * 1000, counters, clients, stuckAfterMs: stuckSeconds * 1000, seed };
}

async function verify(variant: Variant, layer: Uint8Array, options: Options): Promise<void> {
  const folder = temporaryFolder("verify");
  const { protocol, switches } = variant;
  const effects = await SideEffects.open(prng(options.seed));
  const flags = [...FLAGS, "--egress-allow", effects.place, "--egress-allow-private"];
  const deployment = await variant.start(folder, flags);
  let nextMs = performance.now() + PROGRESS_MS;
  try {
    const verified = await new Verification(deployment, effects, { ...options, protocol, switches }).run(
      layer,
      (calls, kills) => {
        if (performance.now() > nextMs) {
          nextMs += PROGRESS_MS;
          process.stdout.write(`${variant.name}: ${calls} calls have ended, ${kills} kills\n`);
        }
      },
    );
    const { calls, kills, touched, sum } = verified;
    const beside = `${verified.effects} requests were carried out once, after ${effects.failed} that failed`;
    process.stdout.write(
      `${variant.name}: ok. ${calls} calls, ${kills} kills; ${touched} counters hold ${sum}, as they must; ${beside}\n`,
    );
  } finally {
    await deployment.close();
    effects.close();
    removeFolder(folder);
  }
}

const options = readOptions();
const layer = await compileFunction(join(import.meta.dirname, "assembly", "layer.ts"));
process.stdout.write(`seed ${options.seed}\n`);
for (const variant of options.variants) {
  await verify(variant, layer, options).catch((error: unknown) => {
    process.exitCode = 1;
    process.stdout.write(
      `${variant.name}: FAILED with seed ${options.seed}. ${error instanceof Error ? error.message : error}\n`,
    );
  });
}
