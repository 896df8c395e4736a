/** The sample file deploy/config/neap.env, made from the table of options by `npm run docs`. */
import { type Machine, OPTION_NAMES, OPTIONS, preset, variableName } from "./options.ts";

const ANY_MACHINE: Machine = { hostName: "node-1", cores: 2, readText: () => "" };

/** Every option, commented out, with its meaning, range and default; for two cores where that matters. */
export function sampleEnvironment(): string {
  const lines = [
    "# Neap: every option as an environment variable, commented out with its default. Each is also a flag,",
    "# NEAP_MODULE_MAX_BYTES is --module-max-bytes, but for the secret NEAP_CLUSTER_KEY. Flags win over the environment; unknown NEAP_ variables are refused.",
    "#",
    "# Use: set -a; . deploy/config/neap.env; set +a; npm start",
  ];
  let group = "";
  for (const name of OPTION_NAMES) {
    const option = OPTIONS[name];
    if (option.group !== group) {
      group = option.group;
      lines.push("", `# ---- ${group} ----`);
    }
    const machine = typeof option.preset === "string" ? "" : "; the default depends on the machine";
    lines.push("", `# ${option.help}`, `# (${option.shape.range}${machine})`);
    lines.push(`# ${variableName(name)}=${preset(name, ANY_MACHINE)}`);
  }
  return `${lines.join("\n")}\n`;
}
