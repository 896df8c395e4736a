/** The reference page docs/reference/configuration.md, made from the table of options. `npm run docs` writes it. */
import { flagName, OPTION_NAMES, OPTIONS, type OptionName, type OptionSpec, variableName } from "./options.ts";

export function configurationPage(): string {
  const groups = [...new Set(OPTION_NAMES.map((name) => OPTIONS[name].group))];
  return `${[HEAD, ...groups.map(section)].join("\n\n")}\n`;
}

const HEAD = `<!-- Made from host/config/options.ts by \`npm run docs\`. Change that file, not this page. -->
# Configuration

Every option is a flag and an environment variable. A flag wins over the environment, the environment over the default; an empty value
counts as not given. Unknown flags, unknown variables that begin with \`NEAP_\`, and values out of range end the start with \`BAD_OPTION\`.

\`\`\`sh
npm start -- --port 9000 --data-directory /srv/neap
NEAP_PORT=9000 NEAP_DATA_DIRECTORY=/srv/neap npm start
npm start -- --help
\`\`\`

[deploy/config/neap.env](../../deploy/config/neap.env) has all of them as variables, commented out.`;

function section(group: string): string {
  const names = OPTION_NAMES.filter((name) => OPTIONS[name].group === group);
  const head = [`## ${group}`, "", "| option | values | default | meaning |", "|---|---|---|---|"];
  return [...head, ...names.map(row)].join("\n");
}

function row(name: OptionName): string {
  const { shape, preset, help, variableOnly }: OptionSpec = OPTIONS[name];
  const names = variableOnly ? `\`${variableName(name)}\`` : `\`${flagName(name)}\`<br>\`${variableName(name)}\``;
  return `| ${[names, shape.range, defaultOf(preset), help].map(cell).join(" | ")} |`;
}

function defaultOf(preset: OptionSpec["preset"]): string {
  if (typeof preset !== "string") {
    return "depends on the machine";
  }
  return preset === "" ? "" : `\`${preset}\``;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll(/<(?!br>)/g, "&lt;");
}
