export { ALLOW_ENTRY_RULE, type AllowList, allowEntry } from "./allow-list.ts";
export { Broker, type BrokerParts, type EgressOptions } from "./broker.ts";
export { type Egress, type EgressRequest, type EgressResponse, type Header, isEgressFailure } from "./egress.ts";
export { type Network, systemNetwork } from "./network.ts";
export { wrongWith } from "./wrong-with.ts";
