/**
 * What each tenant may do.
 *
 * Owns: which value of a limit holds for whom. Does not own: obeying it.
 *
 * T1. A tenant's limit is what its own entry of the tenants file says, else the entry "*", else the host's option. It is the most that
 *     any function of the tenant can have.
 * T2. A function has its own limit, if it has one and that is not above its tenant's. Without one a module may be as large as its
 *     tenant's limits allow, and a call has the host's option, or its tenant's limit if that is less.
 */
import { NeapError } from "../../state/errors.ts";
import {
  CALL_LIMITS,
  type CallLimits,
  FUNCTION_LIMITS,
  type FunctionLimits,
  LIMITS,
  type LimitName,
  type Limits,
  UPLOAD_LIMITS,
  type UploadLimits,
} from "./limits.ts";
import { ALL_OTHERS, type TenantsFile } from "./tenants-file.ts";

/** One tenant in this process. */
export class Tenant {
  readonly name: string;
  /** The most that calls and modules of the tenant may have. */
  readonly limits: Limits;
  /** Calls of the tenant that are under way here: running, suspended, waiting. */
  calls = 0;
  readonly #host: Limits;
  readonly #plain: CallLimits;
  /** A call does not work out its limits: the registry hands out one and the same object for a version. */
  readonly #own = new WeakMap<FunctionLimits, CallLimits>();

  constructor(name: string, limits: Limits, host: Limits) {
    this.name = name;
    this.limits = limits;
    this.#host = host;
    this.#plain = this.#callLimits({});
  }

  /** Of a call that begins now, of a function with limits of its own or null. */
  callLimits(own: FunctionLimits | null): CallLimits {
    if (own === null) {
      return this.#plain;
    }
    let limits = this.#own.get(own);
    if (limits === undefined) {
      limits = this.#callLimits(own);
      this.#own.set(own, limits);
    }
    return limits;
  }

  uploadLimits(own: FunctionLimits | null): UploadLimits {
    return pick(UPLOAD_LIMITS, (name) => Math.min(own?.[name] ?? Number.POSITIVE_INFINITY, this.limits[name]));
  }

  /** @throws BAD_REQUEST  one of the limits is above the tenant's */
  checkOwn(own: FunctionLimits): void {
    for (const name of FUNCTION_LIMITS) {
      const value = own[name];
      if (value !== undefined && value > this.limits[name]) {
        const text = `limits.${name} is ${value} ${LIMITS[name].unit}, the limit of tenant ${this.name} is ${this.limits[name]}`;
        throw new NeapError("BAD_REQUEST", text);
      }
    }
  }

  /** @throws OVERLOADED  so many further calls may not begin now */
  checkMayBegin(count = 1): void {
    if (this.calls + count > this.limits.tenantMaxCalls) {
      const text = `${this.calls} calls of tenant ${this.name} are under way, at most ${this.limits.tenantMaxCalls} may be`;
      throw new NeapError("OVERLOADED", text);
    }
  }

  #callLimits(own: FunctionLimits): CallLimits {
    return pick(CALL_LIMITS, (name) => Math.min(own[name] ?? this.#host[name], this.limits[name]));
  }
}

export class Tenancy {
  readonly #file: TenantsFile;
  readonly #host: Limits;
  readonly #tenants = new Map<string, Tenant>();

  /** @param host  the values of the host's options */
  constructor(file: TenantsFile, host: Limits) {
    this.#file = file;
    this.#host = host;
  }

  /** The same object for a tenant, always. */
  of(name: string): Tenant {
    let tenant = this.#tenants.get(name);
    if (tenant === undefined) {
      const limits = { ...this.#host, ...this.#file.get(ALL_OTHERS)?.limits, ...this.#file.get(name)?.limits };
      tenant = new Tenant(name, limits, this.#host);
      this.#tenants.set(name, tenant);
    }
    return tenant;
  }
}

function pick<N extends LimitName>(names: readonly N[], value: (name: N) => number): { [K in N]: number } {
  return Object.fromEntries(names.map((name) => [name, value(name)])) as { [K in N]: number };
}
