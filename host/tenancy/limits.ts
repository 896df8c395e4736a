/**
 * Every limit that holds for calls and modules of tenants, once: range, default, unit, the error that tells of it. Options of the
 * host, the tenants file, a function's own options and docs/reference/limits.md all follow from this table.
 */
import { type NumberShape, whole } from "../../state/shape.ts";

export interface LimitSpec {
  readonly shape: NumberShape;
  /** Default of the host's option. */
  readonly preset: number;
  readonly unit: "bytes" | "pages of 64 KiB" | "elements" | "calls" | "sandboxes" | "threads" | "ms";
  /** Of the error that an upload or a call over the limit ends with; for LOG_LIMIT a line of the log, for tooDeep and again what the guest gets. */
  readonly code: string;
  /**
   * What it bounds. `upload`: a module; counts from the next upload on, or when it is set as a function's own. `call`: one call, from
   * its beginning on for ever. `tenant`: all calls of a tenant in this host together; a function has none of its own.
   */
  readonly bounds: "upload" | "call" | "tenant";
  /** The meaning, as in `--help`. */
  readonly help: string;
}

const DAY_MS = 86_400_000;
const MIB = 1024 * 1024;

function limit<B extends LimitSpec["bounds"]>(
  bounds: B,
  unit: LimitSpec["unit"],
  [minimum, maximum]: readonly [number, number],
  preset: number,
  code: string,
  help: string,
): LimitSpec & { readonly bounds: B } {
  return { shape: whole(minimum, maximum), preset, unit, code, bounds, help };
}

export const LIMITS = {
  moduleMaxBytes: limit("upload", "bytes", [1024, 64 * MIB], 16 * MIB, "MODULE_TOO_LARGE", "size of an uploaded module"),
  memoryMaxPages: limit(
    "upload",
    "pages of 64 KiB",
    [1, 65_536],
    4096,
    "MODULE_LIMIT",
    "memory of a function in pages of 64 KiB; beyond it memory.grow answers -1",
  ),
  tableMaxElements: limit("upload", "elements", [1, 10_000_000], 65_536, "MODULE_LIMIT", "elements of a function's table"),
  uploadTimeoutMs: limit(
    "upload",
    "ms",
    [100, 600_000],
    60_000,
    "MODULE_LIMIT",
    "time to validate, compile and start an uploaded module",
  ),
  wallTimeMs: limit("call", "ms", [1, DAY_MS], 30_000, "TIME_LIMIT", "wall time of a call's attempt, waiting included"),
  cpuTimeMs: limit(
    "call",
    "ms",
    [1, DAY_MS],
    10_000,
    "CPU_LIMIT",
    "CPU time of a call's attempt; functions that it calls have their own",
  ),
  outputMaxBytes: limit("call", "bytes", [1024, 256 * MIB], 16 * MIB, "OUTPUT_TOO_LARGE", "output of a call"),
  logMaxBytes: limit("call", "bytes", [0, 16 * MIB], 65_536, "LOG_LIMIT", "what a call may print; the rest is left out"),
  stateMaxBytes: limit(
    "call",
    "bytes",
    [0, 1024 * 1024 * MIB],
    1024 * MIB,
    "STATE_LIMIT",
    "what a call may write in all: values of objects and records of the log",
  ),
  callMaxDepth: limit("call", "calls", [0, 32], 32, "tooDeep", "how many calls deep functions may call functions"),
  functionMaxSandboxes: limit(
    "call",
    "sandboxes",
    [1, 8000],
    8000,
    "OVERLOADED",
    "sandboxes that calls of one function hold at once, suspended ones included; further calls wait for one",
  ),
  tenantMaxCalls: limit(
    "tenant",
    "calls",
    [1, 1_000_000],
    10_000,
    "OVERLOADED",
    "calls of one tenant that are under way at once: running, suspended, waiting",
  ),
  tenantMaxSandboxes: limit(
    "tenant",
    "sandboxes",
    [1, 8000],
    1000,
    "OVERLOADED",
    "sandboxes that calls of one tenant hold at once, suspended ones included; further calls wait for one",
  ),
  callMaxThreads: limit(
    "tenant",
    "threads",
    [1, 64],
    8,
    "again",
    "threads that one call of the tenant has at once, its main thread included",
  ),
  tenantMaxThreads: limit(
    "tenant",
    "threads",
    [1, 1024],
    16,
    "OVERLOADED",
    "threads and ranks that calls of one tenant have at once: as many as each of them may start; further calls wait",
  ),
} as const satisfies Record<string, LimitSpec>;

export type LimitName = keyof typeof LIMITS;
export type Limits = { readonly [K in LimitName]: number };
export const LIMIT_NAMES = Object.keys(LIMITS) as LimitName[];

type Bounding<B extends LimitSpec["bounds"]> = {
  [K in LimitName]: (typeof LIMITS)[K]["bounds"] extends B ? K : never;
}[LimitName];

function bounding<B extends LimitSpec["bounds"]>(...bounds: readonly B[]): readonly Bounding<B>[] {
  return LIMIT_NAMES.filter((name): name is Bounding<B> => (bounds as readonly string[]).includes(LIMITS[name].bounds));
}

export const UPLOAD_LIMITS = bounding("upload");
export const CALL_LIMITS = bounding("call");
/** A function may have its own. */
export const FUNCTION_LIMITS = bounding("upload", "call");

/** What a module is made under. */
export type UploadLimits = Pick<Limits, (typeof UPLOAD_LIMITS)[number]>;
/** What bounds one call, pinned when it begins (F24). */
export type CallLimits = Pick<Limits, (typeof CALL_LIMITS)[number]>;
/** A function's own: those that it has. */
export type FunctionLimits = Partial<Pick<Limits, (typeof FUNCTION_LIMITS)[number]>>;
