export { type AccessConfig, ADMIN, type ClusterConfig, type LimitsConfig, type ResolvedConfig } from "./config.ts";
export type { Machine } from "./options.ts";
export { HelpAsked, helpText, isLoopback, parseConfig } from "./parse.ts";
export { sampleEnvironment } from "./sample.ts";
