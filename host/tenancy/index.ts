export {
  CALL_LIMITS,
  type CallLimits,
  FUNCTION_LIMITS,
  type FunctionLimits,
  LIMIT_NAMES,
  LIMITS,
  type LimitName,
  type LimitSpec,
  type Limits,
  type UploadLimits,
} from "./limits.ts";
export { Tenancy, type Tenant } from "./tenancy.ts";
export { ALL_OTHERS, ISOLATION_CHOICE, readTenants, type TenantRules, type TenantsFile } from "./tenants-file.ts";
