/** The Fastify instance with every route, and what it says when there is none. */
import type { IncomingMessage, RequestListener, Server } from "node:http";
import type { Socket } from "node:net";
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from "fastify";
import { NeapError } from "../../state/errors.ts";
import { quote } from "../../state/ids.ts";
import { discardRest } from "./body.ts";
import type { HttpContext } from "./context.ts";
import type { FaasmCall } from "./faasm-call.ts";
import { registerFaasmRoutes, unknownFaasmPath } from "./faasm-routes.ts";
import { failureHeaders, problem, toFailure } from "./failure.ts";
import { registerFileRoutes } from "./file-routes.ts";
import { registerCallRoutes } from "./v1-calls.ts";
import { registerFunctionRoutes } from "./v1-functions.ts";
import { registerNodeRoutes } from "./v1-node.ts";
import { registerObjectRoutes } from "./v1-objects.ts";
import { registerProtocolRoutes } from "./v1-protocols.ts";

export interface Routes {
  readonly app: FastifyInstance;
  /** "GET /ping" … in the order of registration. */
  readonly list: readonly string[];
}

/**
 * @param createServer  makes the server that hands requests to Fastify's listener
 * @param onClientError  answers what is no request
 */
export function createRoutes(
  context: HttpContext,
  call: FaasmCall,
  createServer: (listener: RequestListener) => Server,
  onClientError: (error: Error, socket: Socket) => void,
): Routes {
  const list: string[] = [];
  const app = fastify({
    serverFactory: (listener) => createServer(listener as RequestListener),
    // Names are checked by their own rule, with a message; the router's limit would answer 404.
    routerOptions: { maxParamLength: 16_384 },
    exposeHeadRoutes: false,
    return503OnClosing: false,
    clientErrorHandler: onClientError,
    frameworkErrors: (error, request, reply) => sendError(context, error, request, reply),
  });
  app.addHook("onRoute", ({ method, url }) => {
    list.push(`${[method].flat().join(",")} ${url}`);
  });
  // Bodies are read by the handlers that want one, each with its own limit.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, _payload, done) => done(null));
  app.addHook("onResponse", (request, _reply, done) => {
    discardRest(request.raw);
    done();
  });
  app.setErrorHandler((error, request, reply) => sendError(context, error, request, reply));
  app.setNotFoundHandler((request) => {
    throw unknownRoute(request.raw);
  });
  registerFaasmRoutes(app, context, call);
  registerCallRoutes(app, context);
  registerFunctionRoutes(app, context);
  registerObjectRoutes(app, context);
  registerFileRoutes(app, context);
  registerProtocolRoutes(app, context);
  registerNodeRoutes(app, context);
  return { app, list };
}

function unknownRoute(request: IncomingMessage): NeapError {
  const path = pathOf(request);
  const fallback = new NeapError("UNKNOWN_ROUTE", `there is no ${request.method} ${quote(path)}`);
  return isNative(path) ? fallback : (unknownFaasmPath(request.method ?? "", path) ?? fallback);
}

function sendError(context: HttpContext, error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const failure = toFailure(withoutFastify(error), context.log);
  const headers = failureHeaders(failure);
  for (let i = 0; i < headers.length; i += 2) {
    reply.header(headers[i] ?? "", headers[i + 1]);
  }
  reply.removeHeader("Content-Length");
  reply.code(failure.status);
  if (isNative(pathOf(request.raw))) {
    reply.type("application/problem+json").send(Buffer.from(JSON.stringify(problem(failure))));
  } else {
    reply.type("text/plain").send(failure.message);
  }
}

/** Fastify's own refusals (a path that cannot be decoded …) are the caller's fault. */
function withoutFastify(error: unknown): unknown {
  const { statusCode, message } = error as { statusCode?: unknown; message?: unknown };
  return !(error instanceof NeapError) && typeof statusCode === "number" && statusCode >= 400 && statusCode < 500
    ? new NeapError("BAD_REQUEST", String(message))
    : error;
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? "").split("?", 1)[0] ?? "";
}

function isNative(path: string): boolean {
  return path === "/v1" || path.startsWith("/v1/");
}
