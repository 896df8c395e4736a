/** Options of the commands of a checkout: `npm run bench`, `figures`, `verify`, `sim`, `mutate`, `fuzz`. */
import { Command, InvalidArgumentError, Option } from "commander";

export interface Listed {
  readonly name: string;
  readonly text: string;
}

/** `--help` prints all of it and exits with 0; a mistake in the options prints one line, how to get help, and exits with 1. */
export function commandOf(script: string, does: string, listed: readonly Listed[] = []): Command {
  const width = Math.max(0, ...listed.map(({ name }) => name.length));
  const lines = listed.map(({ name, text }) => `  ${name.padEnd(width)}  ${text}\n`);
  return new Command(`npm run ${script} --`)
    .description(does)
    .helpOption("-h, --help", "show this text")
    .allowExcessArguments(false)
    .configureHelp({ helpWidth: 110 })
    .showHelpAfterError("--help lists the options")
    .addHelpText("after", lines.length === 0 ? "" : `\n${lines.join("")}`);
}

/** `--flag <name,...>`: some of `things` in the order that is given; without it all. */
export function choiceOf<T extends { readonly name: string }>(flags: string, what: string, things: readonly T[]): Option {
  const named = (name: string): T => {
    const found = things.find((one) => one.name === name);
    if (found === undefined) {
      throw new InvalidArgumentError(
        `There is no ${JSON.stringify(name)}, there are ${things.map((one) => one.name).join(", ")}.`,
      );
    }
    return found;
  };
  return new Option(flags, what).argParser((value) => value.split(",").map(named)).default(things, "all");
}

export function above0(value: string): number {
  if (!(Number(value) > 0 && Number(value) < Number.POSITIVE_INFINITY)) {
    throw new InvalidArgumentError("It must be a number above 0.");
  }
  return Number(value);
}

export function count(value: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(value)) {
    throw new InvalidArgumentError("It must be a whole number above 0, of 9 digits at most.");
  }
  return Number(value);
}
