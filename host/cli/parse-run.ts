/** The command line of `neap run`. */
import { Command, CommanderError } from "commander";
import { NeapError } from "../../state/errors.ts";
import { quote } from "../../state/ids.ts";
import type { MappedFolder, Program } from "./run-program.ts";

export type ParsedRun = { readonly kind: "run"; readonly program: Program } | { readonly kind: "help"; readonly text: string };

const BETWEEN = "::";

/** @throws BAD_OPTION  unknown option, no file, a --dir or --env that is none */
export function parseRun(argv: readonly string[]): ParsedRun {
  const command = new Command("neap run")
    .usage("[options] <file.wasm> [arguments…]")
    .description("Runs a WASI program here, with the streams of this process, and ends with its exit code.")
    .argument("<file>")
    .argument("[arguments...]")
    .option(
      `--dir <host[${BETWEEN}guest]>`,
      "a folder that the program may use, and what it is called there; again for more",
      collect,
      [],
    )
    .option("--env <KEY=value>", "a variable of its environment, which is empty otherwise; again for more", collect, [])
    .helpOption("-h, --help", "show this text")
    .passThroughOptions()
    .exitOverride()
    .configureOutput({ writeOut() {}, writeErr() {} });
  try {
    command.parse(argv, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError && error.code === "commander.helpDisplayed") {
      return { kind: "help", text: command.helpInformation() };
    }
    if (error instanceof CommanderError) {
      throw new NeapError("BAD_OPTION", `${error.message.replace(/^error: /, "").replace(/\n/g, " ")}; --help lists the options`);
    }
    throw error;
  }
  const [file = "", ...args] = command.args;
  const { dir, env } = command.opts<{ dir: readonly string[]; env: readonly string[] }>();
  return { kind: "run", program: { file, args, environment: env.map(checkVariable), folders: dir.map(mappedFolder) } };
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

function mappedFolder(text: string): MappedFolder {
  const at = text.indexOf(BETWEEN);
  const host = at < 0 ? text : text.slice(0, at);
  const guest = at < 0 ? text : text.slice(at + BETWEEN.length);
  if (host === "" || guest === "" || text.includes("\0")) {
    throw new NeapError("BAD_OPTION", `--dir is ${quote(text)}, must be a folder, or a folder, ${BETWEEN} and a name`);
  }
  return { host, guest };
}

function checkVariable(text: string): string {
  if (text.indexOf("=") < 1 || text.includes("\0")) {
    throw new NeapError("BAD_OPTION", `--env is ${quote(text)}, must be KEY=value`);
  }
  return text;
}
