export { IsolatingPool, type IsolatingPoolOptions } from "./isolating-pool.ts";
export { type ProcessPoolOptions, processPool } from "./process-pool.ts";
export { ProcessReserve, type ReserveOptions } from "./process-reserve.ts";
export { type IsolationChoice, TenantIsolation } from "./tenant-isolation.ts";
export { ThreadedPool } from "./threaded-pool.ts";
