/** From flags, environment and defaults to a ResolvedConfig. The only place that knows where a value came from. */
import { readFileSync } from "node:fs";
import { availableParallelism, hostname } from "node:os";
import { Command, CommanderError } from "commander";
import manifest from "../../package.json" with { type: "json" };
import { NeapError } from "../../state/errors.ts";
import { isName, NAME_RULE, quote } from "../../state/ids.ts";
import type { Shape } from "../../state/shape.ts";
import { ALLOW_ENTRY_RULE, type AllowList, allowEntry } from "../egress/index.ts";
import { readTenants, type TenantsFile } from "../tenancy/index.ts";
import { ADMIN, type ResolvedConfig } from "./config.ts";
import {
  flagName,
  type Machine,
  OPTION_NAMES,
  OPTIONS,
  type OptionName,
  type OptionValues,
  preset,
  variableName,
} from "./options.ts";

/** Thrown for `--help` and `--version`: `text` is to be printed and the process to end with 0. */
export class HelpAsked extends Error {
  override name = "HelpAsked";
  readonly text: string;
  constructor(text: string) {
    super("help was asked for");
    this.text = text;
  }
}

export const CLUSTER_KEY_MIN_CHARACTERS = 16;

const thisMachine: Machine = {
  hostName: isName(hostname()) ? hostname() : "node",
  cores: availableParallelism(),
  readText: (path) => readFileSync(path, "utf8"),
};

/**
 * Flags before environment (`NEAP_*`) before defaults; an empty value counts as not given.
 *
 * @param argv  without the interpreter and the script
 * @throws BAD_OPTION  unknown flag or NEAP_ variable, value out of range, options that contradict each other, unreadable file
 * @throws HelpAsked  for `--help` and `--version`
 */
export function parseConfig(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  machine: Machine = thisMachine,
): ResolvedConfig {
  const flags = readFlags(argv, machine);
  const variables = readVariables(env);
  const values: Partial<Record<OptionName, unknown>> = {};
  for (const name of OPTION_NAMES) {
    const fromFlag = flags[name];
    const fromVariable = variables.get(name);
    if (fromFlag !== undefined && fromFlag !== "") {
      values[name] = convert(name, flagName(name), fromFlag);
    } else if (fromVariable !== undefined && fromVariable !== "") {
      values[name] = convert(name, variableName(name), fromVariable);
    } else {
      values[name] = convert(name, flagName(name), preset(name, machine));
    }
  }
  return resolve(values as OptionValues, machine);
}

/** The text of `--help`. */
export function helpText(machine: Machine = thisMachine): string {
  return command(machine).helpInformation() + HELP_TAIL;
}

function command(machine: Machine): Command {
  const program = new Command("neap")
    .usage("[options]")
    .description("Hosts stateful WebAssembly functions: what a call did to its state happened exactly once.")
    .helpOption("-h, --help", "show this text")
    .version(manifest.version, "-v, --version", "show the version")
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeOut() {}, writeErr() {} })
    .configureHelp({ helpWidth: 110 });
  for (const name of OPTION_NAMES) {
    const { shape, help, group, variableOnly } = OPTIONS[name];
    if (variableOnly) {
      continue;
    }
    const range = shape.range;
    const argument = range === "true | false" ? "[boolean]" : "<value>";
    const standard = preset(name, machine);
    const note = `(${range}${standard === "" ? "" : `; default ${standard}`})`;
    program.optionsGroup(`${group}:`).option(`${flagName(name)} ${argument}`, `${help} ${note}`);
  }
  return program;
}

const HELP_TAIL = `
Each option is also an environment variable: --module-max-bytes is NEAP_MODULE_MAX_BYTES. A flag wins over the environment.
Every option with its default: deploy/config/neap.env

Examples:
  neap                                                  one process, data in ./data, http://127.0.0.1:8080
  neap --port 9000 --data-directory /srv/neap           elsewhere
  neap --host 0.0.0.0 --tokens-file tokens.json         beyond loopback, with tokens
  neap --role storage --cluster-key-file key            the half that owns the log
  neap --role compute --cluster-key-file key --storage-url ws://127.0.0.1:7100 --port 8081
`;

function readFlags(argv: readonly string[], machine: Machine): Partial<Record<OptionName, string | true>> {
  const program = command(machine);
  try {
    program.parse(argv, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) {
      throw error;
    }
    if (error.code === "commander.helpDisplayed") {
      throw new HelpAsked(helpText(machine));
    }
    if (error.code === "commander.version") {
      throw new HelpAsked(`${manifest.version}\n`);
    }
    throw new NeapError("BAD_OPTION", `${error.message.replace(/^error: /, "").replace(/\n/g, " ")}; --help lists the options`);
  }
  return program.opts();
}

function readVariables(env: Readonly<Record<string, string | undefined>>): Map<OptionName, string> {
  const names = new Map(OPTION_NAMES.map((name) => [variableName(name), name]));
  const found = new Map<OptionName, string>();
  for (const [variable, value] of Object.entries(env)) {
    if (variable.startsWith("NEAP_") && value !== undefined) {
      const name = names.get(variable);
      if (name === undefined) {
        throw new NeapError("BAD_OPTION", `environment variable ${variable} is not an option; --help lists the options`);
      }
      found.set(name, value);
    }
  }
  return found;
}

function convert(name: OptionName, source: string, given: string | true): unknown {
  const { shape } = OPTIONS[name];
  const value = fromText(shape.kind, given);
  if (!shape.has(value)) {
    throw new NeapError("BAD_OPTION", `${source} is ${quote(String(given))}, must be: ${shape.range}`);
  }
  return value;
}

/** What cannot be converted is left as text, so that the shape refuses it. */
function fromText(kind: Shape<unknown>["kind"], given: string | true): unknown {
  switch (kind) {
    case "flag":
      return given === true || given === "true" || given === "1" ? true : given === "false" || given === "0" ? false : given;
    case "whole":
    case "number":
      return typeof given === "string" && /^[0-9]+(\.[0-9]+)?$/.test(given) ? Number(given) : given;
    case "list":
      return String(given)
        .split(",")
        .map((item) => item.trim())
        .filter((item) => item !== "");
    default:
      return given;
  }
}

function resolve(values: OptionValues, machine: Machine): ResolvedConfig {
  if (!isName(values.nodeName)) {
    throw new NeapError("BAD_OPTION", `--node-name is ${quote(values.nodeName)}, must be ${NAME_RULE}`);
  }
  const tokens = values.tokensFile === "" ? null : readTokens(values.tokensFile, machine);
  if (tokens === null && !values.insecureOpen && !isLoopback(values.host)) {
    throw new NeapError(
      "BAD_OPTION",
      `--host ${values.host} is reachable from other machines and there are no tokens: give --tokens-file, or --insecure-open if everyone may do everything`,
    );
  }
  for (const origin of values.corsOrigins) {
    if (!URL.canParse(origin) || new URL(origin).origin !== origin) {
      throw new NeapError("BAD_OPTION", `--cors-origins has ${quote(origin)}, must be origins like https://example.org`);
    }
  }
  const tenants: TenantsFile = values.tenantsFile === "" ? new Map() : readTenantsFile(values.tenantsFile, machine);
  return {
    role: values.role,
    nodeName: values.nodeName,
    dataDirectory: values.dataDirectory,
    logLevel: values.logLevel,
    graceMs: values.graceMs,
    host: values.host,
    port: values.port,
    aliasPort: values.aliasPort,
    access: { tokens, insecureOpen: values.insecureOpen, corsOrigins: values.corsOrigins, allowedHosts: values.allowedHosts },
    cluster: {
      listenHost: values.clusterListenHost,
      listenPort: values.clusterListenPort,
      key: readClusterKey(values, machine),
      storageUrl: readStorageUrl(values),
    },
    limits: {
      moduleMaxBytes: values.moduleMaxBytes,
      memoryMaxPages: values.memoryMaxPages,
      tableMaxElements: values.tableMaxElements,
      uploadTimeoutMs: values.uploadTimeoutMs,
      wallTimeMs: values.wallTimeMs,
      cpuTimeMs: values.cpuTimeMs,
      suspendAfterMs: values.suspendAfterMs,
      parkedMaxBytes: values.parkedMaxBytes,
      inputMaxBytes: values.inputMaxBytes,
      outputMaxBytes: values.outputMaxBytes,
      logMaxBytes: values.logMaxBytes,
      stateMaxBytes: values.stateMaxBytes,
      callMaxDepth: values.callMaxDepth,
      functionMaxSandboxes: values.functionMaxSandboxes,
      tenantMaxCalls: values.tenantMaxCalls,
      tenantMaxSandboxes: values.tenantMaxSandboxes,
      callMaxThreads: values.callMaxThreads,
      tenantMaxThreads: values.tenantMaxThreads,
      objectMaxBytes: values.objectMaxBytes,
      queuedMaxCalls: values.queuedMaxCalls,
      activeMaxCalls: values.activeMaxCalls,
    },
    regions: {
      tenantMaxBytes: values.regionsMaxBytes,
      totalMaxBytes: values.regionsTotalMaxBytes,
      idleMs: values.regionsIdleMs,
    },
    egress: {
      allow: readAllowList(values.egressAllow),
      allowOf: allowListsOf(tenants),
      allowPrivate: values.egressAllowPrivate,
      timeoutMs: values.egressTimeoutMs,
      answerMaxBytes: values.egressAnswerMaxBytes,
      tenantMax: values.egressTenantMaxRequests,
    },
    tenants,
    bodyMemoryShare: values.bodyMemoryShare,
    sandboxes: { memoryShare: values.sandboxMemoryShare, keepAliveMs: values.sandboxKeepAliveMs },
    workers: { compute: values.computeWorkers, storage: values.storageWorkers },
    isolation: {
      choice: values.isolation,
      processes: values.tenantProcesses,
      tenantsMax: values.isolatedTenantsMax,
      idleMs: values.tenantProcessIdleMs,
      reserve: values.processReserve,
      rssMaxBytes: values.processRssMaxBytes,
    },
    offload: {
      policy: values.offloadPolicy,
      slots: values.offloadSlots,
      cpuThreshold: values.offloadCpuThreshold,
      memoryThreshold: values.offloadMemoryThreshold,
      partTimeoutMs: values.offloadPartTimeoutMs,
    },
    moves: {
      toData: values.moveToData,
      dataMinBytes: values.moveToDataMinBytes,
      evacuateQueue: values.evacuateQueue,
      evacuateAfterMs: values.evacuateAfterMs,
    },
    protocols: {
      choice: values.protocolChoice,
      dwellMs: values.protocolDwellMs,
      crossover: values.protocolCrossover,
      margin: values.protocolMargin,
      runAhead: values.runAhead,
    },
    recovery: {
      attemptsMax: values.recoveryAttemptsMax,
      backoffMs: values.retryBackoffMs,
      backoffMaxMs: Math.max(values.retryBackoffMs, values.retryBackoffMaxMs),
      scanIntervalMs: values.recoveryScanIntervalMs,
    },
    retention: {
      resultsMs: values.retentionResultsMs,
      collectIntervalMs: values.collectIntervalMs,
      collectMinGarbage: values.collectMinGarbage,
    },
    checkpoint: { everyBytes: values.checkpointBytes },
  };
}

/** Whether only processes of this machine can reach a server bound there. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.[0-9]{1,3}){3}$/.test(host);
}

function allowListsOf(tenants: TenantsFile): ReadonlyMap<string, AllowList> {
  const lists = new Map<string, AllowList>();
  for (const [tenant, { egress }] of tenants) {
    if (egress !== undefined) {
      lists.set(tenant, readAllowList(egress));
    }
  }
  return lists;
}

function readAllowList(texts: readonly string[]): AllowList {
  return texts.map((text) => {
    const entry = allowEntry(text);
    if (entry === null) {
      throw new NeapError("BAD_OPTION", `--egress-allow has ${quote(text)}, must be ${ALLOW_ENTRY_RULE}`);
    }
    return entry;
  });
}

function readStorageUrl(values: OptionValues): string | null {
  if (values.role !== "compute") {
    if (values.storageUrl !== "") {
      throw new NeapError("BAD_OPTION", `--storage-url is for --role compute, the role is ${values.role}`);
    }
    return null;
  }
  if (!URL.canParse(values.storageUrl) || !/^wss?:$/.test(new URL(values.storageUrl).protocol)) {
    throw new NeapError(
      "BAD_OPTION",
      `--storage-url is ${quote(values.storageUrl)}, a compute node needs one like ws://127.0.0.1:7100`,
    );
  }
  return values.storageUrl;
}

function readClusterKey(values: OptionValues, machine: Machine): string | null {
  if (values.clusterKey !== "" && values.clusterKeyFile !== "") {
    throw new NeapError("BAD_OPTION", "NEAP_CLUSTER_KEY and --cluster-key-file are both given, must be one");
  }
  const key =
    values.clusterKeyFile === "" ? values.clusterKey : readFile("--cluster-key-file", values.clusterKeyFile, machine).trim();
  if (key === "" && values.role === "all" && values.clusterKeyFile === "") {
    return null;
  }
  if (key.length < CLUSTER_KEY_MIN_CHARACTERS) {
    throw new NeapError(
      "BAD_OPTION",
      `the cluster key has ${key.length} characters, role ${values.role} needs ${CLUSTER_KEY_MIN_CHARACTERS} or more: give --cluster-key-file or NEAP_CLUSTER_KEY`,
    );
  }
  return key;
}

function readTokens(path: string, machine: Machine): ReadonlyMap<string, string> {
  const wrong = (what: string) => new NeapError("BAD_OPTION", `--tokens-file ${path} ${what}`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFile("--tokens-file", path, machine));
  } catch (error) {
    throw error instanceof NeapError ? error : wrong("is not JSON");
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw wrong('must be an object {"<token>": "<tenant>"}');
  }
  const tokens = new Map<string, string>();
  for (const [token, tenant] of Object.entries(parsed)) {
    if (!/^[\x21-\x7e]{16,512}$/.test(token)) {
      throw wrong(`has a token of ${token.length} characters, must be 16 to 512 visible ASCII characters`);
    }
    if (typeof tenant !== "string" || !(tenant === ADMIN || isName(tenant))) {
      throw wrong(`names the tenant ${quote(String(tenant))}, must be "${ADMIN}" or ${NAME_RULE}`);
    }
    tokens.set(token, tenant);
  }
  if (tokens.size === 0) {
    throw wrong("has no token, so nobody could use the host");
  }
  return tokens;
}

function readTenantsFile(path: string, machine: Machine): ResolvedConfig["tenants"] {
  return readTenants(`--tenants-file ${path}`, readFile("--tenants-file", path, machine));
}

function readFile(source: string, path: string, machine: Machine): string {
  try {
    return machine.readText(path);
  } catch (error) {
    throw new NeapError("BAD_OPTION", `${source} ${path} cannot be read`, { cause: error });
  }
}
