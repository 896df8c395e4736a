export { ClusterServer, type ClusterServerOptions, type ShardSessions } from "./cluster-server.ts";
export type { Log } from "./log.ts";
export { fields, type Method, method } from "./method.ts";
export { connectToOwner, type OwnerConnection, type OwnerConnectionOptions } from "./owner-connection.ts";
export { DEFAULT_PEER_LIMITS, type Peer, type PeerLimits } from "./peer.ts";
