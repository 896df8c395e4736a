/**
 * Shared files of a tenant, Faasm's way and natively: the objects of one prefix, which programs open by their paths. Bodies are
 * streamed both ways.
 */
import { Readable } from "node:stream";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { NeapError } from "../../state/errors.ts";
import { type LogBookId, quote } from "../../state/ids.ts";
import { FILES_PREFIX } from "../abi/index.ts";
import { mustAct } from "./access.ts";
import { streamBody } from "./body.ts";
import type { HttpContext } from "./context.ts";
import { sharedFileKey, tenantField, textQuery, wholeQuery } from "./fields.ts";

interface FaasmFile {
  Querystring: { user?: unknown };
}

interface ListPath {
  Params: { tenant: string };
  Querystring: { prefix?: unknown; after?: unknown; limit?: unknown };
}

interface FilePath {
  Params: { tenant: string; "*": string };
}

interface Target {
  readonly tenant: LogBookId;
  readonly path: string;
  readonly key: string;
}

const LIST_MAX = 1000;
const LIST_PRESET = 100;

export function registerFileRoutes(app: FastifyInstance, context: HttpContext): void {
  const { access, objects, limits } = context;
  const native = ({ raw, params }: FastifyRequest<FilePath>): Target => ({
    tenant: mustAct(access.caller(raw), tenantField("tenant", params.tenant)),
    path: params["*"],
    key: sharedFileKey(params["*"]),
  });

  /** Faasm has one name space for all users, and names none: here it is the token's, or must be said. */
  const faasm = ({ raw, query }: FastifyRequest<FaasmFile>): Target => {
    const caller = access.caller(raw);
    const header = raw.headers.filepath;
    if (typeof header !== "string" || header === "") {
      throw new NeapError("BAD_REQUEST", "Bad request, expected file path header FilePath");
    }
    const user = query.user ?? caller.tenant;
    if (typeof user !== "string") {
      throw new NeapError("BAD_REQUEST", "Bad request, expected ?user=<tenant>: a shared file belongs to one tenant");
    }
    // Node reads headers as Latin-1; curl sends what the terminal gave it.
    const path = Buffer.from(header, "latin1")
      .toString()
      .replace(/^faasm:\/\//, "")
      .replace(/^\/+/, "");
    return { tenant: mustAct(caller, tenantField("user", user)), path, key: sharedFileKey(path) };
  };

  const store = ({ tenant, key }: Target, request: FastifyRequest, reply: FastifyReply) => {
    const body = streamBody(
      { request: request.raw, response: reply.raw },
      { maxBytes: limits.objectMaxBytes, code: "OBJECT_TOO_LARGE", what: "the file" },
      context,
    );
    return objects.put(tenant, key, body, limits.objectMaxBytes);
  };

  const send = async ({ tenant, path, key }: Target, reply: FastifyReply) => {
    const file = await objects.get(tenant, key);
    if (file === null) {
      throw unknown(path);
    }
    return reply
      .type("application/octet-stream")
      .header("Content-Length", file.sizeBytes)
      .send(Readable.from(file.stream, { objectMode: false }));
  };

  app.put<FaasmFile>("/file", async (request, reply) => {
    await store(faasm(request), request, reply);
    return "Shared file uploaded\n";
  });

  app.get<FaasmFile>("/file", (request, reply) => send(faasm(request), reply));

  app.get<ListPath>("/v1/tenants/:tenant/files", async ({ raw, params, query }) => {
    const tenant = mustAct(access.caller(raw), tenantField("tenant", params.tenant));
    const prefix = textQuery("prefix", query.prefix);
    const after = textQuery("after", query.after);
    const limit = wholeQuery("limit", query.limit, { min: 1, max: LIST_MAX, preset: LIST_PRESET });
    const found = await objects.list(tenant, FILES_PREFIX + prefix, after === "" ? "" : FILES_PREFIX + after, limit);
    const files = found.map(({ key, sizeBytes, seqnum }) => ({ path: key.slice(FILES_PREFIX.length), sizeBytes, seqnum }));
    return { files, next: files.length === limit ? (files.at(-1)?.path ?? null) : null };
  });

  app.put<FilePath>("/v1/tenants/:tenant/files/*", async (request, reply) => {
    const target = native(request);
    const { sizeBytes, seqnum } = await store(target, request, reply);
    return { path: target.path, sizeBytes, seqnum };
  });

  app.get<FilePath>("/v1/tenants/:tenant/files/*", (request, reply) => send(native(request), reply));

  app.delete<FilePath>("/v1/tenants/:tenant/files/*", async (request, reply) => {
    const { tenant, path, key } = native(request);
    if (!(await objects.remove(tenant, key))) {
      throw unknown(path);
    }
    return reply.code(204).send();
  });
}

function unknown(path: string): NeapError {
  return new NeapError("UNKNOWN_OBJECT", `there is no shared file ${quote(path)}`);
}
