/**
 * Every option of the host, once: name, range, default, help. Flags (`--module-max-bytes`), environment variables
 * (`NEAP_MODULE_MAX_BYTES`), the help text and the sample file all follow from this table.
 */
import { between, choice, Flag, list, type NumberShape, type Of, type Shape, Text, whole } from "../../state/shape.ts";
import { ISOLATION_CHOICE, LIMITS, type LimitName } from "../tenancy/index.ts";

export interface OptionSpec<S extends Shape<unknown> = Shape<unknown>> {
  readonly shape: S;
  /** As it would be typed. "" means unset; a function when it depends on the machine. */
  readonly preset: string | ((machine: Machine) => string);
  readonly help: string;
  readonly group: string;
  /** A secret: given in the environment, never as a flag, which every user of the machine could read. */
  readonly variableOnly: boolean;
}

/** What the defaults depend on, and where files named by options are read. */
export interface Machine {
  readonly hostName: string;
  readonly cores: number;
  /** @throws when the file cannot be read */
  readText(path: string): string;
}

const texts = list(Text, { range: "comma-separated list" });
const share = between(0, 1);
const port = whole(0, 65_535);
const DAY_MS = 86_400_000;
const MIB = 1024 * 1024;

function option<S extends Shape<unknown>>(group: string, shape: S, preset: OptionSpec["preset"], help: string): OptionSpec<S> {
  return { group, shape, preset, help, variableOnly: false };
}

/** A limit that tenants and functions may have another value of. */
function limit(name: LimitName): OptionSpec<NumberShape> {
  const { shape, preset, help } = LIMITS[name];
  return option("Limits", shape, `${preset}`, help);
}

export const OPTIONS = {
  role: option(
    "Node",
    choice("all", "storage", "compute"),
    "all",
    "what this node does: all in one process, or one half of a cluster",
  ),
  nodeName: option("Node", Text, (machine) => machine.hostName, "how this node is called in Neap-Executed-At and in logs"),
  dataDirectory: option("Node", Text, "./data", "where the journal, objects and modules are kept; a compute node keeps nothing"),
  logLevel: option(
    "Node",
    choice("silent", "fatal", "error", "warn", "info", "debug", "trace"),
    "info",
    "least severe line that is logged; lines go to stderr",
  ),
  graceMs: option("Node", whole(0, 600_000), "8000", "how long running calls may go on after SIGTERM"),

  host: option("HTTP", Text, "127.0.0.1", "address to listen on; any other than loopback needs --tokens-file or --insecure-open"),
  port: option("HTTP", port, "8080", "port of the HTTP interface; 0 takes a free one"),
  aliasPort: option(
    "HTTP",
    port,
    "8002",
    "second port with the same interface, Faasm's upload port; 0 is none, a taken one is only a warning",
  ),
  tokensFile: option(
    "HTTP",
    Text,
    "",
    'JSON file {"<token>": "<tenant>"}, "*" for the administrator; without it everyone may do everything',
  ),
  insecureOpen: option("HTTP", Flag, "false", "listen beyond loopback without tokens: whoever reaches the port owns the host"),
  bodyMemoryShare: option(
    "HTTP",
    between(0.001, 1),
    "0.1",
    "share of this machine's memory, or of this process's limit, that bodies of requests and answers may have together, one tenant as much as is still free; beyond it requests are answered 503",
  ),
  corsOrigins: option("HTTP", texts, "", "web origins that may call this host from a browser, comma-separated"),
  allowedHosts: option(
    "HTTP",
    texts,
    "",
    "names under which this host is reached besides localhost, comma-separated; only needed without tokens",
  ),

  clusterListenHost: option("Cluster", Text, "127.0.0.1", "address where a storage node listens for compute nodes"),
  clusterListenPort: option("Cluster", port, "7100", "port where a storage node listens for compute nodes"),
  clusterKey: {
    ...option("Cluster", Text, "", "secret that the nodes of a cluster share, 16 characters or more; not a flag"),
    variableOnly: true,
  },
  clusterKeyFile: option("Cluster", Text, "", "file with the cluster key, instead of NEAP_CLUSTER_KEY"),
  storageUrl: option("Cluster", Text, "", "ws:// or wss:// address of the storage node; compute nodes need it"),

  tenantsFile: option(
    "Limits",
    Text,
    "",
    'JSON file {"<tenant>": {"limits": {"wallTimeMs": 60000}}}, "*" for all other tenants: other limits than those below, and as "egress" an --egress-allow of its own',
  ),
  moduleMaxBytes: limit("moduleMaxBytes"),
  memoryMaxPages: limit("memoryMaxPages"),
  tableMaxElements: limit("tableMaxElements"),
  uploadTimeoutMs: limit("uploadTimeoutMs"),
  wallTimeMs: limit("wallTimeMs"),
  cpuTimeMs: limit("cpuTimeMs"),
  suspendAfterMs: option(
    "Limits",
    whole(1, DAY_MS),
    "15000",
    "a call that waits longer gives its sandbox back and is run again from its log; never longer than half of its wall time",
  ),
  parkedMaxBytes: option(
    "Limits",
    whole(0, 1024 * 1024 * MIB),
    `${128 * MIB}`,
    "memory for calls of migratable functions that wait without a sandbox; beyond it they are run again from their log",
  ),
  inputMaxBytes: option("Limits", whole(1024, 256 * MIB), `${16 * MIB}`, "input of a call"),
  outputMaxBytes: limit("outputMaxBytes"),
  logMaxBytes: limit("logMaxBytes"),
  stateMaxBytes: limit("stateMaxBytes"),
  callMaxDepth: limit("callMaxDepth"),
  functionMaxSandboxes: limit("functionMaxSandboxes"),
  tenantMaxCalls: limit("tenantMaxCalls"),
  tenantMaxSandboxes: limit("tenantMaxSandboxes"),
  callMaxThreads: limit("callMaxThreads"),
  tenantMaxThreads: limit("tenantMaxThreads"),
  objectMaxBytes: option("Limits", whole(1024, 1024 * 1024 * MIB), `${1024 * MIB}`, "size of an object"),
  queuedMaxCalls: option("Limits", whole(0, 1_000_000), "10000", "calls that may wait for a sandbox; more are answered 503"),
  activeMaxCalls: option("Limits", whole(1, 8000), "4000", "calls that may be in a sandbox at once, suspended ones included"),

  regionsMaxBytes: option(
    "Memory regions",
    whole(65_536, 2048 * MIB),
    `${256 * MIB}`,
    "memory regions of one tenant, with what they may grow by",
  ),
  regionsTotalMaxBytes: option(
    "Memory regions",
    whole(65_536, 1024 * 1024 * MIB),
    `${1024 * MIB}`,
    "memory regions of all tenants on this node; tenants that use none at the moment make room",
  ),
  regionsIdleMs: option("Memory regions", whole(0, DAY_MS), "60000", "how long a region is kept that no call has open"),
  egressAllow: option(
    "Egress",
    texts,
    "",
    "where functions may send HTTP requests, comma-separated: host, host:port, *.example.com, *, each with http:// or https:// in front if need be; without it nowhere",
  ),
  egressAllowPrivate: option("Egress", Flag, "false", "names that are allowed may have private and loopback addresses"),
  egressTimeoutMs: option(
    "Egress",
    whole(1, 600_000),
    "10000",
    "time of a request with its answer; never more than half of the call's wall time",
  ),
  egressAnswerMaxBytes: option("Egress", whole(0, 256 * MIB), `${4 * MIB}`, "body of an answer"),
  egressTenantMaxRequests: option("Egress", whole(1, 512), "32", "requests of one tenant that are under way at once; more wait"),

  computeWorkers: option("Workers", whole(1, 256), (machine) => `${Math.max(1, machine.cores - 1)}`, "threads that run calls"),
  storageWorkers: option(
    "Workers",
    whole(1, 256),
    (machine) => `${Math.max(1, Math.floor(machine.cores / 2))}`,
    "threads that run parts pushed down to the data",
  ),

  sandboxMemoryShare: option(
    "Workers",
    between(0.01, 1),
    "0.5",
    "share of this machine's memory, or of this process's limit, that the memories of all sandboxes may have together",
  ),
  sandboxKeepAliveMs: option(
    "Workers",
    whole(1_000, DAY_MS),
    "600000",
    "how long a sandbox that is not used lies ready for the next call of its function",
  ),
  isolation: option(
    "Isolation",
    ISOLATION_CHOICE,
    "auto",
    "where tenants' functions run: in threads of the host, in processes of each tenant, or auto: processes from the second tenant on",
  ),
  tenantProcesses: option("Isolation", whole(1, 256), "1", "processes that run the calls of one isolated tenant"),
  isolatedTenantsMax: option(
    "Isolation",
    whole(1, 10_000),
    "64",
    "tenants that may have processes at once; calls of further ones are answered 503 while none of these is idle",
  ),
  tenantProcessIdleMs: option(
    "Isolation",
    whole(100, DAY_MS),
    "60000",
    "a tenant without calls for so long has no process any more",
  ),
  processReserve: option(
    "Isolation",
    whole(0, 64),
    "1",
    "processes that lie ready for the next tenant or in place of a lost one",
  ),
  processRssMaxBytes: option(
    "Isolation",
    whole(128 * MIB, 1024 * 1024 * MIB),
    `${1024 * MIB}`,
    "memory that a tenant's process may hold; beyond it the process is replaced and its calls run again",
  ),

  offloadPolicy: option(
    "Push-down",
    choice("marked", "cost", "never"),
    "marked",
    "where storage parts run: marked offers each to the storage node, cost only where it saves bytes, never none",
  ),
  offloadSlots: option(
    "Push-down",
    whole(0, 10_000),
    "8",
    "parts a storage node runs at once; more are refused and run at the caller",
  ),
  offloadCpuThreshold: option("Push-down", share, "0.8", "share of all cores in use above which parts are refused"),
  offloadMemoryThreshold: option("Push-down", share, "0.9", "share of memory in use above which parts are refused"),
  offloadPartTimeoutMs: option(
    "Push-down",
    whole(1, DAY_MS),
    "30000",
    "time after which a part is given up and run at the caller",
  ),

  moveToData: option(
    "Moving calls",
    Flag,
    "true",
    "migratable calls of a compute node move to the storage node when they read more there than would go with them",
  ),
  moveToDataMinBytes: option(
    "Moving calls",
    whole(1, 1024 * 1024 * MIB),
    `${MIB}`,
    "what a call must have read from the storage node before it is moved there",
  ),
  evacuateQueue: option(
    "Moving calls",
    whole(0, 10_000),
    "8",
    "calls for each worker that compute or wait for one, above which migratable ones move to an idle node; 0 is never",
  ),
  evacuateAfterMs: option("Moving calls", whole(10, DAY_MS), "2000", "how long there must be so many before some are moved"),

  protocolChoice: option(
    "Protocols",
    choice("on", "off"),
    "on",
    "whether the host chooses the protocols of scopes that are set to automatic",
  ),
  protocolDwellMs: option("Protocols", whole(0, DAY_MS), "30000", "how long a scope keeps the protocol that the host has chosen"),
  protocolCrossover: option("Protocols", share, "0.5", "share of reads at which both Halfmoon protocols cost the same"),
  protocolMargin: option("Protocols", share, "0.1", "how far beyond the crossover the share must be for a switch"),

  runAhead: option(
    "Protocols",
    Flag,
    "true",
    "whether functions go on while their steps are on their way to disk; with false each step waits for its flush",
  ),

  recoveryAttemptsMax: option("Recovery", whole(1, 1000), "3", "runs of an unfinished call before it is parked"),
  retryBackoffMs: option(
    "Recovery",
    whole(0, DAY_MS),
    "50",
    "pause after the first attempt that the host has ended; doubled each time",
  ),
  retryBackoffMaxMs: option("Recovery", whole(0, DAY_MS), "60000", "longest pause between two attempts"),
  recoveryScanIntervalMs: option("Recovery", whole(10, 3_600_000), "1000", "how often unfinished calls are looked for"),
  retentionResultsMs: option(
    "Recovery",
    whole(1000, 365 * DAY_MS),
    `${DAY_MS}`,
    "how long the result of a finished call is kept",
  ),
  checkpointBytes: option(
    "Recovery",
    whole(1, 1024 * 1024 * MIB),
    `${32 * MIB}`,
    "a checkpoint of the index is made whenever the journal has grown by so much; a start reads back about as much",
  ),
  collectIntervalMs: option(
    "Recovery",
    whole(10, DAY_MS),
    "5000",
    "how often the log is looked through for what is no longer needed",
  ),
  collectMinGarbage: option(
    "Recovery",
    whole(1, 1_000_000_000),
    "1000",
    "replaced versions and finished calls of a tenant from which on its log is collected",
  ),
} as const;

export type OptionName = keyof typeof OPTIONS;
export type OptionValues = { readonly [K in OptionName]: Of<(typeof OPTIONS)[K]["shape"]> };

export const OPTION_NAMES = Object.keys(OPTIONS) as OptionName[];

/** `moduleMaxBytes` → `--module-max-bytes`. */
export function flagName(name: OptionName): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** `moduleMaxBytes` → `NEAP_MODULE_MAX_BYTES`. */
export function variableName(name: OptionName): string {
  return `NEAP_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

export function preset(name: OptionName, machine: Machine): string {
  const value: OptionSpec["preset"] = OPTIONS[name].preset;
  return typeof value === "string" ? value : value(machine);
}
