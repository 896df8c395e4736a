export { PoolWithTeams } from "./pool-with-teams.ts";
export { TeamPool, type TeamPoolOptions } from "./team-pool.ts";
