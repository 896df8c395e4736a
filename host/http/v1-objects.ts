/** Native routes for objects. Bodies are streamed both ways: an object is never held whole. */
import { Readable } from "node:stream";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { NeapError } from "../../state/errors.ts";
import { objectKey, quote } from "../../state/ids.ts";
import { mustAct } from "./access.ts";
import { streamBody } from "./body.ts";
import type { HttpContext } from "./context.ts";
import { tenantField, textQuery, wholeQuery } from "./fields.ts";

interface ListPath {
  Params: { tenant: string };
  Querystring: { prefix?: unknown; after?: unknown; limit?: unknown };
}

interface ObjectPath {
  Params: { tenant: string; "*": string };
}

const LIST_MAX = 1000;
const LIST_PRESET = 100;

export function registerObjectRoutes(app: FastifyInstance, context: HttpContext): void {
  const { access, objects, limits } = context;
  const tenantOf = (request: FastifyRequest<{ Params: { tenant: string } }>) =>
    mustAct(access.caller(request.raw), tenantField("tenant", request.params.tenant));
  const unknown = (key: string) => new NeapError("UNKNOWN_OBJECT", `there is no object ${quote(key)}`);

  app.get<ListPath>("/v1/tenants/:tenant/objects", async (request) => {
    const tenant = tenantOf(request);
    const prefix = textQuery("prefix", request.query.prefix);
    const after = textQuery("after", request.query.after);
    const limit = wholeQuery("limit", request.query.limit, { min: 1, max: LIST_MAX, preset: LIST_PRESET });
    const found = await objects.list(tenant, prefix, after, limit);
    return {
      objects: found.map(({ key, sizeBytes, seqnum }) => ({ key, sizeBytes, seqnum })),
      next: found.length === limit ? (found.at(-1)?.key ?? null) : null,
    };
  });

  app.put<ObjectPath>("/v1/tenants/:tenant/objects/*", async (request, reply) => {
    const tenant = tenantOf(request);
    const key = objectKey(request.params["*"]);
    const body = streamBody(
      { request: request.raw, response: reply.raw },
      { maxBytes: limits.objectMaxBytes, code: "OBJECT_TOO_LARGE", what: "the object" },
      context,
    );
    const { sizeBytes, seqnum } = await objects.put(tenant, key, body, limits.objectMaxBytes);
    return { key, sizeBytes, seqnum };
  });

  app.get<ObjectPath>("/v1/tenants/:tenant/objects/*", async (request, reply) => {
    const key = objectKey(request.params["*"]);
    const object = await objects.get(tenantOf(request), key);
    if (object === null) {
      throw unknown(key);
    }
    return reply
      .type("application/octet-stream")
      .header("Content-Length", object.sizeBytes)
      .send(Readable.from(object.stream, { objectMode: false }));
  });

  app.delete<ObjectPath>("/v1/tenants/:tenant/objects/*", async (request, reply) => {
    const key = objectKey(request.params["*"]);
    if (!(await objects.remove(tenantOf(request), key))) {
      throw unknown(key);
    }
    return reply.code(204).send();
  });
}
