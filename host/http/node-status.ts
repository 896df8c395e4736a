import type { SandboxLoad } from "../sandbox/sandbox.ts";

/** What a node tells about itself at GET /v1/status, as JSON. */
export interface NodeStatus {
  readonly role: "all" | "storage" | "compute";
  readonly nodeName: string;
  /** Epoch of the owner's session; 0 while the owner is out of reach. */
  readonly epoch: number;
  readonly load: SandboxLoad;
}
