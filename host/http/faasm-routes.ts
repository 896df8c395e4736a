/** Faasm's upload service: functions, state values, ping, and what this host does not offer of it. Messages are text. */
import { Readable } from "node:stream";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { NeapError } from "../../state/errors.ts";
import { objectKey, quote } from "../../state/ids.ts";
import { mustAct } from "./access.ts";
import { streamBody } from "./body.ts";
import type { HttpContext } from "./context.ts";
import type { FaasmCall } from "./faasm-call.ts";
import { nameField, tenantField } from "./fields.ts";
import { type UploadQuery, uploadOptions } from "./upload-query.ts";

interface FunctionPath {
  Params: { user: string; function: string };
  Querystring: UploadQuery;
}

interface StatePath {
  Params: { user: string; key: string };
}

/** State values are the objects of this prefix: functions read and write them as such. */
const STATE_PREFIX = "state/";

const NO_SOURCES =
  "Python and JavaScript source upload are out of scope for now; upload a WebAssembly module by PUT /f/<user>/<function>";

export function registerFaasmRoutes(app: FastifyInstance, context: HttpContext, call: FaasmCall): void {
  const { access, functions, objects, limits, tenancy } = context;
  const target = (request: FastifyRequest<FunctionPath>) => ({
    tenant: mustAct(access.caller(request.raw), tenantField("user", request.params.user)),
    name: nameField("function", request.params.function),
  });

  app.get("/ping", () => "PONG");

  app.put<FunctionPath>("/f/:user/:function", async (request, reply) => {
    const { tenant, name } = target(request);
    const options = uploadOptions(request.query);
    const body = streamBody(
      { request: request.raw, response: reply.raw },
      { maxBytes: tenancy.of(tenant).limits.moduleMaxBytes, code: "MODULE_TOO_LARGE", what: "the module" },
      context,
    );
    await functions.upload(tenant, name, body, options);
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

  const stateValue = ({ raw, params }: FastifyRequest<StatePath>) => {
    if (params.key === "") {
      throw shortPath((raw.url ?? "").split("?", 1)[0] ?? "");
    }
    return {
      tenant: mustAct(access.caller(raw), tenantField("user", params.user)),
      key: objectKey(STATE_PREFIX + params.key),
    };
  };

  app.put<StatePath>("/s/:user/:key", async (request, reply) => {
    const { tenant, key } = stateValue(request);
    const body = streamBody(
      { request: request.raw, response: reply.raw },
      { maxBytes: limits.objectMaxBytes, code: "OBJECT_TOO_LARGE", what: "the state value" },
      context,
    );
    await objects.put(tenant, key, body, limits.objectMaxBytes);
    return "State upload complete\n";
  });

  app.get<StatePath>("/s/:user/:key", async (request, reply) => {
    const { tenant, key } = stateValue(request);
    const value = await objects.get(tenant, key);
    if (value === null) {
      throw new NeapError("UNKNOWN_OBJECT", `there is no state value ${quote(request.params.key)}`);
    }
    return reply
      .type("application/octet-stream")
      .header("Content-Length", value.sizeBytes)
      .send(Readable.from(value.stream, { objectMode: false }));
  });

  app.put("/p/:user/:function", () => {
    throw new NeapError("NOT_SUPPORTED", NO_SOURCES);
  });
}

/** What Faasm says of a path it does not know. */
export function unknownFaasmPath(method: string, path: string): NeapError | undefined {
  if (method !== "GET" && method !== "PUT") {
    return undefined;
  }
  const parts = path.split("/").filter((part) => part !== "");
  const short = ["f", "p", "s"].includes(parts[0] ?? "") && parts.length < 3;
  return short ? shortPath(path) : new NeapError("BAD_REQUEST", `Unrecognised ${method} request to ${path}`);
}

function shortPath(path: string): NeapError {
  return new NeapError("BAD_REQUEST", `Bad URL, expected single path part ${path}`);
}
