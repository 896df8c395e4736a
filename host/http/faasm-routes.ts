/** Faasm's upload service: functions, ping, and what this host does not offer of it. Bodies are text. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import { NeapError } from "../../state/errors.ts";
import { mustAct } from "./access.ts";
import { streamBody } from "./body.ts";
import type { HttpContext } from "./context.ts";
import type { FaasmCall } from "./faasm-call.ts";
import { nameField, tenantField } from "./fields.ts";

interface FunctionPath {
  Params: { user: string; function: string };
}

export function registerFaasmRoutes(app: FastifyInstance, context: HttpContext, call: FaasmCall): void {
  const { access, functions, limits } = context;
  const target = (request: FastifyRequest<FunctionPath>) => ({
    tenant: mustAct(access.caller(request.raw), tenantField("user", request.params.user)),
    name: nameField("function", request.params.function),
  });

  app.get("/ping", () => "PONG");

  app.put<FunctionPath>("/f/:user/:function", async (request, reply) => {
    const { tenant, name } = target(request);
    const body = streamBody(
      { request: request.raw, response: reply.raw },
      { maxBytes: limits.moduleMaxBytes, code: "MODULE_TOO_LARGE", what: "the module" },
      context,
    );
    await functions.upload(tenant, name, body);
    return "Function upload complete\n";
  });

  app.get<FunctionPath>("/f/:user/:function", async (request, reply) => {
    const { tenant, name } = target(request);
    const module = await functions.download(tenant, name);
    return reply.type("application/wasm").send(module);
  });

  // Reached only with a query, which the way in front of Fastify does not look at.
  for (const path of ["/f", "/f/"]) {
    app.post(path, (request, reply) => {
      reply.hijack();
      return call.handle(request.raw, reply.raw);
    });
  }

  const unoffered = (what: string) => () => {
    throw new NeapError("NOT_SUPPORTED", what);
  };
  app.put("/p/:user/:function", unoffered("Python functions are not offered by this host; upload a WebAssembly module to /f/"));
  const state = "Faasm's state values are not offered yet; objects are at /v1/tenants/<tenant>/objects/<key>";
  app.put("/s/:user/:key", unoffered(state));
  app.get("/s/:user/:key", unoffered(state));
  const file = "shared files are not offered yet; objects are at /v1/tenants/<tenant>/objects/<key>";
  app.put("/file", unoffered(file));
  app.get("/file", unoffered(file));
}

/** What Faasm says of a path it does not know. */
export function unknownFaasmPath(method: string, path: string): NeapError | undefined {
  if (method !== "GET" && method !== "PUT") {
    return undefined;
  }
  const parts = path.split("/").filter((part) => part !== "");
  const short = ["f", "p", "s"].includes(parts[0] ?? "") && parts.length < 3;
  return new NeapError(
    "BAD_REQUEST",
    short ? `Bad URL, expected single path part ${path}` : `Unrecognised ${method} request to ${path}`,
  );
}
