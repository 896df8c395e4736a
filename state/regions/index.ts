export { type ArenaMemory, HANDLES_MAX, PAGE_BYTES } from "./arena.ts";
export type { LockMode, Taken } from "./region-lock.ts";
export { type RegionLimits, Regions, type RegionsOptions } from "./regions.ts";
export type { RegionSession } from "./session.ts";
export type { MemoryRegion, Opened } from "./tenant-regions.ts";
