import { LIMIT_NAMES, LIMITS, type Limits, Tenancy, type TenantsFile } from "../../host/tenancy/index.ts";

/** What a host has whose options are left out. */
export const PRESET_LIMITS = Object.fromEntries(LIMIT_NAMES.map((name) => [name, LIMITS[name].preset])) as Limits;

export function testTenancy(limits: Partial<Limits> = {}, file: TenantsFile = new Map()): Tenancy {
  return new Tenancy(file, { ...PRESET_LIMITS, ...limits });
}
