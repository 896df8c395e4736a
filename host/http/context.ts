/** What all routes are given. */
import type { Clock, Faults } from "../../state/ports.ts";
import type { AccessConfig, LimitsConfig } from "../config/index.ts";
import type { Invocations } from "../invocation/invocation.ts";
import type { Functions } from "../modules/functions.ts";
import type { Log, Metrics } from "../telemetry/index.ts";
import type { Tenancy } from "../tenancy/index.ts";
import type { Access } from "./access.ts";
import type { BodyRoom } from "./body-room.ts";
import type { CallMeter } from "./call-meter.ts";
import type { MessageThread } from "./message-thread.ts";
import type { NodeStatus, SecurityStatus } from "./node-status.ts";
import type { Objects } from "./objects-port.ts";
import type { Protocols } from "./protocols-port.ts";

export interface HttpPorts {
  readonly invocations: Invocations;
  readonly functions: Functions;
  readonly tenancy: Tenancy;
  readonly objects: Objects;
  readonly protocols: Protocols;
  readonly status: () => NodeStatus;
  readonly security: () => SecurityStatus;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly clock: Clock;
  readonly faults: Faults;
}

/** The part of the configuration that HTTP looks at. */
export interface HttpConfig {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** 0: none. */
  readonly aliasPort: number;
  readonly access: AccessConfig;
  readonly limits: Pick<LimitsConfig, "inputMaxBytes" | "objectMaxBytes">;
}

export interface HttpOptions extends HttpPorts {
  readonly config: HttpConfig;
  /** DEFAULT_TIMEOUTS when left out. */
  readonly timeouts?: HttpTimeouts;
  /** Connections to the port at once, to the alias port half as many; further ones are ended. No limit when left out. */
  readonly connectionsMax?: number;
  /** Bodies that are read whole until their requests are answered, and answers until they are sent. No limit when left out. */
  readonly bodiesMaxBytes?: number;
}

export interface HttpTimeouts {
  /** Time to send all headers. */
  readonly headersMs: number;
  /** Time without a byte while the client owes some of its request or has not taken our answer. */
  readonly idleMs: number;
}

/** H27 */
export const DEFAULT_TIMEOUTS: HttpTimeouts = { headersMs: 10_000, idleMs: 30_000 };

export interface HttpContext extends HttpPorts {
  readonly limits: HttpConfig["limits"];
  readonly access: Access;
  readonly meter: CallMeter;
  readonly thread: MessageThread;
  readonly bodies: BodyRoom;
  readonly idleMs: number;
}
