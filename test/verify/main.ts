/**
 * `npm run verify`: random programs over durable counters against started hosts that are killed again and again. Exits with 1 when
 * a counter is not what the model says, or a call does not end.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { compileFunction } from "../../functions/build.ts";
import { removeFolder, temporaryFolder } from "../support/host-process.ts";
import { VARIANTS, type Variant } from "./variants.ts";
import { Verification, type VerificationOptions } from "./verification.ts";

const FLAGS = ["--log-level", "error", "--recovery-attempts-max", "1000", "--recovery-scan-interval-ms", "100"];
const PROGRESS_MS = 5_000;

interface Options extends Omit<VerificationOptions, "protocol" | "switches"> {
  readonly variants: readonly Variant[];
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      help: { type: "boolean", short: "h", default: false },
      variants: { type: "string", default: VARIANTS.map(({ name }) => name).join(",") },
      seconds: { type: "string", default: "60" },
      counters: { type: "string", default: "100000" },
      clients: { type: "string", default: "16" },
      "stuck-seconds": { type: "string", default: "60" },
      seed: { type: "string", default: String(Date.now() % 1_000_000) },
    },
  });
  if (values.help) {
    process.stdout.write(helpText());
    process.exit(0);
  }
  return {
    variants: values.variants.split(",").map(variantNamed),
    durationMs: positive("seconds", values.seconds) * 1000,
    counters: whole("counters", values.counters),
    clients: whole("clients", values.clients),
    stuckAfterMs: positive("stuck-seconds", values["stuck-seconds"]) * 1000,
    seed: whole("seed", values.seed),
  };
}

function variantNamed(name: string): Variant {
  const found = VARIANTS.find((one) => one.name === name);
  if (found === undefined) {
    throw new Error(`--variants names ${JSON.stringify(name)}; there are ${VARIANTS.map((one) => one.name).join(", ")}`);
  }
  return found;
}

function positive(flag: string, value: string): number {
  if (!(Number(value) > 0)) {
    throw new Error(`--${flag} is ${JSON.stringify(value)}, must be a number above 0`);
  }
  return Number(value);
}

function whole(flag: string, value: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(value)) {
    throw new Error(`--${flag} is ${JSON.stringify(value)}, must be a whole number above 0`);
  }
  return Number(value);
}

function helpText(): string {
  const width = Math.max(...VARIANTS.map(({ name }) => name.length));
  return `Usage: npm run verify -- [options]

  --variants <name,...>  these alone
  --seconds <n>          how long programs are sent to each variant (default 60)
  --counters <n>         counters they are spread over (default 100000)
  --clients <n>          programs at once (default 16)
  --stuck-seconds <n>    without any call ending, the run has failed (default 60)
  --seed <n>             programs and kills are drawn from it; by default another one each time

${VARIANTS.map(({ name, what }) => `  ${name.padEnd(width)}  ${what}`).join("\n")}
`;
}

async function verify(variant: Variant, layer: Uint8Array, options: Options): Promise<void> {
  const folder = temporaryFolder("verify");
  const { protocol, switches } = variant;
  const deployment = await variant.start(folder, FLAGS);
  let nextMs = performance.now() + PROGRESS_MS;
  try {
    const verified = await new Verification(deployment, { ...options, protocol, switches }).run(layer, (calls, kills) => {
      if (performance.now() > nextMs) {
        nextMs += PROGRESS_MS;
        process.stdout.write(`${variant.name}: ${calls} calls have ended, ${kills} kills\n`);
      }
    });
    const { calls, kills, touched, sum } = verified;
    process.stdout.write(`${variant.name}: ok. ${calls} calls, ${kills} kills; ${touched} counters hold ${sum}, as they must\n`);
  } finally {
    await deployment.close();
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
