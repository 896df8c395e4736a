/** Native routes for functions. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import { describeEntryPoints, entryPointsOf } from "../modules/entry-points/index.ts";
import type { FunctionVersion } from "../modules/functions.ts";
import { mustAct } from "./access.ts";
import { readSmallBody, streamBody } from "./body.ts";
import type { HttpContext } from "./context.ts";
import { nameField, tenantField } from "./fields.ts";
import { functionOptions, OPTIONS_MAX_BYTES } from "./function-options.ts";
import { type UploadQuery, uploadOptions } from "./upload-query.ts";

interface TenantPath {
  Params: { tenant: string };
}

interface FunctionPath {
  Params: { tenant: string; function: string };
  Querystring: UploadQuery;
}

export function registerFunctionRoutes(app: FastifyInstance, context: HttpContext): void {
  const { access, functions, tenancy } = context;
  const tenantOf = (request: FastifyRequest<TenantPath>) =>
    mustAct(access.caller(request.raw), tenantField("tenant", request.params.tenant));

  app.get<TenantPath>("/v1/tenants/:tenant/functions", async (request) => ({
    functions: (await functions.list(tenantOf(request))).map(versionJson),
  }));

  app.put<FunctionPath>("/v1/tenants/:tenant/functions/:function", async (request, reply) => {
    const tenant = tenantOf(request);
    const name = nameField("function", request.params.function);
    const options = uploadOptions(request.query);
    const body = streamBody(
      { request: request.raw, response: reply.raw },
      { maxBytes: tenancy.of(tenant).limits.moduleMaxBytes, code: "MODULE_TOO_LARGE", what: "the module" },
      context,
    );
    return versionJson(await functions.upload(tenant, name, body, options));
  });

  app.put<FunctionPath>("/v1/tenants/:tenant/functions/:function/options", async (request, reply) => {
    const tenant = tenantOf(request);
    const name = nameField("function", request.params.function);
    const body = await readSmallBody(
      { request: request.raw, response: reply.raw },
      { maxBytes: OPTIONS_MAX_BYTES, code: "BODY_TOO_LARGE", what: "the options" },
      context,
    );
    return versionJson(await functions.setOptions(tenant, name, functionOptions(body)));
  });

  app.get<FunctionPath>("/v1/tenants/:tenant/functions/:function/entry-points", async (request) => {
    const artefact = await functions.current(tenantOf(request), nameField("function", request.params.function));
    return { main: artefact.entry !== "", ...describeEntryPoints(entryPointsOf(artefact)) };
  });

  app.get<FunctionPath>("/v1/tenants/:tenant/functions/:function", async (request, reply) => {
    const module = await functions.download(tenantOf(request), nameField("function", request.params.function));
    return reply.type("application/wasm").send(module);
  });
}

/** The names of variables, not their values. */
function versionJson({ seqnum: _, environment, ...version }: FunctionVersion): object {
  return { ...version, environment: Object.keys(environment ?? {}) };
}
