export { describeRange } from "./describe-range.ts";
export { LIMIT_NAMES, LIMITS, type LimitName, type LimitSpec, type Limits } from "./limits.ts";
export { ALL_OTHERS, ISOLATION_CHOICE, readTenants, type TenantRules, type TenantsFile } from "./tenants-file.ts";
