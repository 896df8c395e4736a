export { ArenaRequests, ProcessArena } from "./process-arena.ts";
export { ThreadArena } from "./thread-arena.ts";
