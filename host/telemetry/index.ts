export { createLog, type Log, type LogDestination, type LogFields, type LogLevel, type LogOptions, silentLog } from "./log.ts";
export { type Counter, DURATION_BOUNDS_MS, type Histogram, type Labels, Metrics } from "./metrics.ts";
