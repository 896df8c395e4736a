/** Native routes for the administrator: unfinished instances, locks, the node's state, metrics, health. */
import type { FastifyInstance } from "fastify";
import { NeapError } from "../../state/errors.ts";
import { objectKey, quote } from "../../state/ids.ts";
import { mustAct, mustActForAll } from "./access.ts";
import type { HttpContext } from "./context.ts";
import { instanceField, tenantField } from "./fields.ts";

interface InstancesPath {
  Params: { tenant: string };
  Querystring: { state?: unknown };
}

interface InstancePath {
  Params: { tenant: string; instance: string };
}

interface TenantPath {
  Params: { tenant: string };
}

interface LockPath {
  Params: { tenant: string; "*": string };
}

export function registerNodeRoutes(app: FastifyInstance, context: HttpContext): void {
  const { access, invocations } = context;

  app.get<InstancesPath>("/v1/tenants/:tenant/instances", async (request) => {
    const tenant = mustAct(access.caller(request.raw), tenantField("tenant", request.params.tenant));
    const { state } = request.query;
    if (state !== undefined && state !== "unfinished") {
      throw new NeapError("BAD_REQUEST", `state is ${quote(String(state))}, must be unfinished`);
    }
    const unfinished = await invocations.unfinished(tenant);
    return { instances: unfinished.map(({ instance, attempts, parked }) => ({ instance, attempts, parked })) };
  });

  app.post<InstancePath>("/v1/tenants/:tenant/instances/:instance/resume", async (request, reply) => {
    const tenant = mustAct(access.caller(request.raw), tenantField("tenant", request.params.tenant));
    const instance = instanceField(request.params.instance);
    await invocations.resume(instance, tenant);
    return reply.code(202).send({ instance });
  });

  app.get<TenantPath>("/v1/tenants/:tenant/locks", async (request) => {
    const tenant = mustAct(access.caller(request.raw), tenantField("tenant", request.params.tenant));
    const broken = await invocations.brokenLocks(tenant);
    return { locks: await invocations.locks(tenant), broken };
  });

  app.delete<LockPath>("/v1/tenants/:tenant/locks/*", async (request, reply) => {
    const caller = access.caller(request.raw);
    const tenant = mustAct(caller, tenantField("tenant", request.params.tenant));
    const by = caller.admin ? "administrator" : caller.tenant === null ? "anyone" : "tenant";
    await invocations.breakLock(objectKey(request.params["*"]), tenant, by);
    return reply.code(204).send();
  });

  app.get("/v1/status", (request) => {
    access.caller(request.raw);
    return context.status();
  });

  app.get("/v1/security", (request) => {
    const { tenant } = access.caller(request.raw);
    const { isolation, processDefences, isIsolated, mayStartThreads, ...counts } = context.security();
    // How many other tenants there are is not a tenant's business.
    const own = tenant === null ? counts : { tenant, isolated: isIsolated(tenant), mayStartThreads: mayStartThreads(tenant) };
    return { isolation, ...own, processDefences };
  });

  app.get("/metrics", async (request, reply) => {
    mustActForAll(access.caller(request.raw));
    return reply.type("text/plain; version=0.0.4; charset=utf-8").send(context.metrics.render());
  });

  app.get("/healthz", () => "ok\n");
}
