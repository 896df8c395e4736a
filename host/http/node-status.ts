import type { Defences } from "../processes/index.ts";
import type { IsolationChoice, SandboxLoad } from "../sandbox/index.ts";

/** What a node tells about itself at GET /v1/status, as JSON. */
export interface NodeStatus {
  readonly role: "all" | "storage" | "compute";
  readonly nodeName: string;
  /** Epoch of the owner's session; 0 while the owner is out of reach. */
  readonly epoch: number;
  readonly load: SandboxLoad;
}

/** What keeps tenants apart on this node, at GET /v1/security. */
export interface SecurityStatus {
  /** The host's option; a tenant may have one of its own. */
  readonly isolation: IsolationChoice;
  /** Tenants that have functions or calls here. */
  readonly tenants: number;
  /** Worker processes, those that lie ready included, and what they hold resident. */
  readonly processes: number;
  readonly processRssBytes: number;
  /** Of these, processes that may start threads: of tenants that have called functions with memory regions or threads. */
  readonly processesWithThreads: number;
  /** Of worker processes on this machine; null when no tenant may have any. */
  readonly processDefences: ProcessDefences | null;
  isIsolated(tenant: string): boolean;
  /** Whether the tenant has a process now that may start threads. */
  mayStartThreads(tenant: string): boolean;
}

export interface ProcessDefences extends Defences {
  readonly emptyEnvironment: true;
  readonly heapMaxMegabytes: number;
  /** A process that holds more is replaced. */
  readonly rssMaxBytes: number;
}
