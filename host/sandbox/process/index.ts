export type { Defences } from "./confinement.ts";
export { type ProcessPoolOptions, processPool } from "./process-pool.ts";
export { ProcessReserve, type ReserveOptions } from "./process-reserve.ts";
