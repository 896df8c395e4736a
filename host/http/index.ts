export { checkPort } from "./bind.ts";
export { DEFAULT_TIMEOUTS, type HttpConfig, type HttpOptions, type HttpPorts, type HttpTimeouts } from "./context.ts";
export type { NodeStatus, SecurityStatus } from "./node-status.ts";
export type { Objects, StoredObject } from "./objects-port.ts";
export type { Protocols } from "./protocols-port.ts";
export { createHttpServer, type HttpServer } from "./server.ts";
