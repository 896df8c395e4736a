/** Native routes for protocols: what holds for which scope, and the choice of another one. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import { NeapError } from "../../state/errors.ts";
import { quote } from "../../state/ids.ts";
import { MODES, type Mode, type ScopeView } from "../../state/logbook/index.ts";
import { mustAct } from "./access.ts";
import type { HttpContext } from "./context.ts";
import { tenantField } from "./fields.ts";

interface TenantPath {
  Params: { tenant: string };
  Querystring: { protocol?: unknown };
}

interface ScopePath {
  Params: { tenant: string; "*": string };
  Querystring: { protocol?: unknown };
}

export function registerProtocolRoutes(app: FastifyInstance, context: HttpContext): void {
  const { access, protocols } = context;
  const tenantOf = (request: FastifyRequest<{ Params: { tenant: string } }>) =>
    mustAct(access.caller(request.raw), tenantField("tenant", request.params.tenant));

  app.get<TenantPath>("/v1/tenants/:tenant/scopes", async (request) => {
    const { defaultMode, scopes } = await protocols.scopes(tenantOf(request));
    return { default: defaultMode, scopes: scopes.map(scopeJson) };
  });

  app.put<ScopePath>("/v1/tenants/:tenant/scopes/*", async (request, reply) => {
    const tenant = tenantOf(request);
    const { protocol } = request.query;
    const choice = protocol === "automatic" ? protocol : modeField(protocol, ["automatic"]);
    return reply.code(202).send(scopeJson(await protocols.choose(tenant, request.params["*"], choice)));
  });

  app.put<TenantPath>("/v1/tenants/:tenant/default-protocol", async (request) => {
    const tenant = tenantOf(request);
    const mode = modeField(request.query.protocol, []);
    await protocols.chooseDefault(tenant, mode);
    return { default: mode };
  });
}

/** @throws BAD_MODE */
export function modeField(value: unknown, others: readonly string[]): Mode {
  const mode = MODES.find((one) => one === value);
  if (mode === undefined) {
    const given = typeof value === "string" ? quote(value) : "given more than once, or not at all";
    throw new NeapError("BAD_MODE", `protocol is ${given}, must be one of ${[...MODES, ...others].join(", ")}`);
  }
  return mode;
}

function scopeJson({ scope, mode, to, automatic, begin, waitingFor, decision, reads, writes }: ScopeView): object {
  return {
    scope,
    protocol: mode,
    automatic,
    decision,
    switching: to === null ? null : { to, begin, waitingFor },
    reads,
    writes,
  };
}
