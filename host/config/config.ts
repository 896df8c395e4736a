/** The host's configuration as everything below `main.ts` sees it: complete, checked, without optional fields. */
import type { RegionLimits } from "../../state/regions/index.ts";
import type { AllowList, EgressOptions } from "../egress/index.ts";
import type { Limits, TenantsFile } from "../tenancy/index.ts";

export interface ResolvedConfig {
  readonly role: "all" | "storage" | "compute";
  readonly nodeName: string;
  readonly dataDirectory: string;
  readonly logLevel: "silent" | "fatal" | "error" | "warn" | "info" | "debug" | "trace";
  readonly graceMs: number;
  readonly host: string;
  readonly port: number;
  /** 0: none. */
  readonly aliasPort: number;
  readonly access: AccessConfig;
  readonly cluster: ClusterConfig;
  readonly limits: LimitsConfig;
  readonly regions: RegionLimits;
  readonly egress: EgressOptions & {
    readonly allow: AllowList;
    /** Of tenants in the file that have lists of their own, ALL_OTHERS among them. */
    readonly allowOf: ReadonlyMap<string, AllowList>;
  };
  /** What the operator says of tenants; empty without a file. */
  readonly tenants: TenantsFile;
  /** Of the memory of machine or container, for bodies of requests and answers. */
  readonly bodyMemoryShare: number;
  readonly sandboxes: { readonly memoryShare: number; readonly keepAliveMs: number };
  readonly workers: { readonly compute: number; readonly storage: number };
  readonly isolation: {
    /** For tenants of which the tenants file says nothing. */
    readonly choice: "auto" | "threads" | "process";
    readonly processes: number;
    readonly tenantsMax: number;
    readonly idleMs: number;
    readonly reserve: number;
    readonly rssMaxBytes: number;
  };
  readonly offload: {
    readonly policy: "marked" | "cost" | "never";
    readonly slots: number;
    readonly cpuThreshold: number;
    readonly memoryThreshold: number;
    readonly partTimeoutMs: number;
  };
  readonly moves: {
    readonly toData: boolean;
    readonly dataMinBytes: number;
    readonly evacuateQueue: number;
    readonly evacuateAfterMs: number;
  };
  readonly protocols: {
    readonly choice: "on" | "off";
    readonly dwellMs: number;
    readonly crossover: number;
    readonly margin: number;
    /** Steps are answered before they are durable; what leaves the platform waits either way (F8). */
    readonly runAhead: boolean;
  };
  readonly recovery: {
    readonly attemptsMax: number;
    readonly backoffMs: number;
    readonly backoffMaxMs: number;
    readonly scanIntervalMs: number;
  };
  readonly retention: { readonly resultsMs: number; readonly collectIntervalMs: number; readonly collectMinGarbage: number };
  readonly checkpoint: { readonly everyBytes: number };
}

export interface AccessConfig {
  /** Token → tenant, ADMIN for the administrator; null is open mode: no token is asked for. */
  readonly tokens: ReadonlyMap<string, string> | null;
  readonly insecureOpen: boolean;
  readonly corsOrigins: readonly string[];
  readonly allowedHosts: readonly string[];
}

/** The "tenant" of an administrator's token. */
export const ADMIN = "*";

export interface ClusterConfig {
  readonly listenHost: string;
  readonly listenPort: number;
  /** null only with role `all`: no other node may connect. */
  readonly key: string | null;
  /** null unless role is `compute`. */
  readonly storageUrl: string | null;
}

export interface LimitsConfig extends Limits {
  readonly suspendAfterMs: number;
  readonly parkedMaxBytes: number;
  readonly inputMaxBytes: number;
  readonly objectMaxBytes: number;
  readonly queuedMaxCalls: number;
  readonly activeMaxCalls: number;
}
