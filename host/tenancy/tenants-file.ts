/**
 * What the operator says of tenants: a JSON file `{"<tenant>" | "*": {"limits": {"wallTimeMs": 60000}, "egress": ["example.com"]}}`. "*" is for the tenants that
 * the file does not name; what a tenant's own entry leaves out is as "*" says it, else as the host's options do.
 *
 * Owns: the file's form. A further thing that the operator may say is one more property of `TENANT_RULES`: it is read, checked and
 * refused with its range like those that are there.
 */
import { NeapError } from "../../state/errors.ts";
import { isName, NAME_RULE, quote } from "../../state/ids.ts";
import { choice, isRecord, list, type Of, partial, type Shape, Text, that } from "../../state/shape.ts";
import { ALLOW_ENTRY_RULE, allowEntry } from "../egress/index.ts";
import { LIMITS, type LimitName } from "./limits.ts";

/** Where a tenant's guests run: see docs/guides/isolation.md. */
export const ISOLATION_CHOICE = choice("auto", "threads", "process");

type LimitShapes = { readonly [K in LimitName]: (typeof LIMITS)[K]["shape"] };

const limitShapes = Object.fromEntries(Object.entries(LIMITS).map(([name, { shape }]) => [name, shape])) as LimitShapes;

/** Where functions may send requests, in place of what the host's option says. */
const egress = list(
  that(Text, ALLOW_ENTRY_RULE, (entry) => allowEntry(entry) !== null),
  { range: `list of texts, each ${ALLOW_ENTRY_RULE}` },
);

const TENANT_RULES = partial({ limits: partial(limitShapes), isolation: ISOLATION_CHOICE, egress });

export type TenantRules = Of<typeof TENANT_RULES>;

/** Tenant → what the file says of it; ALL_OTHERS for those that it does not name. */
export type TenantsFile = ReadonlyMap<string, TenantRules>;

/** The name of all tenants that have no entry of their own. */
export const ALL_OTHERS = "*";

/** @throws BAD_OPTION  naming `source`, the field by its path, its value and what it must be */
export function readTenants(source: string, text: string): TenantsFile {
  const check = new Check(source);
  const tenants = new Map<string, TenantRules>();
  for (const [tenant, rules] of Object.entries(check.object("", check.json(text)))) {
    if (tenant !== ALL_OTHERS && !isName(tenant)) {
      throw check.wrong(`names the tenant ${quote(tenant)}, must be "${ALL_OTHERS}" or ${NAME_RULE}`);
    }
    check.value(tenant, TENANT_RULES, rules);
    tenants.set(tenant, rules as TenantRules);
  }
  return tenants;
}

class Check {
  readonly #source: string;

  constructor(source: string) {
    this.#source = source;
  }

  wrong(text: string): NeapError {
    return new NeapError("BAD_OPTION", `${this.#source} ${text}`);
  }

  json(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch (error) {
      throw this.wrong(`is not JSON: ${error instanceof Error ? error.message : error}`);
    }
  }

  object(path: string, value: unknown): Record<string, unknown> {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw this.wrong(`${path === "" ? "" : `has ${path} = ${show(value)}, `}must be an object`);
    }
    return value as Record<string, unknown>;
  }

  value(path: string, shape: Shape<unknown>, value: unknown): void {
    if (!isRecord(shape)) {
      if (!shape.has(value)) {
        throw this.wrong(`has ${path} = ${show(value)}, must be: ${shape.range}`);
      }
      return;
    }
    for (const [name, given] of Object.entries(this.object(path, value))) {
      const property = Object.hasOwn(shape.properties, name) ? shape.properties[name] : undefined;
      if (property === undefined) {
        throw this.wrong(`has ${path}.${name}, which is none of ${Object.keys(shape.properties).join(", ")}`);
      }
      this.value(`${path}.${name}`, property, given);
    }
  }
}

function show(value: unknown): string {
  return quote(JSON.stringify(value) ?? "");
}
